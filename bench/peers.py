"""The programs that the benchmark measures: configured, started, pinned, waited for, stopped.

A peer is one process (with its children) in front of the bench's target. What differs between loads is
its Setup. Configurations of nginx and HAProxy come from the templates in bench/peers/.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "bench" / "peers"
START_SECONDS = 60


class Failed(Exception):
    """The benchmark could not measure: why, for a person."""


@dataclasses.dataclass(frozen=True)
class Setup:
    """What stands behind a peer's port. A rule i of n has the path prefix /service-i/."""

    rules: int = 0
    targets: int = 1
    access_log: bool = False
    workers: int = 1
    is_large: bool = False  # bodies of 1 MB: the peers have settings for them


def raise_file_limit():
    """As many descriptors as we may have; 65536 do. Returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (65536, max(hard, 65536)))
        return 65536
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(65536, hard), hard))
    return min(65536, hard)


def free_port():
    """Below the ephemeral range, so that no outgoing connection takes it meanwhile."""
    base = (os.getpid() * 131 + time.monotonic_ns() // 1000) % 20000
    for offset in range(20000):
        port = 10000 + (base + offset * 7) % 20000
        with socket.socket() as s:
            with contextlib.suppress(OSError):
                s.bind(("127.0.0.1", port))
                return port
    raise Failed("no free port")


def target_address(i):
    """The target listens on all of 127.0.0.0/8: each address is a target of its own."""
    return f"127.1.{i // 250}.{i % 250 + 1}" if i else "127.0.0.1"


class Cores:
    """The first core for the proxies, the last for load and target; with four or more, two and two."""

    def __init__(self):
        self.all = sorted(os.sched_getaffinity(0))
        self.one = self.all[:1]
        self.load = self.all[-1:]
        self.target = self.all[-2:-1] if len(self.all) > 2 else self.all[-1:]

    def proxies(self, workers):
        return self.all[:workers]


def start(words, cores, log, **more):
    return subprocess.Popen(
        [str(w) for w in words],
        stdin=subprocess.DEVNULL,
        stdout=more.pop("stdout", log),
        stderr=log,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        **more,
    )


def children(pid):
    found = []
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(p) for p in path.read_text().split()]
    return found


def cpu_ns(pids):
    """Nanoseconds on a processor so far of all their threads, as bench/load counts them."""
    found = 0
    for pid in pids:
        for path in pathlib.Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found += int((path / "schedstat").read_text().split()[0])
    return found


def stolen_ns(core):
    """What the hypervisor has taken of a core so far."""
    text = pathlib.Path("/proc/stat").read_text()
    found = re.search(rf"^cpu{core} (.+)", text, re.M)
    return int(found.group(1).split()[7]) * 1e9 / os.sysconf("SC_CLK_TCK")


def smaps(pid, key):
    """Bytes, from /proc/PID/smaps_rollup."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(rf"^{key}:\s+(\d+) kB", text, re.M).group(1)) * 1024


