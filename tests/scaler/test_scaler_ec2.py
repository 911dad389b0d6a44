"""Launches and terminations through the EC2 protocol, with an EC2 that fails in every way."""

import signal
import sys
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from conftest import http_get, wait_for  # noqa: E402
from fake_ec2 import FakeEc2, Refused  # noqa: E402
from fixtures import ec2, start_scaler  # noqa: E402, F401


def tags(form):
    return {
        form[f"TagSpecification.1.Tag.{n}.Key"]: form[
            f"TagSpecification.1.Tag.{n}.Value"
        ]
        for n in range(1, 20)
        if f"TagSpecification.1.Tag.{n}.Key" in form
    }


def test_a_group_of_the_file_is_launched_from_the_files_template(ec2, start_scaler):
    scaler = start_scaler(ec2.url)
    scaler.wait_in_service(2)
    forms = ec2.forms("RunInstances")
    assert {f["SubnetId"] for f in forms} == {"subnet-a", "subnet-b"}
    for form in forms:
        assert form["ImageId"] == "ami-0123456789abcdef0"
        assert form["UserData"] == "IyEvYmluL3NoCmV4aXQgMAo="
        assert len(form["ClientToken"]) <= 64
        assert tags(form) == {
            "course": "cloud",
            "team": "blue",
            "albatross:autoscaling:groupName": "web",
        }
    group = scaler.group()
    assert group["AvailabilityZones"] == ["us-east-1a", "us-east-1b"]
    assert {i["AvailabilityZone"] for i in group["Instances"]} == {
        "us-east-1a",
        "us-east-1b",
    }
    assert [a["StatusCode"] for a in scaler.activities()] == ["Successful"] * 2


def test_a_template_that_ec2_knows_is_named_and_its_version_resolved(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    scaler.api.create_auto_scaling_group(
        AutoScalingGroupName="web",
        MinSize=1,
        MaxSize=1,
        LaunchTemplate={"LaunchTemplateName": "web", "Version": "$Latest"},
        AvailabilityZones=["us-east-1a"],
    )
    scaler.wait_in_service(1)
    form = ec2.forms("RunInstances")[0]
    assert form["LaunchTemplate.Version"] == "$Latest"
    group = scaler.group()
    assert group["LaunchTemplate"] == {
        "LaunchTemplateId": "lt-0123456789abcdef0",
        "LaunchTemplateName": "web",
        "Version": "$Latest",
    }


def test_desired_capacity_up_and_down(ec2, start_scaler):
    scaler = start_scaler(ec2.url)
    scaler.wait_in_service(2)
    scaler.api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
    scaler.wait_in_service(4)
    scaler.api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
    scaler.wait_in_service(1)
    wait_for(lambda: len(ec2.running()) == 1, 10, "one instance to be left")
    wait_for(
        lambda: {a["StatusCode"] for a in scaler.activities()} == {"Successful"},
        10,
        "the activities to end",
    )
    assert (
        "changing the desired capacity from 4 to 1" in scaler.activities()[0]["Cause"]
    )


def test_a_terminated_instance_is_replaced(ec2, start_scaler):
    scaler = start_scaler(ec2.url)
    scaler.wait_in_service(2)
    victim = scaler.in_service()[0]
    ec2.end(victim)
    wait_for(lambda: victim not in scaler.in_service(), 10, "the group to notice")
    scaler.wait_in_service(2)
    causes = " ".join(a["Cause"] for a in scaler.activities())
    assert (
        "EC2 health check indicating it has been terminated or stopped" in causes
        and "an unhealthy instance needing to be replaced" in causes
    )


def test_a_refused_launch_is_a_failed_activity_and_backs_off(ec2, start_scaler):
    ec2.refuse["RunInstances"] = Refused(
        400, "InvalidAMIID.NotFound", "The image id '[ami-1]' does not exist"
    )
    scaler = start_scaler(ec2.url)
    failed = wait_for(
        lambda: [a for a in scaler.activities() if a["StatusCode"] == "Failed"],
        10,
        "a failed activity",
    )
    assert failed[0]["Progress"] == 100
    assert failed[0]["StatusMessage"] == (
        "The image id '[ami-1]' does not exist. Launching EC2 instance failed."
    )
    count = len(ec2.forms("RunInstances"))
    wait_for(lambda: len(ec2.forms("RunInstances")) > count, 20, "another attempt", 0.2)
    starts = sorted(a["StartTime"] for a in scaler.activities())
    assert (starts[-1] - starts[0]).total_seconds() >= 7
    ec2.refuse.clear()


def test_killed_after_a_launch_whose_answer_was_lost_doubles_nothing(ec2, start_scaler):
    ec2.lose_answers = True
    scaler = start_scaler(ec2.url)
    wait_for(lambda: len(ec2.running()) == 2, 10, "the launches")
    scaler.program.stop(signal.SIGKILL)
    ec2.lose_answers = False
    scaler.start()
    scaler.wait_in_service(2)
    assert sorted(ec2.running()) == sorted(scaler.in_service())
    assert len(ec2.instances) == 2


def test_sigterm_leaves_the_instances_and_a_restart_finds_them(ec2, start_scaler):
    scaler = start_scaler(ec2.url)
    scaler.wait_in_service(2)
    before = sorted(scaler.in_service())
    status, seconds = scaler.program.stop(signal.SIGTERM)
    assert status == 0 and seconds < 2
    assert len(ec2.running()) == 2
    scaler.start()
    assert sorted(scaler.in_service()) == before
    wait_for(
        lambda: len(ec2.forms("DescribeInstances")) > 5, 20, "EC2 to be asked again"
    )
    assert sorted(scaler.in_service()) == before
    assert len(ec2.instances) == 2


def test_an_ec2_that_is_down_is_reported_once_and_found_again(ec2, start_scaler):
    scaler = start_scaler(ec2.url)
    scaler.wait_in_service(2)
    port = ec2.server.server_port
    ec2.stop()
    scaler.program.wait_log("endpoint-down service=ec2", 15)
    scaler.api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=3)
    started = wait_for(
        lambda: [
            a for a in scaler.activities() if "no answer" in a.get("StatusMessage", "")
        ],
        15,
        "an activity that says so",
    )
    assert started[0]["StatusCode"] == "InProgress"
    assert 'service="ec2"} 0' in http_get(f"{scaler.url}/metrics")
    assert http_get(f"{scaler.url}/healthz") == "ok\n"
    again = FakeEc2(port)
    again.instances, again.ids = ec2.instances, ec2.ids
    scaler.program.wait_log("endpoint-up service=ec2", 15)
    scaler.wait_in_service(3, 40)
    assert scaler.program.log().count("endpoint-down service=ec2") == 1
    again.stop()


