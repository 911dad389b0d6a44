"""The Auto Scaling API through boto3: no EC2 is needed for what it answers."""

import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from conftest import client, refused, wait_for  # noqa: E402
from fixtures import start_scaler  # noqa: E402, F401

GROUP = {
    "AutoScalingGroupName": "api",
    "MinSize": 0,
    "MaxSize": 3,
    "LaunchTemplate": {"LaunchTemplateName": "web", "Version": "1"},
    "AvailabilityZones": ["us-east-1a"],
}
ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/{}/0123456789abcdef"


@pytest.fixture
def scaler(start_scaler):
    return start_scaler(document={})


def test_a_group_is_created_described_updated_and_deleted(scaler):
    api = scaler.api
    api.create_auto_scaling_group(**GROUP)
    group = scaler.group("api")
    assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"]) == (0, 3, 0)
    assert group["DefaultCooldown"] == 300
    assert group["HealthCheckType"] == "EC2"
    assert group["TerminationPolicies"] == ["Default"]
    assert group["AutoScalingGroupARN"].startswith(
        "arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:"
    )
    assert group["LaunchTemplate"] == {"LaunchTemplateName": "web", "Version": "1"}
    assert "Status" not in group
    assert refused("AlreadyExists", api.create_auto_scaling_group, **GROUP) == (
        "AutoScalingGroup by this name already exists - "
        "A group with the name api already exists"
    )
    api.update_auto_scaling_group(
        AutoScalingGroupName="api", MaxSize=5, HealthCheckGracePeriod=60
    )
    group = scaler.group("api")
    assert (group["MaxSize"], group["HealthCheckGracePeriod"]) == (5, 60)
    api.delete_auto_scaling_group(AutoScalingGroupName="api")
    wait_for(lambda: scaler.group("api") is None, 5, "the group to go")


@pytest.mark.parametrize(
    "call, more",
    [
        ("update_auto_scaling_group", {}),
        ("delete_auto_scaling_group", {}),
        ("set_desired_capacity", {"DesiredCapacity": 1}),
        ("attach_load_balancer_target_groups", {"TargetGroupARNs": [ARN.format("a")]}),
        ("describe_policies", {}),
        ("describe_scaling_activities", {}),
    ],
)
def test_an_unknown_group_is_a_validation_error_that_says_not_found(scaler, call, more):
    text = refused(
        "ValidationError",
        getattr(scaler.api, call),
        AutoScalingGroupName="nobody",
        **more,
    )
    assert "not found" in text and "nobody" in text


@pytest.mark.parametrize(
    "change, words",
    [
        ({"MinSize": 4}, "between the specified min size"),
        ({"MinSize": -1}, "greater than or equal to 0"),
        ({"DesiredCapacity": 9}, "between the specified min size"),
        ({"LaunchTemplate": None}, "LaunchTemplate"),
        ({"AvailabilityZones": None}, "At least one Availability Zone or VPC Subnet"),
        ({"AutoScalingGroupName": "a:b"}, "not valid"),
        ({"HealthCheckType": "VPC_LATTICE"}, "not supported"),
        ({"TerminationPolicies": ["Default", "OldestInstance"]}, "must be the last"),
    ],
)
def test_a_group_that_cannot_be_is_refused_in_words(scaler, change, words):
    input_ = {k: v for k, v in {**GROUP, **change}.items() if v is not None}
    assert words in refused(
        "ValidationError", scaler.api.create_auto_scaling_group, **input_
    )
    assert scaler.api.describe_auto_scaling_groups()["AutoScalingGroups"] == []


def test_desired_capacity_outside_the_limits_is_refused_in_aws_words(scaler):
    scaler.api.create_auto_scaling_group(**GROUP)
    assert refused(
        "ValidationError",
        scaler.api.set_desired_capacity,
        AutoScalingGroupName="api",
        DesiredCapacity=4,
    ) == (
        "New SetDesiredCapacity value 4 is above max value 3 for the AutoScalingGroup."
    )


def test_groups_are_paged_and_filtered(scaler):
    api = scaler.api
    for n in range(5):
        api.create_auto_scaling_group(
            **{
                **GROUP,
                "AutoScalingGroupName": f"g{n}",
                "Tags": [{"Key": "n", "Value": str(n % 2)}],
            }
        )
    pages = list(
        api.get_paginator("describe_auto_scaling_groups").paginate(
            PaginationConfig={"PageSize": 2}
        )
    )
    assert [len(p["AutoScalingGroups"]) for p in pages] == [2, 2, 1]
    found = api.describe_auto_scaling_groups(
        Filters=[{"Name": "tag:n", "Values": ["1"]}]
    )["AutoScalingGroups"]
    assert [g["AutoScalingGroupName"] for g in found] == ["g1", "g3"]
    refused("InvalidNextToken", api.describe_auto_scaling_groups, NextToken="x")


