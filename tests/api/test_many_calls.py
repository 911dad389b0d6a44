"""Ten thousand calls in a row: no program grows by them, and the load balancer goes on serving meanwhile."""

import pathlib
import re
import subprocess
import threading
import time

import pytest

from conftest import MODE, SLOW, client, http_get, wait_for

CALLS = 10000
# What the first calls take for good (model tables, buffers, the allocator's arenas) is not growth.
WARM_UP = 1500
# The least that malloc gives, 32 bytes, lost at each call would be 312 KiB; the allocator's own moods stay below
# 100.
MAX_GROWTH_KIB = 256


def resident_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


class Caller:
    """Repeats one describe call, through ab, which is quicker about it than Python."""

    def __init__(self, folder, port, service):
        self.form = folder / f"{service}.form"
        self.form.write_text(FORMS[service])
        self.port, self.service = port, service

    def call(self, times):
        scope = f"test/20261121/us-east-1/{self.service}/aws4_request"
        done = subprocess.run(
            ["ab", "-q", "-k", "-n", str(times), "-c", "4", "-p", self.form]
            + ["-T", "application/x-www-form-urlencoded", "-H"]
            + [
                f"Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
            ]
            + [f"http://127.0.0.1:{self.port}/"],
            capture_output=True,
            text=True,
            timeout=120 * SLOW,
        )
        assert done.returncode == 0, done.stderr
        complete = re.search(r"Complete requests: +(\d+)", done.stdout)
        assert int(complete.group(1)) == times, done.stdout
        assert "Non-2xx" not in done.stdout, done.stdout


FORMS = {
    "elasticloadbalancing": "Action=DescribeLoadBalancers&Version=2015-12-01",
    "autoscaling": "Action=DescribeAutoScalingGroups&Version=2011-01-01",
    "monitoring": "Action=DescribeAlarms&Version=2010-08-01",
    "ec2": "Action=DescribeInstances&Version=2016-11-15",
}
PROGRAMS = {
    "albatross-lb": ["elasticloadbalancing"],
    "albatross-scaler": ["autoscaling", "monitoring"],
    "albatross-lab": ["ec2"],
}


@pytest.mark.skipif(MODE != "release", reason="sanitizers find leaks by themselves")
def test_ten_thousand_describe_calls_leak_nothing(start_lab, programs):
    lab = start_lab()
    ports = {
        "albatross-lb": lab.document["Lb"]["ApiAddress"],
        "albatross-scaler": lab.document["Scaler"]["ApiAddress"],
        "albatross-lab": lab.document["Lab"]["ApiAddress"],
    }
    for name, services in PROGRAMS.items():
        pid = lab.program.pid if name == "albatross-lab" else lab.child_pid(name)
        port = int(ports[name].split(":")[1])
        callers = [Caller(programs.folder, port, service) for service in services]
        for caller in callers:
            caller.call(WARM_UP)
        before, started = resident_kib(pid), time.monotonic()
        for caller in callers:
            caller.call(CALLS // len(callers))
        after, took = resident_kib(pid), time.monotonic() - started
        # The scaler keeps metrics, so it grows with time: as much again as the calls took, without any.
        until = time.monotonic() + took
        wait_for(lambda: time.monotonic() >= until, took + 1, "as long without calls")
        by_time = max(0, resident_kib(pid) - after)
        grown = after - before - by_time
        assert (
            grown < MAX_GROWTH_KIB
        ), f"{name} grew by {grown} KiB and {by_time} by time"


def test_the_proxy_serves_on_while_its_api_is_hammered(start_lab, programs):
    """The API lives on the control thread: however busy, no request through a worker fails or waits for it."""
    lab = start_lab()
    port = int(lab.document["Lb"]["ApiAddress"].split(":")[1])
    stop = threading.Event()
    calls = []

    def hammer():
        caller = Caller(programs.folder, port, "elasticloadbalancing")
        n = 0
        while not stop.is_set():
            caller.call(200)
            n += 200
        calls.append(n)

    threads = [threading.Thread(target=hammer, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        # Through the proxy, each on a connection of its own; the limit of a request is far above
        # what it takes, and far below what a queue behind thousands of calls would be.
        served, deadline = 0, time.monotonic() + 3
        while time.monotonic() < deadline:
            assert http_get(f"{lab.web}/", timeout=5 * SLOW)
            served += 1
    finally:
        stop.set()
        for thread in threads:
            thread.join(30 * SLOW)
    assert served > 20 and sum(calls) > 200
    wait_for(lambda: lab.in_service(), 10, "the scaler, which asked the same API")


def test_a_large_put_of_metric_data_is_taken_in_all_protocols(start_lab):
    """A thousand data with dimensions, AWS's limit of a call, and the one that is too many."""
    lab = start_lab()
    cloudwatch = client("cloudwatch", lab.aws)
    data = [
        {
            "MetricName": f"m{i % 50}",
            "Dimensions": [{"Name": "Id", "Value": f"v{i % 50}"}],
            "Values": [1.0, 2.5, 3.25],
            "Counts": [1, 2, 3],
            "Unit": "Count",
        }
        for i in range(1000)
    ]
    cloudwatch.put_metric_data(Namespace="Large", MetricData=data)
    metrics = cloudwatch.list_metrics(Namespace="Large")["Metrics"]
    assert len(metrics) == 50
