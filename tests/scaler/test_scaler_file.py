"""The configuration file: bad ones are refused in words, reloads change what they name."""

import copy
import operator
import signal
import socket
import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from conftest import client, free_port, wait_for  # noqa: E402
from fixtures import DOCUMENT, ec2, start_scaler  # noqa: E402, F401

POLICY = {
    "AutoScalingGroupName": "web",
    "PolicyName": "cpu",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingConfiguration": {
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "ASGAverageCPUUtilization"
        },
        "TargetValue": 50,
    },
}


def edited(**changes):
    document = copy.deepcopy(DOCUMENT)
    document["AutoScalingGroups"][0].update(changes)
    return document


@pytest.mark.parametrize(
    "document, words",
    [
        ('{"AutoScalingGroups": [', ["bad.json:1:", "expected"]),
        (edited(MinSizes=1), ["AutoScalingGroups[0]", "MinSizes", "MinSize"]),
        (
            edited(MinSize=3, MaxSize=2),
            ["AutoScalingGroups[0].MinSize", "3", "MaxSize"],
        ),
        (
            edited(LaunchTemplate={"LaunchTemplateName": "wep"}),
            ["AutoScalingGroups[0]", "wep"],
        ),
        (
            {
                **DOCUMENT,
                "ScalingPolicies": [{**POLICY, "PolicyType": "PredictiveScaling"}],
            },
            ["ScalingPolicies[0]", "PredictiveScalingConfiguration"],
        ),
        (
            {
                **DOCUMENT,
                "ScheduledActions": [
                    {
                        "AutoScalingGroupName": "web",
                        "ScheduledActionName": "morning",
                        "DesiredCapacity": 2,
                    }
                ],
            },
            ["ScheduledActions[0]", "a StartTime or a Recurrence is needed"],
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_name_the_place_and_the_reason(
    programs, document, words
):
    path = programs.config(document, "bad.json")
    status, output = programs.run("albatross-scaler", "-c", path, "-t")
    assert status == 1
    for word in ["bad.json", *words]:
        assert word in output, output


def test_a_good_file_is_ok(programs):
    path = programs.config(DOCUMENT, "good.json")
    status, output = programs.run("albatross-scaler", "-c", path, "-t")
    assert (status, output.strip().endswith(": good")) == (0, True)


def test_a_port_in_use_is_said(programs):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        path = programs.config({"Scaler": {"ApiAddress": address}})
        status, output = programs.run("albatross-scaler", "-c", path)
    assert status == 1
    assert address in output and "in use" in output.lower()


def test_a_reload_changes_what_the_file_names_and_keeps_the_capacity(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {**DOCUMENT, "ScalingPolicies": [POLICY]})
    scaler.wait_in_service(2)
    scaler.api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=3)
    scaler.api.create_auto_scaling_group(
        AutoScalingGroupName="by-api",
        MinSize=0,
        MaxSize=0,
        LaunchTemplate={"LaunchTemplateName": "web"},
        AvailabilityZones=["us-east-1a"],
    )
    scaler.wait_in_service(3)
    scaler.document["AutoScalingGroups"][0]["MaxSize"] = 6
    del scaler.document["ScalingPolicies"]
    scaler.write()
    scaler.program.send(signal.SIGHUP)
    scaler.program.wait_log(" reloaded ")
    group = scaler.group()
    assert (group["MaxSize"], group["DesiredCapacity"]) == (6, 3)
    assert scaler.api.describe_policies()["ScalingPolicies"] == []
    assert scaler.group("by-api")
    # A group that the file no longer names goes, with its instances.
    scaler.document["AutoScalingGroups"] = []
    scaler.write()
    scaler.program.send(signal.SIGHUP)
    wait_for(lambda: scaler.group() is None, 10, "the group to go")
    assert ec2.running() == []
    assert scaler.group("by-api")


def test_a_bad_reload_changes_nothing_and_says_why(ec2, start_scaler):
    scaler = start_scaler(ec2.url)
    scaler.wait_in_service(2)
    before = scaler.group()
    scaler.document["AutoScalingGroups"][0].update(MaxSize=9, Oops=1)
    scaler.write()
    scaler.program.send(signal.SIGHUP)
    scaler.program.wait_log(" not-reloaded .*Oops")
    # Correct in shape, but one policy cannot be: nothing of it applies.
    del scaler.document["AutoScalingGroups"][0]["Oops"]
    scaler.document["ScalingPolicies"] = [{**POLICY, "PolicyType": "PredictiveScaling"}]
    scaler.write()
    scaler.program.send(signal.SIGHUP)
    scaler.program.wait_log(" not-reloaded .*specify a PredictiveScalingConfiguration")
    assert scaler.group() == before


def test_the_file_again_after_a_restart_keeps_the_groups_identity(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {**DOCUMENT, "ScalingPolicies": [POLICY]})
    scaler.wait_in_service(2)
    scaler.api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=3)
    scaler.wait_in_service(3)
    before = scaler.group()
    scaler.program.stop()
    scaler.start()
    after = scaler.group()
    assert after["AutoScalingGroupARN"] == before["AutoScalingGroupARN"]
    assert after["DesiredCapacity"] == 3
    by_id = operator.itemgetter("InstanceId")
    assert sorted(after["Instances"], key=by_id) == sorted(
        before["Instances"], key=by_id
    )
    assert len(ec2.instances) == 3


def test_names_in_alarms_of_the_file_become_what_the_load_balancer_calls_them(
    programs,
):
    lb_port, port = free_port(), free_port()
    # One file for both programs, as they are run without the lab.
    document = {
        "Lb": {"ApiAddress": f"127.0.0.1:{lb_port}", "Workers": 1},
        "TargetGroups": [{"Name": "web", "Protocol": "HTTP", "Port": 80}],
        "LoadBalancers": [
            {
                "Name": "front",
                "ListenAddress": "127.0.0.1",
                "Listeners": [
                    {
                        "Protocol": "HTTP",
                        "Port": free_port(),
                        "DefaultActions": [
                            {"Type": "forward", "TargetGroupArn": "web"}
                        ],
                    }
                ],
            }
        ],
        "Scaler": {
            "ApiAddress": f"127.0.0.1:{port}",
            "Ec2Endpoint": "http://127.0.0.1:1",
            "ElbEndpoint": f"http://127.0.0.1:{lb_port}",
        },
        "AutoScalingGroups": [
            {
                "AutoScalingGroupName": "web",
                "MinSize": 0,
                "MaxSize": 1,
                "LaunchTemplate": {"LaunchTemplateName": "web"},
                "TargetGroupARNs": ["web"],
            }
        ],
        "MetricAlarms": [
            {
                "AlarmName": "sick",
                "Namespace": "AWS/ApplicationELB",
                "MetricName": "UnHealthyHostCount",
                "Dimensions": [
                    {"Name": "TargetGroup", "Value": "web"},
                    {"Name": "LoadBalancer", "Value": "front"},
                ],
                "Statistic": "Maximum",
                "Period": 10,
                "EvaluationPeriods": 1,
                "Threshold": 0,
                "ComparisonOperator": "GreaterThanThreshold",
            }
        ],
    }
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    path = programs.config(document)
    programs.start("albatross-lb", "-c", path)
    program = programs.start("albatross-scaler", "-c", path, env=keys)
    cloudwatch = client("cloudwatch", f"http://127.0.0.1:{port}")

    def values():
        alarm = cloudwatch.describe_alarms(AlarmNames=["sick"])["MetricAlarms"][0]
        return {d["Name"]: d["Value"] for d in alarm["Dimensions"]}

    def are_named():
        found = values()
        return found["TargetGroup"].startswith("targetgroup/web/") and found[
            "LoadBalancer"
        ].startswith("app/front/")

    wait_for(are_named, 10, "the names")
    document["MetricAlarms"][0]["Threshold"] = 1
    programs.config(document)
    program.send(signal.SIGHUP)
    program.wait_log("reloaded")
    assert are_named()