class Peer:
    """One started proxy. kind: albatross-lb, nginx, haproxy or relay."""

    def __init__(self, bench, name, kind, program, setup, target_port):
        self.bench, self.name, self.kind, self.program = bench, name, kind, program
        self.setup, self.target_port = setup, target_port
        self.port = free_port()
        self.dir = pathlib.Path(bench.dir) / re.sub(r"\W+", "-", f"{name}-{self.port}")
        self.dir.mkdir()
        self.log = self.dir / "log"
        self.process = None

    def start(self):
        words = getattr(self, "prepare_" + self.kind.replace("-", "_"))()
        with open(self.log, "ab") as log, open(self.dir / "stdout", "ab") as out:
            self.process = start(
                words, self.bench.cores.proxies(self.setup.workers), log, stdout=out
            )
        self.await_ready()
        return self

    def last_path(self):
        return f"/service-{self.setup.rules - 1}/item" if self.setup.rules else "/"

    def prepare_relay(self):
        return [self.program, "127.0.0.1", self.port, "127.0.0.1", self.target_port]

    def prepare_albatross_lb(self):
        rules = [
            {
                "Priority": i + 1,
                "Conditions": [
                    {
                        "Field": "path-pattern",
                        "PathPatternConfig": {"Values": [f"/service-{i}/*"]},
                    }
                ],
                "Actions": [{"Type": "forward", "TargetGroupArn": "b"}],
            }
            for i in range(self.setup.rules)
        ]
        listener = {
            "Protocol": "HTTP",
            "Port": self.port,
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": "b"}],
            "Rules": rules,
        }
        self.api_port = free_port()
        lb = {
            "Workers": self.setup.workers,
            "ApiAddress": f"127.0.0.1:{self.api_port}",
            "StateUrl": "memory:",
        }
        if self.setup.access_log:
            lb["AccessLog"] = str(self.dir / "access.log")
        document = {
            "LoadBalancers": [
                {
                    "LoadBalancerName": "bench",
                    "ListenAddress": "127.0.0.1",
                    "Attributes": {"idle_timeout.timeout_seconds": "300"},
                    "Listeners": [listener],
                }
            ],
            "TargetGroups": [
                {
                    "TargetGroupName": "b",
                    "TargetType": "ip",
                    "Protocol": "HTTP",
                    "Port": self.target_port,
                    "Targets": [
                        {"Id": target_address(i)} for i in range(self.setup.targets)
                    ],
                }
            ],
            "Lb": lb,
        }
        (self.dir / "lb.json").write_text(json.dumps(document))
        return [self.program, "-c", self.dir / "lb.json"]

    def fill(self, template, **values):
        text = (TEMPLATES / template).read_text()
        values |= {
            "DIR": self.dir,
            "PORT": self.port,
            "WORKERS": self.setup.workers,
            "FILES": self.bench.files,
            "CLIENTS": self.bench.files // 2 - 500,
        }
        text = re.sub(r"@([A-Z_]+)@", lambda m: str(values[m.group(1)]), text)
        path = self.dir / template
        path.write_text(text)
        return path

    def prepare_nginx(self):
        log = f"access_log {self.dir}/access.log combined buffer=64k flush=1s;"
        buffers = (
            "proxy_buffering off;\n    proxy_buffer_size 256k;\n    proxy_buffers 4 256k;"
            if self.setup.is_large
            else "proxy_buffer_size 16k;\n    proxy_buffers 8 16k;"
        )
        conf = self.fill(
            "nginx.conf",
            BUFFERS=buffers,
            USER="user root;" if os.geteuid() == 0 else "",
            ACCESS_LOG=log if self.setup.access_log else "access_log off;",
            SERVERS="\n        ".join(
                f"server {target_address(i)}:{self.target_port};"
                for i in range(self.setup.targets)
            ),
            RULES="\n        ".join(
                f"location /service-{i}/ {{ proxy_pass http://b; }}"
                for i in range(self.setup.rules)
            ),
        )
        return [self.program, "-p", self.dir, "-c", conf, "-e", self.dir / "nginx.log"]

    def prepare_haproxy(self):
        rules = ""
        if self.setup.rules:
            # Many prefixes are a map to an HAProxy user: one lookup in a tree.
            path = self.dir / "rules.map"
            path.write_text(
                "".join(f"/service-{i}/ b\n" for i in range(self.setup.rules))
            )
            rules = f"use_backend %[path,map_beg({path},b)]"
        is_logged = self.setup.access_log
        # Measured: with 1 MB it halves the cost; splice-auto does not take them.
        splice = "option splice-response\n    option splice-request"
        conf = self.fill(
            "haproxy.cfg",
            LOG_GLOBAL="log stdout format raw local0" if is_logged else "",
            LOG="log global\n    option httplog" if is_logged else "",
            RULES=rules,
            SPLICE=splice if self.setup.is_large else "",
            SERVERS="\n    ".join(
                f"server s{i} {target_address(i)}:{self.target_port}"
                for i in range(self.setup.targets)
            ),
        )
        return [self.program, "-db", "-f", conf]

    def await_ready(self):
        """Until it answers 200 some times in a row, and, ours, until all its targets are healthy."""
        url = f"http://127.0.0.1:{self.port}{self.last_path()}"
        deadline = time.monotonic() + START_SECONDS
        good = 0
        while good < 3:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{self.name} does not answer {url}\n{self.tail()}")
            with contextlib.suppress(OSError):
                good = good + 1 if self.get_status(self.last_path()) == 200 else 0
            if not good:
                time.sleep(0.05)
        while self.kind == "albatross-lb" and self.n_healthy() < self.setup.targets:
            if time.monotonic() > deadline:
                raise Failed(
                    f"{self.name}: {self.n_healthy()} of {self.setup.targets} targets healthy"
                )
            time.sleep(0.2)

    def get_status(self, path, port=None):
        return int(self.get(path, port).split(b" ", 2)[1])

    def get(self, path, port=None):
        """Raw and short: urllib would obey the proxies of the environment."""
        with socket.create_connection(
            ("127.0.0.1", port or self.port), timeout=5
        ) as conn:
            conn.sendall(
                f"GET {path} HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n".encode()
            )
            answer = b""
            while piece := conn.recv(65536):
                answer += piece
        if not answer.startswith(b"HTTP/1."):
            raise OSError("no HTTP")
        return answer

    def n_healthy(self):
        with contextlib.suppress(OSError):
            text = self.get("/metrics", self.api_port).decode()
            name = "albatross_lb_healthy_host_count"
            if name not in text:
                return (
                    self.setup.targets
                )  # an older build: it has answered, that is all
            return sum(
                int(float(n))
                for n in re.findall(rf"^{name}\{{[^}}]*\}} (\S+)", text, re.M)
            )
        return 0

    def pids(self):
        """The process and its children: nginx has its worker there."""
        return [self.process.pid, *children(self.process.pid)]

    def check_alive(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} has ended\n{self.tail()}")

    def memory(self):
        """Bytes that are its own: RSS without what is of a file and not written to."""
        return sum(smaps(p, "Anonymous") for p in self.pids())

    def hangup(self):
        os.kill(self.process.pid, signal.SIGHUP)

    def tail(self):
        text = ""
        for path in (self.log, self.dir / "nginx.log"):
            with contextlib.suppress(OSError):
                text += "".join(path.read_text(errors="replace").splitlines(True)[-15:])
        return text

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            # nginx stops at once, HAProxy too; ours need not drain.
            self.process.send_signal(
                signal.SIGKILL if self.kind == "relay" else signal.SIGTERM
            )
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                for pid in self.pids()[::-1]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self.process.wait(5)
        shutil.rmtree(self.dir, ignore_errors=True)
        self.process = None


class Target:
    """bench/target on all loopback addresses, with a body of so many bytes."""

    def __init__(self, bench, body_bytes):
        self.port = free_port()
        self.process = start(
            [bench.bin / "bench" / "target", "0.0.0.0", self.port, body_bytes],
            bench.cores.target,
            None,
        )
        deadline = time.monotonic() + 5
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed("bench/target does not start")
            time.sleep(0.02)

    def stop(self):
        self.process.kill()
        self.process.wait(5)
