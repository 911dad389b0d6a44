"""Launch configurations through boto3, and what EC2 is asked for with them."""

import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from conftest import refused, wait_for  # noqa: E402
from fixtures import ec2, start_scaler  # noqa: E402, F401

CONFIG = {
    "LaunchConfigurationName": "old",
    "ImageId": "ami-0123456789abcdef0",
    "InstanceType": "t2.micro",
}
GROUP = {
    "AutoScalingGroupName": "web",
    "MinSize": 0,
    "MaxSize": 4,
    "DesiredCapacity": 1,
    "LaunchConfigurationName": "old",
    "AvailabilityZones": ["us-east-1a"],
}


@pytest.fixture
def scaler(ec2, start_scaler):
    return start_scaler(ec2.url, {})


def test_a_configuration_is_created_shown_kept_and_deleted(scaler):
    api = scaler.api
    api.create_launch_configuration(**CONFIG)
    [shown] = api.describe_launch_configurations()["LaunchConfigurations"]
    assert shown["LaunchConfigurationARN"].endswith(":launchConfigurationName/old")
    assert (shown["ImageId"], shown["InstanceType"], shown["UserData"]) == (
        "ami-0123456789abcdef0",
        "t2.micro",
        "",
    )
    assert shown["InstanceMonitoring"] == {"Enabled": True}
    assert shown["EbsOptimized"] is False and shown["SecurityGroups"] == []
    refused("AlreadyExists", api.create_launch_configuration, **CONFIG)
    scaler.program.stop()
    scaler.start()
    assert api.describe_launch_configurations(LaunchConfigurationNames=["old", "x"])[
        "LaunchConfigurations"
    ] == [shown]
    assert api.describe_account_limits()["NumberOfLaunchConfigurations"] == 1
    api.create_auto_scaling_group(**{**GROUP, "DesiredCapacity": 0})
    assert "attached to AutoScalingGroup web" in refused(
        "ResourceInUse", api.delete_launch_configuration, LaunchConfigurationName="old"
    )
    api.delete_auto_scaling_group(AutoScalingGroupName="web")
    wait_for(lambda: scaler.group() is None, 5, "the group to go")
    api.delete_launch_configuration(LaunchConfigurationName="old")
    assert api.describe_launch_configurations()["LaunchConfigurations"] == []
    assert "not found" in refused(
        "ValidationError",
        api.delete_launch_configuration,
        LaunchConfigurationName="old",
    )


def test_a_group_launches_what_its_configuration_says(ec2, scaler):
    scaler.api.create_launch_configuration(
        **CONFIG,
        UserData="#!/bin/sh\n",  # boto3 encodes it
        SecurityGroups=["sg-0123456789abcdef0"],
        IamInstanceProfile="web",
        AssociatePublicIpAddress=True,
        BlockDeviceMappings=[{"DeviceName": "/dev/xvdb", "NoDevice": True}],
    )
    scaler.api.create_auto_scaling_group(**GROUP)
    scaler.wait_in_service(1)
    [form] = ec2.forms("RunInstances")
    assert form["ImageId"] == "ami-0123456789abcdef0"
    assert form["UserData"] == "IyEvYmluL3NoCg=="
    assert form["IamInstanceProfile.Name"] == "web"
    assert form["NetworkInterface.1.AssociatePublicIpAddress"] == "true"
    assert form["NetworkInterface.1.SecurityGroupId.1"] == "sg-0123456789abcdef0"
    assert form["BlockDeviceMapping.1.NoDevice"] == ""
    assert not any(name.startswith("LaunchTemplate") for name in form)
    group = scaler.group()
    assert group["LaunchConfigurationName"] == "old" and "LaunchTemplate" not in group
    assert group["Instances"][0]["LaunchConfigurationName"] == "old"
    # A template in its place, and a refresh that brings it in.
    scaler.api.update_auto_scaling_group(
        AutoScalingGroupName="web",
        LaunchTemplate={"LaunchTemplateName": "web", "Version": "1"},
    )
    assert "LaunchConfigurationName" not in scaler.group()
    scaler.api.start_instance_refresh(
        AutoScalingGroupName="web",
        Preferences={
            "MinHealthyPercentage": 0,
            "InstanceWarmup": 0,
            "SkipMatching": True,
        },
    )
    wait_for(
        lambda: "LaunchTemplate" in (scaler.group()["Instances"] or [{}])[0],
        15,
        "an instance of the template",
    )


@pytest.mark.parametrize(
    "change, words",
    [
        ({"ImageId": None}, "ImageId"),
        ({"InstanceType": None}, "InstanceType"),
        ({"SpotPrice": "0.1"}, "SpotPrice is not supported"),
        ({"LaunchConfigurationName": "a b"}, "no spaces"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(scaler, change, words):
    input_ = {k: v for k, v in {**CONFIG, **change}.items() if v is not None}
    assert words in refused(
        "ValidationError", scaler.api.create_launch_configuration, **input_
    )


def test_a_group_has_one_source_that_exists(scaler):
    assert "Launch configuration name not found" in refused(
        "ValidationError", scaler.api.create_auto_scaling_group, **GROUP
    )
    scaler.api.create_launch_configuration(**CONFIG)
    assert "not both" in refused(
        "ValidationError",
        scaler.api.create_auto_scaling_group,
        **GROUP,
        LaunchTemplate={"LaunchTemplateName": "web"},
    )
