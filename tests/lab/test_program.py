"""albatross-lab as a program: starting, stopping, failing, being killed, reloading."""

import json
import os
import pathlib
import signal
import socket
import time

import botocore.exceptions
import pytest

from conftest import SLOW, Lab, client, free_port, http_get, processes_with, wait_for
from test_ec2 import IMAGE, SERVER, Ec2Lab

SLEEPER = "#!/bin/bash\nexec sleep 1000\n"


def folders(programs):
    return [p.name for p in programs.folder.glob("albatross-lab.*")]


def test_the_students_lab_gets_ready_and_goes_without_a_trace(programs):
    lab = Lab(programs)
    lab.wait_ready(15)
    line = next(l for l in lab.program.log().splitlines() if l.startswith("ready"))
    assert line == f"ready web={lab.web} aws={lab.aws} dashboard={lab.aws}/dashboard"
    assert len(lab.in_service()) == 2
    # The file says "students"; CloudWatch knows it by what the load balancer made of it.
    alarm = lab.client("cloudwatch").describe_alarms(AlarmNames=["unhealthy-hosts"])
    values = {d["Name"]: d["Value"] for d in alarm["MetricAlarms"][0]["Dimensions"]}
    assert values["TargetGroup"].startswith("targetgroup/students/")
    assert values["LoadBalancer"].startswith("app/students/")
    instances = lab.in_service()
    status, seconds = lab.program.stop(signal.SIGINT)
    assert status == 0
    assert seconds < 5 * SLOW
    assert folders(programs) == []
    for instance in instances:
        assert processes_with(f"INSTANCE_ID={instance}") == []
    with pytest.raises(OSError):
        http_get(lab.web)


def test_instances_that_ignore_sigterm_do_not_hold_the_end_up(programs):
    lab = Ec2Lab(programs)
    stubborn = lab.run("#!/bin/bash\ntrap '' TERM\nwhile :; do sleep 1; done\n")
    lab.wait_state(stubborn, "running")
    status, seconds = lab.program.stop()
    assert status == 0 and seconds < 5 * SLOW
    assert processes_with(f"INSTANCE_ID={stubborn}") == []


def test_a_killed_lab_takes_everything_with_it_and_the_next_one_tidies_up(programs):
    lab = Ec2Lab(programs)
    instance = lab.run("#!/bin/bash\nsetsid sleep 1000 &\nsleep 1000 &\n")
    lab.wait_state(instance, "running")
    children = [lab.child_pid(n) for n in ("albatross-lb", "albatross-scaler")]
    assert all(children)
    lab.program.stop(signal.SIGKILL)
    wait_for(lambda: not processes_with(f"INSTANCE_ID={instance}"), 5, "the instance")
    wait_for(
        lambda: not any(pathlib.Path(f"/proc/{c}/exe").exists() for c in children),
        10,
        "the children",
    )
    left = folders(programs)
    assert len(left) == 1
    other = Ec2Lab(programs)
    assert len(folders(programs)) == 1 and folders(programs) != left
    assert other.program.stop()[0] == 0


def test_two_labs_run_side_by_side(programs):
    one, two = Ec2Lab(programs), Ec2Lab(programs)
    a, b = one.run(SERVER), two.run(SERVER)
    addresses = set()
    for lab, instance in ((one, a), (two, b)):
        address = lab.wait_state(instance, "running")["PrivateIpAddress"]
        addresses.add(address)
        answer = wait_for(lambda: http_get(f"http://{address}:8000/"), 10, "the server")
        assert instance in answer
    assert len(addresses) == 2


@pytest.mark.parametrize("which", ["web", "aws", "lb", "lab"])
def test_a_port_in_use_is_named_and_nothing_is_left(programs, which):
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen()

        def edit(document):
            if which == "web":
                document["LoadBalancers"][0]["Listeners"][0]["Port"] = port
            elif which == "aws":
                document["Lab"]["AwsPort"] = port
            else:
                section = which.capitalize()
                document[section]["ApiAddress"] = f"127.0.0.1:{port}"

        lab = Lab(programs, edit=edit)
        assert lab.program.process.wait(10 * SLOW) == 1
    assert f"127.0.0.1:{port}" in lab.program.log()
    assert "in use" in lab.program.log().lower()
    assert folders(programs) == []


def test_a_bad_file_is_refused_before_anything_starts(programs):
    status, log = programs.run(
        "albatross-lab", "-t", programs.config({"Lab": {"AwsPorts": 1}})
    )
    assert status == 1
    assert "AwsPorts" in log and "AwsPort" in log
    status, log = programs.run("albatross-lab", programs.config('{"Lab": {'))
    assert status == 1 and "line" in log or ":1:" in log
    assert folders(programs) == []
    status, _ = programs.run("albatross-lab", "-t", programs.config({"Lab": {}}))
    assert status == 0