def test_terminating_one_instance_by_api_answers_with_its_activity(ec2, start_scaler):
    scaler = start_scaler(ec2.url)
    scaler.wait_in_service(2)
    victim = scaler.in_service()[0]
    activity = scaler.api.terminate_instance_in_auto_scaling_group(
        InstanceId=victim, ShouldDecrementDesiredCapacity=True
    )["Activity"]
    assert activity["Description"] == f"Terminating EC2 instance: {victim}"
    assert "in response to a user request, shrinking the capacity from 2 to 1" in (
        activity["Cause"]
    )
    wait_for(lambda: victim not in ec2.running(), 10, "it to end")
    assert scaler.group()["DesiredCapacity"] == 1


def test_deleting_by_force_ends_the_instances_and_keeps_the_activities(
    ec2, start_scaler
):
    scaler = start_scaler(ec2.url)
    scaler.wait_in_service(2)
    scaler.api.delete_auto_scaling_group(AutoScalingGroupName="web", ForceDelete=True)
    wait_for(lambda: scaler.group() is None, 10, "the group to go")
    assert ec2.running() == []
    answer = scaler.api.describe_scaling_activities(
        AutoScalingGroupName="web", IncludeDeletedGroups=True
    )
    assert len(answer["Activities"]) == 4


def test_a_foreign_instance_with_the_tag_is_left_alone(ec2, start_scaler):
    ec2.do_RunInstances(
        {
            "ClientToken": "somebody-else",
            "MaxCount": "1",
            "TagSpecification.1.Tag.1.Key": "albatross:autoscaling:groupName",
            "TagSpecification.1.Tag.1.Value": "web",
        }
    )
    foreign = next(iter(ec2.instances))
    ec2.instances[foreign]["launchTime"] = "2026-01-01T00:00:00.000Z"
    scaler = start_scaler(ec2.url)
    scaler.wait_in_service(2)
    assert foreign in ec2.running()
    assert foreign not in scaler.in_service()


def test_an_instance_that_a_person_calls_unhealthy_is_replaced(ec2, start_scaler):
    scaler = start_scaler(ec2.url)
    scaler.wait_in_service(2)
    victim = scaler.in_service()[0]
    scaler.api.set_instance_health(InstanceId=victim, HealthStatus="Unhealthy")
    wait_for(lambda: victim not in ec2.running(), 10, "it to end")
    scaler.wait_in_service(2)
    causes = " ".join(a["Cause"] for a in scaler.activities())
    assert "in response to a user health-check." in causes
    known = scaler.api.describe_auto_scaling_instances()["AutoScalingInstances"]
    assert {i["HealthStatus"] for i in known} == {"HEALTHY"}
