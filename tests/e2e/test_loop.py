"""The loop, closed on real parts: ab -> load balancer -> metrics -> scaler -> EC2 API -> instance -> traffic."""

import re
import subprocess
import threading
import urllib.error

import pytest

from conftest import SLOW, aws_cli, http_get, wait_for

DESCRIBE = [
    "autoscaling",
    "describe-auto-scaling-groups",
    "--auto-scaling-group-names",
    "students-asg",
    "--query",
    "AutoScalingGroups[0].[DesiredCapacity,MinSize,MaxSize]",
]


def ab(url, n, c, *more):
    done = subprocess.run(
        ["ab", "-q", "-s", "120", "-n", str(n), "-c", str(c), *more, url],
        capture_output=True,
        text=True,
        timeout=300 * SLOW,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def assert_clean(output, n):
    assert f"Complete requests:      {n}" in output, output
    assert "Failed requests:        0" in output, output
    assert "Non-2xx" not in output, output


def rate(output):
    return float(re.search(r"Requests per second:\s+([\d.]+)", output).group(1))


@pytest.mark.alone
def test_load_scales_out_and_quiet_scales_in_without_a_failed_request(
    start_lab, clients
):
    lab = start_lab()
    assert aws_cli(lab.aws, *DESCRIBE) == [2, 2, 4]
    seen, over = set(), threading.Event()

    def watch():
        while not over.is_set():
            seen.add(lab.group()["DesiredCapacity"])
            over.wait(0.5)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    for _ in range(2):
        assert_clean(ab(f"{lab.web}/students", 5000, 100), 5000)
    assert_clean(ab(f"{lab.web}/students", 2000, 100, "-k"), 2000)
    over.set()
    watcher.join(30)
    assert max(seen) > 2, f"desired capacity seen: {seen}\n{lab.activities()}"
    causes = " ".join(a["Cause"] for a in lab.activities())
    assert "in state ALARM triggered policy" in causes
    # Down again, and nobody notices.
    with clients(f"{lab.web}/hello/ada") as asking:
        wait_for(
            lambda: lab.group()["DesiredCapacity"] == 2, 90, "the group to shrink to 2"
        )
        wait_for(
            lambda: len(lab.running_instances()) == 2, 40, "two instances to be left"
        )
        # A few more rounds after the last one went.
        count = len(asking.answers)
        wait_for(lambda: len(asking.answers) > count + 20, 10, "more answers")
    assert asking.errors == []
    assert aws_cli(lab.aws, *DESCRIBE) == [2, 2, 4]
    statuses = {a["StatusCode"] for a in lab.activities()}
    assert statuses == {"Successful"}, lab.activities()


def test_answers_come_from_different_instances_and_the_application_greets(start_lab):
    lab = start_lab()
    instances = set(lab.in_service())
    assert len(instances) == 2
    seen = set()
    for _ in range(20):
        seen |= {i for i in instances if i in http_get(lab.web + "/")}
    assert seen == instances
    for greeting in ("hello", "bonjour", "salama"):
        answer = http_get(f"{lab.web}/{greeting}/ada")
        assert "ada" in answer and any(i in answer for i in instances)
    lengths = {len(http_get(f"{lab.web}/students")) for _ in range(6)}
    assert len(lengths) == 1


def test_a_terminated_instance_is_replaced_and_the_activity_says_why(
    start_lab, clients
):
    lab = start_lab()
    victim = lab.in_service()[0]
    with clients(f"{lab.web}/hello/ada") as asking:
        aws_cli(lab.aws, "ec2", "terminate-instances", "--instance-ids", victim)
        wait_for(lambda: victim not in lab.in_service(), 15, "the group to notice")
        wait_for(lambda: len(lab.in_service()) == 2, 30, "the replacement")
        calm = len(asking.errors)
        count = len(asking.answers)
        wait_for(lambda: len(asking.answers) > count + 50, 10, "more answers")
        assert len(asking.errors) == calm, "an error after the replacement"
    activities = lab.activities()
    assert any(
        "EC2 health check indicating it has been terminated or stopped" in a["Cause"]
        and victim in a["Description"]
        for a in activities
    ), activities
    assert any(
        "unhealthy instance needing to be replaced" in a["Cause"] for a in activities
    )


def test_a_killed_instance_is_replaced(start_lab, clients):
    lab = start_lab()
    victim = lab.in_service()[0]
    with clients(f"{lab.web}/hello/ada") as asking:
        kill_instance(lab, victim)
        wait_for(lambda: victim not in lab.in_service(), 15, "the group to notice")
        wait_for(lambda: len(lab.in_service()) == 2, 30, "the replacement")
        calm = len(asking.errors)
        count = len(asking.answers)
        wait_for(lambda: len(asking.answers) > count + 50, 10, "more answers")
        assert len(asking.errors) == calm, "an error after the replacement"


def kill_instance(lab, instance_id):
    """kill -9 on every process that carries the instance's id in its environment."""
    import contextlib
    import os
    import signal

    from conftest import processes_with

    pids = processes_with(f"INSTANCE_ID={instance_id}")
    assert pids, f"no process of {instance_id}"
    for pid in pids:
        # The first to go may take the others with it.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_metrics_of_the_load_balancer_arrive_in_cloudwatch(start_lab):
    lab = start_lab()
    for _ in range(20):
        http_get(f"{lab.web}/hello/ada")
    cloudwatch = lab.client("cloudwatch")

    def names(namespace):
        return {
            m["MetricName"]
            for m in cloudwatch.list_metrics(Namespace=namespace)["Metrics"]
        }

    wait_for(
        lambda: {"RequestCount", "TargetResponseTime", "HealthyHostCount"}
        <= names("AWS/ApplicationELB"),
        15,
        "the load balancer's metrics",
    )
    wait_for(lambda: "CPUUtilization" in names("AWS/EC2"), 15, "CPUUtilization")
    alarms = {a["AlarmName"] for a in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert {"cpu-high", "cpu-low", "unhealthy-hosts"} <= alarms
    assert any(a.startswith("TargetTracking-students-asg-AlarmHigh") for a in alarms)
    page = http_get(f"http://{lab.document['Scaler']['ApiAddress']}/metrics")
    assert "albatross" in page


def test_the_dashboard_says_that_it_is_not_there_yet(start_lab):
    lab = start_lab()
    with pytest.raises(urllib.error.HTTPError) as refused:
        http_get(f"{lab.aws}/dashboard")
    assert refused.value.code == 501
    assert "not supported yet" in refused.value.read().decode()
