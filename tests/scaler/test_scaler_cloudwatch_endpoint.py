"""Metrics that only a CloudWatch elsewhere has: asked for, and scaled by. Another albatross-scaler is that CloudWatch."""

import datetime
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from conftest import client, wait_for  # noqa: E402
from fixtures import ec2, start_scaler  # noqa: E402, F401

MINUTE = datetime.timedelta(minutes=1)
BALANCER = "app/web/0123456789abcdef"
TARGETS = "targetgroup/web/0123456789abcdef"


def now():
    return datetime.datetime.now(datetime.timezone.utc)


@pytest.fixture
def far(start_scaler):
    """The CloudWatch client of the far one."""
    scaler = start_scaler(document={"Scaler": {"StateUrl": "memory:"}})
    return client("cloudwatch", scaler.url)


@pytest.fixture
def near(ec2, start_scaler, far):
    scaler = start_scaler(
        ec2.url, {"Scaler": {"CloudWatchEndpoint": far.meta.endpoint_url}}
    )
    scaler.api.create_auto_scaling_group(
        AutoScalingGroupName="web",
        MinSize=1,
        MaxSize=6,
        DesiredCapacity=2,
        LaunchTemplate={"LaunchTemplateName": "web", "Version": "1"},
        AvailabilityZones=["us-east-1a"],
        DefaultInstanceWarmup=0,
    )
    scaler.wait_in_service(2)
    return scaler


def put(cloudwatch, namespace, name, dimensions, values):
    """A value a minute, the newest that of the last whole one."""
    last = now().replace(second=0, microsecond=0)
    cloudwatch.put_metric_data(
        Namespace=namespace,
        MetricData=[
            {
                "MetricName": name,
                "Dimensions": dimensions,
                "Timestamp": last - (i + 1) * MINUTE,
                "Value": value,
            }
            for i, value in enumerate(values)
        ],
    )


def test_instances_cpu_use_that_aws_measures_is_tracked(near, far):
    for i in near.in_service():
        put(
            far,
            "AWS/EC2",
            "CPUUtilization",
            [{"Name": "InstanceId", "Value": i}],
            6 * [90],
        )
    near.api.put_scaling_policy(
        AutoScalingGroupName="web",
        PolicyName="cpu50",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "TargetValue": 50.0,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "ASGAverageCPUUtilization"
            },
        },
    )
    wait_for(lambda: near.group()["DesiredCapacity"] == 4, 30, "four")
    assert "TargetTracking-web-AlarmHigh" in near.activities()[0]["Cause"]
    points = client("cloudwatch", near.url).get_metric_statistics(
        Namespace="AWS/EC2",
        MetricName="CPUUtilization",
        Dimensions=[{"Name": "AutoScalingGroupName", "Value": "web"}],
        StartTime=now() - 10 * MINUTE,
        EndTime=now() + MINUTE,
        Period=60,
        Statistics=["Average", "SampleCount"],
    )["Datapoints"]
    # Each minute once, however often it was asked for.
    assert {(p["Average"], p["SampleCount"]) for p in points} == {(90.0, 2.0)}
    assert len(points) == 6


def test_a_forecast_has_its_history_from_there(near, far):
    both = [
        {"Name": "LoadBalancer", "Value": BALANCER},
        {"Name": "TargetGroup", "Value": TARGETS},
    ]
    start = now().replace(minute=0, second=0, microsecond=0)
    for day in range(2):
        far.put_metric_data(
            Namespace="AWS/ApplicationELB",
            MetricData=[
                {
                    "MetricName": "RequestCount",
                    "Dimensions": both,
                    "Timestamp": start
                    - datetime.timedelta(days=day, hours=hour + 1)
                    + i * 5 * MINUTE,
                    "Value": 1500,
                }
                for hour in range(24)
                for i in range(12)
            ],
        )
    near.api.put_scaling_policy(
        AutoScalingGroupName="web",
        PolicyName="ahead",
        PolicyType="PredictiveScaling",
        PredictiveScalingConfiguration={
            "MetricSpecifications": [
                {
                    "TargetValue": 100.0,
                    "PredefinedMetricPairSpecification": {
                        "PredefinedMetricType": "ALBRequestCount",
                        "ResourceLabel": f"{BALANCER}/{TARGETS}",
                    },
                }
            ]
        },
    )
    # 300 a minute
    wait_for(lambda: near.group().get("PredictedCapacity") == 3, 40, "the forecast")
