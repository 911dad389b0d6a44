"""Step and simple policies through boto3: put, run by people and by alarms, with a fake EC2."""

import json
import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from conftest import client, refused, wait_for  # noqa: E402
from fixtures import ec2, start_scaler  # noqa: E402, F401

GROUP = {
    "AutoScalingGroupName": "web",
    "MinSize": 1,
    "MaxSize": 6,
    "LaunchTemplate": {"LaunchTemplateName": "web", "Version": "1"},
    "AvailabilityZones": ["us-east-1a"],
    "DefaultInstanceWarmup": 0,
}
STEP = {
    "AutoScalingGroupName": "web",
    "PolicyName": "step",
    "PolicyType": "StepScaling",
    "AdjustmentType": "ChangeInCapacity",
    "StepAdjustments": [
        {
            "MetricIntervalLowerBound": 0,
            "MetricIntervalUpperBound": 20,
            "ScalingAdjustment": 1,
        },
        {"MetricIntervalLowerBound": 20, "ScalingAdjustment": 3},
    ],
}
SIMPLE = {
    "AutoScalingGroupName": "web",
    "PolicyName": "plus",
    "AdjustmentType": "ChangeInCapacity",
    "ScalingAdjustment": 1,
}


@pytest.fixture
def scaler(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    scaler.api.create_auto_scaling_group(**GROUP)
    return scaler


def desired(scaler):
    return scaler.group()["DesiredCapacity"]


def test_policies_are_described_with_what_belongs_to_their_kind(scaler):
    api = scaler.api
    # Terraform sends zeros for what it read as unset.
    api.put_scaling_policy(**STEP, Cooldown=0)
    api.put_scaling_policy(**SIMPLE, Cooldown=60, EstimatedInstanceWarmup=0)
    plus, step = sorted(
        api.describe_policies()["ScalingPolicies"], key=lambda p: p["PolicyName"]
    )
    assert step["PolicyType"] == "StepScaling"
    assert step["MetricAggregationType"] == "Average"
    assert step["StepAdjustments"] == STEP["StepAdjustments"]
    assert step["Enabled"] is True and step["Alarms"] == []
    assert not {"Cooldown", "MinAdjustmentMagnitude", "ScalingAdjustment"} & set(step)
    assert plus["PolicyType"] == "SimpleScaling"
    assert (plus["ScalingAdjustment"], plus["Cooldown"]) == (1, 60)
    assert not {"EstimatedInstanceWarmup", "MetricAggregationType"} & set(plus)
    only = api.describe_policies(PolicyTypes=["StepScaling"])["ScalingPolicies"]
    assert [p["PolicyName"] for p in only] == ["step"]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"AdjustmentType": None}, "AdjustmentType"),
        ({"AdjustmentType": "Double"}, "not valid"),
        ({"StepAdjustments": []}, "At least one StepAdjustment"),
        ({"StepAdjustments": [{"ScalingAdjustment": 1}]}, "needs a"),
        (
            {
                "StepAdjustments": [
                    {"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1},
                    {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 2},
                ]
            },
            "overlap",
        ),
        (
            {
                "StepAdjustments": [
                    {
                        "MetricIntervalLowerBound": 0,
                        "MetricIntervalUpperBound": 5,
                        "ScalingAdjustment": 1,
                    },
                    {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 2},
                ]
            },
            "gap",
        ),
        (
            {
                "StepAdjustments": [
                    {
                        "MetricIntervalLowerBound": -5,
                        "MetricIntervalUpperBound": 0,
                        "ScalingAdjustment": -1,
                    },
                ]
            },
            "no MetricIntervalLowerBound",
        ),
        (
            {
                "StepAdjustments": [
                    {
                        "MetricIntervalLowerBound": 0,
                        "MetricIntervalUpperBound": 5,
                        "ScalingAdjustment": 1,
                    },
                ]
            },
            "no MetricIntervalUpperBound",
        ),
        ({"MinAdjustmentMagnitude": 2}, "MinAdjustmentMagnitude"),
        ({"ScalingAdjustment": 2}, "not supported for policy type: StepScaling"),
        ({"MetricAggregationType": "Median"}, "MetricAggregationType"),
    ],
)
def test_a_step_policy_that_cannot_be_is_refused_in_words(scaler, change, words):
    input_ = {k: v for k, v in {**STEP, **change}.items() if v is not None}
    assert words in refused("ValidationError", scaler.api.put_scaling_policy, **input_)
    assert scaler.api.describe_policies()["ScalingPolicies"] == []


