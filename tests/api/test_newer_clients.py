"""The newer boto3 and aws of PATH, where there are such beside Debian's: to CloudWatch they speak JSON."""

import json
import re
import shutil
import subprocess

import pytest

from conftest import ROOT, SLOW, client_environment, free_port

ENV = client_environment()
# Debian's modules are not for another Python.
ENV.pop("PYTHONPATH", None)


def run(*words, timeout=60):
    return subprocess.run(
        words, env=ENV, capture_output=True, text=True, timeout=timeout * SLOW
    )


def speaks_json(version):
    """botocore has since 1.42.7."""
    found = re.search(r"(\d+)\.(\d+)\.(\d+)\s*$", version)
    return bool(found) and tuple(map(int, found.groups())) >= (1, 42, 7)


@pytest.fixture
def scaler(programs):
    port = free_port()
    path = programs.config({"Scaler": {"ApiAddress": f"127.0.0.1:{port}"}})
    programs.start("albatross-scaler", "-c", path).wait_log("started api")
    return f"http://127.0.0.1:{port}"


def test_a_newer_boto3(scaler):
    python = shutil.which("python3")
    version = run(python, "-c", "import botocore; print(botocore.__version__)").stdout
    if not speaks_json(version):
        pytest.skip("the python3 of PATH has no newer boto3")
    done = run(python, ROOT / "tests/api/newer_boto3.py", scaler)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stdout + done.stderr


def test_a_newer_aws_command(scaler):
    aws = shutil.which("aws")
    if not speaks_json(run(aws, "--version").stdout if aws else ""):
        pytest.skip("the aws of PATH is none of the newer ones")

    def ask(*words):
        done = run(aws, "--endpoint-url", scaler, "--output", "json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    put = "cloudwatch put-metric-alarm --alarm-name student-records-high-5xx --metric-name HTTPCode_Target_5XX_Count"
    put += " --namespace AWS/ApplicationELB --statistic Sum --period 300 --threshold 10 --evaluation-periods 1"
    ask(*put.split(), "--comparison-operator", "GreaterThanThreshold")
    find = (
        "cloudwatch describe-alarms --alarm-name-prefix student-records --state-value"
    )
    assert ask(*find.split(), "ALARM")["MetricAlarms"] == []
    (alarm,) = ask(*find.split(), "INSUFFICIENT_DATA")["MetricAlarms"]
    assert (alarm["Threshold"], alarm["Period"]) == (10.0, 300)
    ask(*"cloudwatch delete-alarms --alarm-names student-records-high-5xx".split())
    gone = run(
        *(aws, "--endpoint-url", scaler, "cloudwatch", "set-alarm-state"),
        *"--alarm-name gone --state-value OK --state-reason r".split(),
    )
    assert gone.returncode != 0 and "(ResourceNotFound)" in gone.stderr, gone.stderr