def test_a_child_that_dies_is_started_again(programs):
    lab = Ec2Lab(programs)
    for name in ("albatross-lb", "albatross-scaler"):
        pid = lab.child_pid(name)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: lab.child_pid(name) not in (None, pid), 10, f"a new {name}")
    wait_for(lambda: http_get(f"{lab.aws}/healthz"), 10, "the endpoint")
    wait_for(lambda: lab.client("autoscaling").describe_auto_scaling_groups(), 10, "it")


def test_the_single_endpoint_tells_services_apart(programs):
    lab = Ec2Lab(programs)
    assert lab.client("ec2").describe_vpcs()["Vpcs"]
    assert lab.client("sts").get_caller_identity()["Account"]
    balancers = lab.client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert [b["LoadBalancerName"] for b in balancers] == ["albatross-lab"]
    assert (
        lab.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        == []
    )
    assert "MetricAlarms" in lab.client("cloudwatch").describe_alarms()
    assert "albatross_lab_instances" in http_get(
        f"http://{lab.document['Lab']['ApiAddress']}/metrics"
    )


def test_with_keys_every_call_is_verified(programs):
    keys = [{"AccessKeyId": "AKIALAB", "SecretAccessKey": "secret"}]

    def edit(document):
        document["Lab"]["Credentials"] = keys

    lab = Ec2Lab(programs, edit=edit)
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        lab.ec2.describe_vpcs()
    assert caught.value.response["Error"]["Code"] == "AuthFailure"
    good = {"aws_access_key_id": "AKIALAB", "aws_secret_access_key": "secret"}
    assert client("ec2", lab.aws, **good).describe_vpcs()["Vpcs"]
    assert client("elbv2", lab.aws, **good).describe_load_balancers()["LoadBalancers"]


def test_sighup_applies_the_changed_file(programs):
    template = {
        "LaunchTemplateName": "web",
        "LaunchTemplateData": {"ImageId": IMAGE, "InstanceType": "t2.micro"},
    }
    gone = {**template, "LaunchTemplateName": "gone"}
    lab = Ec2Lab(programs, {"Lab": {}, "LaunchTemplates": [template, gone]})
    template["LaunchTemplateData"]["InstanceType"] = "t3.small"
    lab.document["LaunchTemplates"] = [template]
    lab.path.write_text(json.dumps(lab.document))
    lab.program.send(signal.SIGHUP)
    lab.program.wait_log(r" reloaded file=")
    found = lab.ec2.describe_launch_templates()["LaunchTemplates"]
    assert [(t["LaunchTemplateName"], t["DefaultVersionNumber"]) for t in found] == [
        ("web", 2)
    ]
    lab.path.write_text("{ broken")
    lab.program.send(signal.SIGHUP)
    lab.program.wait_log(r"reload-refused")
    assert lab.ec2.describe_launch_templates()["LaunchTemplates"]


def test_state_that_is_kept_outlives_the_lab_but_instances_do_not(programs):
    def edit(document):
        document["Lab"]["StateUrl"] = f"sqlite:{programs.folder}/lab.db"

    lab = Ec2Lab(programs, edit=edit)
    lab.ec2.create_launch_template(
        LaunchTemplateName="kept", LaunchTemplateData={"ImageId": IMAGE}
    )
    instance = lab.run(SLEEPER, ClientToken="once")
    lab.wait_state(instance, "running")
    lab.program.stop(signal.SIGKILL)
    lab = Ec2Lab(programs, edit=edit)
    names = [
        t["LaunchTemplateName"]
        for t in lab.ec2.describe_launch_templates()["LaunchTemplates"]
    ]
    assert names == ["kept"]
    found = lab.instance(instance)
    assert found["State"]["Name"] == "terminated"
    assert found["StateReason"]["Code"] == "Server.InternalError"
    # The token is still known: the launch is not done again.
    assert lab.run(SLEEPER, ClientToken="once") == instance


def test_user_data_that_cannot_run_makes_the_group_back_off(programs):
    def edit(document):
        path = programs.folder / "broken.sh"
        path.write_text("#!/bin/bash\necho no such database >&2\nexit 7\n")
        document["LaunchTemplates"][0]["UserDataFile"] = str(path)

    lab = Lab(programs, edit=edit)
    lab.program.wait_log(r"waiting for=\"instances of students-asg", 15)
    wait_for(
        lambda: any("no such database" in str(a) for a in lab.activities()),
        20,
        "the activity that says why",
    )
    before = len(lab.activities())
    wait_for(lambda: len(lab.activities()) > before, 30, "the next try")
    starts = sorted(a["StartTime"].timestamp() for a in lab.activities())
    assert max(b - a for a, b in zip(starts, starts[1:])) > 5, "launches loop"
