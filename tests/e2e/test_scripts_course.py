"""conf/build-lab.sh builds the whole lab with the aws command alone; conf/destroy-lab.sh leaves nothing of it."""

import os
import shutil
import subprocess

import pytest

import conftest as shared
import whole_lab

# Debian's, and the one that a user of this machine would get, where that is another.
OTHER = shutil.which("aws")
NEWER = pytest.param(OTHER, id="other", marks=pytest.mark.long)
CLIENTS = [pytest.param("/usr/bin/aws", id="debian")]
CLIENTS += [NEWER] * (OTHER not in (None, "/usr/bin/aws"))


def run_script(lab, client, name, port):
    folder = lab.programs.folder
    # The scripts say "aws": a folder with this client alone comes first.
    tools = folder / "bin"
    if not tools.exists():
        tools.mkdir()
        (tools / "aws").write_text(f'#!/bin/sh\nexec {client} "$@"\n')
        (tools / "aws").chmod(0o755)
    env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    env.update(PATH=f"{tools}:{os.environ['PATH']}", ENDPOINT=lab.aws, PORT=str(port))
    done = subprocess.run(
        ["bash", str(shared.ROOT / "conf" / name)],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=400 * shared.SLOW,
    )
    assert done.returncode == 0, f"{name}:\n{done.stdout}\n{done.stderr}"
    assert done.stderr == ""
    return done.stdout


def wait_for_capacity(lab, count):
    shared.wait_for(
        lambda: len(lab.in_service("course")) == count, 60, f"{count} in service"
    )


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_script_builds_the_whole_lab_and_another_takes_it_away(start_lab, client):
    lab, before = whole_lab.start_empty(start_lab)
    port = shared.free_port()
    web = run_script(lab, client, "build-lab.sh", port).strip()
    whole_lab.assert_whole(lab, before)
    assert web.endswith(f":{port}")
    assert whole_lab.get(f"{web}/about") == "students"
    assert whole_lab.get(f"{web}/hello/ada").startswith("Hello ada, from instance i-")
    key = (lab.programs.folder / "course.key").read_text()
    assert key.startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    wait_for_capacity(lab, 2)

    scaling, cloudwatch = lab.client("autoscaling"), lab.client("cloudwatch")
    scaling.set_desired_capacity(AutoScalingGroupName="course", DesiredCapacity=3)
    wait_for_capacity(lab, 3)
    # All three take their turn before long.
    shared.wait_for(
        lambda: len({whole_lab.get(f"{web}/") for _ in range(12)} - {None}) == 3,
        60,
        "answers from three instances",
    )
    cloudwatch.set_alarm_state(
        AlarmName="course-idle", StateValue="ALARM", StateReason="to see it act"
    )
    wait_for_capacity(lab, 2)

    run_script(lab, client, "destroy-lab.sh", port)
    assert not (lab.programs.folder / "course.key").exists()
    whole_lab.wait_gone(lab, before)
    assert whole_lab.get(f"{web}/about") is None
