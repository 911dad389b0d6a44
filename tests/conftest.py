"""What all tests against the real programs share: free ports, started programs, AWS clients, waiting.

A program's log is shown when its test fails; a sanitizer report in it, or a process it leaves
behind, fails the test. Nothing here sleeps for a fixed time where a condition can be waited for.
"""

import contextlib
import copy
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.exceptions
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("ALBATROSS_BIN", ROOT / "build"))
MODE = os.environ.get("ALBATROSS_MODE", "release")
# Sanitized programs are several times slower; a wait is a limit, not a duration.
SLOW = 1 if MODE == "release" else 4
REPORTS = re.compile(
    r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:|WARNING: ThreadSanitizer|CHECK failed"
)
KEYS = {
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
    "region_name": "us-east-1",
}


def free_port(host="127.0.0.1"):
    """A port below the ephemeral range, so that no outgoing connection takes it meanwhile."""
    base = 10000 + (os.getpid() * 131 + time.monotonic_ns() // 1000) % 20000
    for offset in range(20000):
        port = 10000 + (base - 10000 + offset * 7) % 20000
        with socket.socket() as s:
            try:
                s.bind((host, port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def wait_for(condition, timeout=15, what="the condition", interval=0.05):
    """Calls condition until it returns something true, and returns that."""
    deadline = time.monotonic() + timeout * SLOW
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except (OSError, urllib.error.URLError, AssertionError) as e:
            last = e
        except Exception as e:  # botocore's, while the endpoint comes up
            if "botocore" not in type(e).__module__:
                raise
            last = e
        if time.monotonic() > deadline:
            raise AssertionError(
                f"waited {timeout * SLOW} s for {what}; last: {last!r}"
            )
        time.sleep(interval)


def http_get(url, timeout=10, headers=None):
    request = urllib.request.Request(url, headers=headers or {})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return answer.read().decode()


def client(service, endpoint, **more):
    config = botocore.config.Config(
        retries={"max_attempts": 1}, connect_timeout=5 * SLOW, read_timeout=20 * SLOW
    )
    return boto3.client(
        service, endpoint_url=endpoint, config=config, **{**KEYS, **more}
    )


def refused(code, call, **input_):
    """What boto3's call is refused with: the code is checked, the message returned."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**input_)
    answer = caught.value.response
    assert answer["Error"]["Code"] == code, answer["Error"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] < 500
    return answer["Error"]["Message"]


def client_environment():
    """For AWS's own clients as programs."""
    return dict(
        os.environ,
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_PAGER="",
        AWS_EC2_METADATA_DISABLED="true",
    )


def aws_cli(endpoint, *words):
    """The real aws command; returns its parsed JSON output (None when it prints nothing)."""
    done = subprocess.run(
        ["/usr/bin/aws", "--endpoint-url", endpoint, "--output", "json", *words],
        env=client_environment(),
        capture_output=True,
        text=True,
        timeout=60 * SLOW,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def processes_with(marker):
    """The pids of processes whose environment or command line holds marker."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            text = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
            if marker.encode() in text and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found


class Program:
    """One of our programs, with its log in a file that stop() and the fixture look at. What it logged
    outlives the file, which goes with the test's folder."""

    def __init__(self, name, args, folder, env=None):
        self.name = name
        self.log_path = folder / f"{name}-{time.monotonic_ns()}.log"
        self.log_file = open(self.log_path, "wb")
        self.whole_log = None  # once it has ended
        self.process = subprocess.Popen(
            [str(BIN / name), *map(str, args)],
            stdout=self.log_file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env={**os.environ, **(env or {})},
        )

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        if self.whole_log is not None:
            return self.whole_log
        return self.log_path.read_text(errors="replace")

    def close_log(self):
        """Nobody writes it any more: from here on log() needs no file."""
        self.log_file.close()
        self.whole_log = self.log()

    def is_running(self):
        return self.process.poll() is None

    def wait_log(self, pattern, timeout=20):
        def seen():
            found = re.search(pattern, self.log(), re.M)
            if not found and not self.is_running():
                raise RuntimeError(
                    f"{self.name} ended with {self.process.returncode}:\n{self.log()}"
                )
            return found

        return wait_for(seen, timeout, f"{pattern!r} in the log of {self.name}")

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, timeout=10):
        """Returns (exit status, seconds it took)."""
        started = time.monotonic()
        if self.is_running():
            self.send(number)
        try:
            status = self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"{self.name} did not end in {timeout * SLOW} s:\n{self.log()}"
            )
        return status, time.monotonic() - started


class Programs:
    """Starts programs for one test and looks after them."""

    def __init__(self, folder):
        self.folder = folder
        self.started = []
        # The test's own folder is in the environment or command line of all that is started below it.
        self.marker = str(folder)

    def start(self, name, *args, env=None):
        env = {
            "ALBATROSS_TEST_MARKER": self.marker,
            "TMPDIR": str(self.folder),
            **(env or {}),
        }
        program = Program(name, args, self.folder, env)
        self.started.append(program)
        return program

    def run(self, name, *args):
        """For what ends by itself (-t, --help): (status, output)."""
        program = self.start(name, *args)
        status = program.process.wait(20 * SLOW)
        return status, program.log()

    def config(self, document, name="config.json"):
        path = self.folder / name
        path.write_text(
            document if isinstance(document, str) else json.dumps(document, indent=1)
        )
        return path

    def logs(self):
        return "\n".join(
            f"==== {p.name} (pid {p.pid})\n{p.log()}" for p in self.started
        )

    def finish(self):
        for program in self.started:
            if program.is_running():
                program.process.terminate()
        for program in self.started:
            try:
                program.process.wait(10 * SLOW)
            except subprocess.TimeoutExpired:
                program.process.kill()
                program.process.wait()
        left = []
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not processes_with(self.marker), 3, "processes to go")
        for pid in processes_with(self.marker):
            with contextlib.suppress(OSError):
                command = (
                    pathlib.Path(f"/proc/{pid}/cmdline")
                    .read_bytes()
                    .replace(b"\0", b" ")
                )
                left.append(f"{pid}: {command.decode(errors='replace')}")
                os.kill(pid, signal.SIGKILL)
        for program in self.started:
            program.close_log()
        return left


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    programs = item.funcargs.get("programs") if hasattr(item, "funcargs") else None
    if report.failed and programs is not None:
        text = programs.logs()
        report.sections.append(("programs' logs", text[-20000:]))


@pytest.fixture
def programs():
    with tempfile.TemporaryDirectory(prefix="albatross-test-") as folder:
        started = Programs(pathlib.Path(folder))
        yield started
        left = started.finish()
        logs = started.logs()
        assert not REPORTS.search(logs), f"a sanitizer or CHECK spoke:\n{logs[-20000:]}"
        assert not left, f"processes left behind: {left}"


class Lab:
    """albatross-lab on free ports, started from conf/lab.json or a document like it."""

    def __init__(self, programs, document=None, edit=None):
        self.programs = programs
        self.web_port = free_port()
        self.aws_port = free_port()
        ports = {"Lb": free_port(), "Scaler": free_port(), "Lab": free_port()}
        document = copy.deepcopy(
            document or json.loads((ROOT / "conf/lab.json").read_text())
        )
        for section, port in ports.items():
            document.setdefault(section, {})["ApiAddress"] = f"127.0.0.1:{port}"
        document["Lab"]["AwsPort"] = self.aws_port
        for balancer in document.get("LoadBalancers", []):
            balancer["ListenAddress"] = "127.0.0.1"
            for listener in balancer.get("Listeners", []):
                listener["Port"] = self.web_port
        if edit:
            edit(document)
        for template in document.get("LaunchTemplates", []):
            for place in (template, template.get("LaunchTemplateData", {})):
                if "UserDataFile" in place:
                    place["UserDataFile"] = str(ROOT / "conf" / place["UserDataFile"])
        self.document = document
        self.path = programs.config(document, "lab.json")
        self.web = f"http://127.0.0.1:{self.web_port}"
        self.aws = f"http://127.0.0.1:{self.aws_port}"
        self.program = programs.start("albatross-lab", self.path)

    def wait_ready(self, timeout=20):
        self.program.wait_log(r"^ready web=", timeout)
        return self

    def client(self, service):
        return client(service, self.aws)

    def group(self, name="students-asg"):
        groups = self.client("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=[name]
        )["AutoScalingGroups"]
        return groups[0] if groups else None

    def in_service(self, name="students-asg"):
        return [
            i["InstanceId"]
            for i in self.group(name)["Instances"]
            if i["LifecycleState"] == "InService" and i["HealthStatus"] == "Healthy"
        ]

    def activities(self, name="students-asg"):
        return self.client("autoscaling").describe_scaling_activities(
            AutoScalingGroupName=name
        )["Activities"]

    def running_instances(self):
        pages = self.client("ec2").describe_instances(
            Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        )
        return [i for r in pages["Reservations"] for i in r["Instances"]]

    def child_pid(self, name):
        """The pid of albatross-lb or albatross-scaler under this lab."""
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = (folder / "stat").read_text()
                comm, rest = stat[stat.index("(") + 1 :].rsplit(")", 1)
                if comm == name[:15] and int(rest.split()[1]) == self.program.pid:
                    return int(folder.name)
        return None


@pytest.fixture
def start_lab(programs):
    def start(document=None, edit=None, ready=True):
        lab = Lab(programs, document, edit)
        return lab.wait_ready() if ready else lab

    return start


@pytest.fixture
def start_bare_lab(start_lab):
    """A lab whose load balancer, scaler and instances are made by the test; settings are Lab's."""

    def start(**settings):
        def edit(document):
            for member in list(document):
                if member not in ("Lab", "Lb", "Scaler"):
                    del document[member]
            document["Lab"].update(settings)

        started = start_lab(edit=edit, ready=False)
        started.program.wait_log("^ready ")
        return started

    return start


class Clients:
    """Keeps asking one URL from several threads, each on fresh connections, and counts what came back."""

    def __init__(self, url, threads=2, pause=0.01):
        self.url, self.pause = url, pause
        self.answers, self.errors = [], []
        self.stopping = threading.Event()
        self.threads = [
            threading.Thread(target=self.work, daemon=True) for _ in range(threads)
        ]

    def work(self):
        while not self.stopping.is_set():
            at = time.monotonic()
            try:
                self.answers.append((at, http_get(self.url, timeout=30)))
            except urllib.error.HTTPError as e:
                self.errors.append((at, f"{e.code}"))
            except OSError as e:
                self.errors.append((at, repr(e)))
            self.stopping.wait(self.pause)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(40)


@pytest.fixture
def clients():
    return Clients