def test_tags_are_set_changed_and_deleted(scaler):
    api = scaler.api
    api.create_auto_scaling_group(**GROUP)
    tag = {
        "ResourceId": "api",
        "ResourceType": "auto-scaling-group",
        "Key": "team",
        "Value": "blue",
        "PropagateAtLaunch": True,
    }
    api.create_or_update_tags(Tags=[tag])
    api.create_or_update_tags(Tags=[{**tag, "Value": "red"}])
    assert api.describe_tags()["Tags"] == [{**tag, "Value": "red"}]
    api.delete_tags(Tags=[{k: tag[k] for k in ("ResourceId", "ResourceType", "Key")}])
    assert api.describe_tags()["Tags"] == []


def policy(**change):
    return {
        "AutoScalingGroupName": "api",
        "PolicyName": "cpu",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingConfiguration": {
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "ASGAverageCPUUtilization"
            },
            "TargetValue": 50.0,
        },
        **change,
    }


def test_a_target_tracking_policy_has_two_alarms_that_go_with_it(scaler):
    api, cloudwatch = scaler.api, client("cloudwatch", scaler.url)
    api.create_auto_scaling_group(**GROUP)
    answer = api.put_scaling_policy(**policy())
    names = [a["AlarmName"] for a in answer["Alarms"]]
    assert names[0].startswith("TargetTracking-api-AlarmHigh-")
    assert names[1].startswith("TargetTracking-api-AlarmLow-")
    alarms = {a["AlarmName"]: a for a in cloudwatch.describe_alarms()["MetricAlarms"]}
    high = alarms[names[0]]
    assert (high["Threshold"], high["EvaluationPeriods"]) == (50.0, 3)
    assert high["AlarmActions"] == [answer["PolicyARN"]]
    assert high["AlarmDescription"] == (
        "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy "
        f"{answer['PolicyARN']}."
    )
    assert alarms[names[1]]["EvaluationPeriods"] == 15
    again = api.put_scaling_policy(**policy(EstimatedInstanceWarmup=30))
    assert again["PolicyARN"] == answer["PolicyARN"]
    shown = api.describe_policies(AutoScalingGroupName="api")["ScalingPolicies"]
    assert len(shown) == 1
    assert shown[0]["EstimatedInstanceWarmup"] == 30
    assert shown[0]["Enabled"] is True
    assert "PredictiveScalingConfiguration" not in shown[0]
    api.delete_policy(AutoScalingGroupName="api", PolicyName="cpu")
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []
    refused(
        "ValidationError",
        api.delete_policy,
        AutoScalingGroupName="api",
        PolicyName="cpu",
    )


def test_a_group_named_like_an_alarm_has_a_low_alarm_too(scaler):
    name = "web-AlarmHigh-1"
    scaler.api.create_auto_scaling_group(**{**GROUP, "AutoScalingGroupName": name})
    answer = scaler.api.put_scaling_policy(**policy(AutoScalingGroupName=name))
    names = [a["AlarmName"] for a in answer["Alarms"]]
    cloudwatch = client("cloudwatch", scaler.url)
    alarms = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    assert {a["ComparisonOperator"] for a in alarms} == {
        "GreaterThanThreshold",
        "LessThanThreshold",
    }


def test_predictive_policies_are_refused_in_words(scaler):
    scaler.api.create_auto_scaling_group(**GROUP)
    text = refused(
        "ValidationError",
        scaler.api.put_scaling_policy,
        **policy(PolicyType="Psychic"),
    )
    assert text.startswith("The policy type 'Psychic' is not valid")


def test_target_groups_are_attached_and_detached(scaler):
    api = scaler.api
    api.create_auto_scaling_group(**GROUP)
    arns = [ARN.format("one"), ARN.format("two")]
    api.attach_load_balancer_target_groups(
        AutoScalingGroupName="api", TargetGroupARNs=arns
    )
    assert scaler.group("api")["TargetGroupARNs"] == arns
    shown = api.describe_load_balancer_target_groups(AutoScalingGroupName="api")
    assert [
        g["LoadBalancerTargetGroupARN"] for g in shown["LoadBalancerTargetGroups"]
    ] == arns
    api.detach_load_balancer_target_groups(
        AutoScalingGroupName="api", TargetGroupARNs=arns[:1]
    )
    assert scaler.group("api")["TargetGroupARNs"] == arns[1:]
    refused(
        "ValidationError",
        api.attach_load_balancer_target_groups,
        AutoScalingGroupName="api",
        TargetGroupARNs=["web"],
    )


def test_an_unknown_instance_is_a_validation_error(scaler):
    text = refused(
        "ValidationError",
        scaler.api.terminate_instance_in_auto_scaling_group,
        InstanceId="i-0123456789abcdef0",
        ShouldDecrementDesiredCapacity=True,
    )
    assert "not found" in text


def test_state_survives_a_restart(scaler):
    scaler.api.create_auto_scaling_group(**GROUP)
    scaler.api.put_scaling_policy(**policy())
    before = scaler.group("api")
    alarms = scaler.api.describe_policies()["ScalingPolicies"][0]["Alarms"]
    scaler.program.stop()
    scaler.start()
    assert scaler.group("api") == before
    assert scaler.api.describe_policies()["ScalingPolicies"][0]["Alarms"] == alarms
