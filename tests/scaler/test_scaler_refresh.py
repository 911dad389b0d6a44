"""Instance refreshes through boto3, with a fake EC2."""

import sys
import pathlib
import urllib.error
import urllib.parse
import urllib.request

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from conftest import refused, wait_for  # noqa: E402
from fixtures import ec2, start_scaler  # noqa: E402, F401

GROUP = {
    "AutoScalingGroupName": "web",
    "MinSize": 0,
    "MaxSize": 4,
    "DesiredCapacity": 2,
    "LaunchTemplate": {"LaunchTemplateName": "web", "Version": "1"},
    "AvailabilityZones": ["us-east-1a"],
}

SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/"
    "autoscaling/aws4_request, SignedHeaders=host, Signature=0"
}


@pytest.fixture
def scaler(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    scaler.api.create_auto_scaling_group(**GROUP)
    scaler.wait_in_service(2)
    return scaler


def query(scaler, action, **members):
    """For what boto3's models do not know yet."""
    form = {"Action": action, "Version": "2011-01-01", **members}
    request = urllib.request.Request(
        scaler.url, urllib.parse.urlencode(form).encode(), SIGNED
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def shown(scaler):
    return scaler.api.describe_instance_refreshes(AutoScalingGroupName="web")[
        "InstanceRefreshes"
    ]


def wait_status(scaler, status):
    wait_for(lambda: shown(scaler)[0]["Status"] == status, 20, status)


def start(scaler, **more):
    return scaler.api.start_instance_refresh(AutoScalingGroupName="web", **more)[
        "InstanceRefreshId"
    ]


def test_all_instances_are_replaced(ec2, scaler):
    before = set(scaler.in_service())
    # As Terraform sends it.
    refresh = start(
        scaler,
        Strategy="Rolling",
        Preferences={"MinHealthyPercentage": 50, "InstanceWarmup": 0},
    )
    assert shown(scaler)[0]["InstanceRefreshId"] == refresh
    text = refused(
        "InstanceRefreshInProgress",
        scaler.api.start_instance_refresh,
        AutoScalingGroupName="web",
    )
    assert text.startswith("An Instance Refresh is already in progress")
    wait_status(scaler, "Successful")
    [done] = shown(scaler)
    assert (done["PercentageComplete"], done["InstancesToUpdate"]) == (100, 0)
    assert done["EndTime"] >= done["StartTime"]
    assert done["Preferences"]["MinHealthyPercentage"] == 50
    assert done["Preferences"]["SkipMatching"] is False
    scaler.wait_in_service(2)
    assert not before & set(scaler.in_service())
    refused(
        "ActiveInstanceRefreshNotFound",
        scaler.api.cancel_instance_refresh,
        AutoScalingGroupName="web",
    )


def test_the_desired_configuration_becomes_the_groups(ec2, scaler):
    start(
        scaler,
        DesiredConfiguration={
            "LaunchTemplate": {"LaunchTemplateName": "web", "Version": "3"}
        },
        Preferences={"MinHealthyPercentage": 0, "InstanceWarmup": 0},
    )
    wait_status(scaler, "Successful")
    assert ec2.forms("RunInstances")[-1]["LaunchTemplate.Version"] == "3"
    template = scaler.group()["LaunchTemplate"]
    assert (template["LaunchTemplateName"], template["Version"]) == ("web", "3")


def test_what_matches_is_skipped(ec2, scaler):
    before = set(scaler.in_service())
    start(scaler, Preferences={"SkipMatching": True, "InstanceWarmup": 0})
    wait_status(scaler, "Successful")
    assert set(scaler.in_service()) == before
    # $Latest is asked for anew: version 3 is not what runs.
    scaler.api.update_auto_scaling_group(
        AutoScalingGroupName="web",
        LaunchTemplate={"LaunchTemplateName": "web", "Version": "$Latest"},
    )
    start(
        scaler,
        Preferences={
            "SkipMatching": True,
            "InstanceWarmup": 0,
            "MinHealthyPercentage": 0,
        },
    )
    wait_status(scaler, "Successful")
    assert not before & set(scaler.in_service())
    assert len(shown(scaler)) == 2


def test_a_refresh_is_cancelled_and_survives_a_restart(scaler):
    start(scaler, Preferences={"InstanceWarmup": 3600})
    wait_status(scaler, "InProgress")
    scaler.program.stop()
    scaler.start()
    wait_for(
        lambda: "warm" in shown(scaler)[0].get("StatusReason", ""), 15, "the reason"
    )
    scaler.api.cancel_instance_refresh(AutoScalingGroupName="web")
    assert shown(scaler)[0]["Status"] in ("Cancelling", "Cancelled")


def test_a_refresh_without_configuration_cannot_be_rolled_back(scaler):
    start(scaler, Preferences={"InstanceWarmup": 3600})
    wait_status(scaler, "InProgress")
    status, body = query(scaler, "RollbackInstanceRefresh", AutoScalingGroupName="web")
    assert status == 400 and "IrreversibleInstanceRefresh" in body


@pytest.mark.parametrize(
    "preferences, words",
    [
        ({"CheckpointPercentages": [50, 20]}, "ascending"),
        ({"CheckpointDelay": 10}, "CheckpointPercentages"),
        ({"MinHealthyPercentage": 101}, "100"),
    ],
)
def test_preferences_that_cannot_be_are_refused(scaler, preferences, words):
    assert words in refused(
        "ValidationError",
        scaler.api.start_instance_refresh,
        AutoScalingGroupName="web",
        Preferences=preferences,
    )
    assert shown(scaler) == []


def test_newer_preferences_are_shown_and_a_rollback_goes_back(ec2, scaler):
    before = set(scaler.in_service())
    status, body = query(
        scaler,
        "StartInstanceRefresh",
        **{
            "AutoScalingGroupName": "web",
            "DesiredConfiguration.LaunchTemplate.LaunchTemplateName": "web",
            "DesiredConfiguration.LaunchTemplate.Version": "3",
            "Preferences.MinHealthyPercentage": "100",
            "Preferences.MaxHealthyPercentage": "150",
            "Preferences.InstanceWarmup": "0",
            "Preferences.AutoRollback": "true",
            "Preferences.BakeTime": "600",
        },
    )
    assert status == 200, body
    wait_for(
        lambda: "<Status>Baking</Status>"
        in query(scaler, "DescribeInstanceRefreshes", AutoScalingGroupName="web")[1],
        20,
        "the bake",
    )
    status, body = query(scaler, "RollbackInstanceRefresh", AutoScalingGroupName="web")
    assert status == 200, body
    wait_for(
        lambda: "<Status>RollbackSuccessful</Status>"
        in query(scaler, "DescribeInstanceRefreshes", AutoScalingGroupName="web")[1],
        20,
        "the way back",
    )
    body = query(scaler, "DescribeInstanceRefreshes", AutoScalingGroupName="web")[1]
    assert "<PercentageCompleteOnRollback>100</PercentageCompleteOnRollback>" in body
    assert "<MaxHealthyPercentage>150</MaxHealthyPercentage>" in body
    assert ec2.forms("RunInstances")[-1]["LaunchTemplate.Version"] == "1"
    assert scaler.group()["LaunchTemplate"]["Version"] == "1"
    scaler.wait_in_service(2)
    assert not before & set(scaler.in_service())