def test_a_policy_is_executed_by_hand(scaler):
    api = scaler.api
    api.put_scaling_policy(**STEP)
    arn = api.put_scaling_policy(**SIMPLE)["PolicyARN"]
    scaler.wait_in_service(1)
    assert "MetricValue" in refused(
        "ValidationError",
        api.execute_policy,
        AutoScalingGroupName="web",
        PolicyName="step",
    )
    api.execute_policy(
        AutoScalingGroupName="web",
        PolicyName="step",
        MetricValue=75,
        BreachThreshold=50,
    )
    assert desired(scaler) == 4
    scaler.wait_in_service(4)
    api.execute_policy(PolicyName=arn)
    assert desired(scaler) == 5
    scaler.wait_in_service(5)
    # The default cooldown of 300 s has only begun.
    refused(
        "ScalingActivityInProgress",
        api.execute_policy,
        PolicyName=arn,
        HonorCooldown=True,
    )
    refused(
        "ScalingActivityInProgress",
        api.set_desired_capacity,
        AutoScalingGroupName="web",
        DesiredCapacity=1,
        HonorCooldown=True,
    )
    causes = [a["Cause"] for a in scaler.activities()]
    assert any(
        "a user request executed policy step changing the desired capacity from 1 to 4"
        in cause
        for cause in causes
    )
    assert "not found" in refused(
        "ValidationError",
        api.execute_policy,
        AutoScalingGroupName="web",
        PolicyName="nobody",
    )


def test_an_alarm_runs_its_policy_and_the_activity_names_it(scaler):
    api, cloudwatch = scaler.api, client("cloudwatch", scaler.url)
    arn = api.put_scaling_policy(**STEP)["PolicyARN"]
    scaler.wait_in_service(1)
    cloudwatch.put_metric_alarm(
        AlarmName="busy",
        Namespace="Test",
        MetricName="Load",
        Statistic="Average",
        Period=10,
        EvaluationPeriods=1,
        Threshold=50,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[arn],
    )
    shown = api.describe_policies()["ScalingPolicies"][0]["Alarms"]
    assert [a["AlarmName"] for a in shown] == ["busy"]
    assert shown[0]["AlarmARN"].endswith(":alarm:busy")
    cloudwatch.set_alarm_state(
        AlarmName="busy",
        StateValue="ALARM",
        StateReason="by hand",
        StateReasonData=json.dumps(
            {"version": "1.0", "recentDatapoints": [75.0], "threshold": 50.0}
        ),
    )
    wait_for(lambda: desired(scaler) == 4, 5, "three more")
    scaler.wait_in_service(4)
    activity = scaler.activities()[0]
    assert (
        "a monitor alarm busy in state ALARM triggered policy step "
        "changing the desired capacity from 1 to 4" in activity["Cause"]
    )
    [invoking] = json.loads(activity["Details"])["InvokingAlarms"]
    assert invoking["AlarmName"] == "busy"
    assert invoking["Trigger"]["Statistic"] == "AVERAGE"
    assert invoking["Trigger"]["MetricName"] == "Load"
    # A policy that goes takes itself out of the alarm; the alarm stays.
    api.delete_policy(AutoScalingGroupName="web", PolicyName="step")
    [alarm] = cloudwatch.describe_alarms(AlarmNames=["busy"])["MetricAlarms"]
    assert alarm["AlarmActions"] == []


def test_a_policy_may_change_its_kind(scaler):
    api, cloudwatch = scaler.api, client("cloudwatch", scaler.url)
    first = api.put_scaling_policy(**SIMPLE)["PolicyARN"]
    answer = api.put_scaling_policy(
        AutoScalingGroupName="web",
        PolicyName="plus",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "ASGAverageCPUUtilization"
            },
            "TargetValue": 50.0,
        },
    )
    assert answer["PolicyARN"] == first and len(answer["Alarms"]) == 2
    assert len(cloudwatch.describe_alarms()["MetricAlarms"]) == 2
    assert api.put_scaling_policy(**SIMPLE)["Alarms"] == []
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []
