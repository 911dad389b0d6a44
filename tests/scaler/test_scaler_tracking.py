"""Policies that track something, through the API and the file: metric math, windows, load tracking."""

import copy
import datetime
import pathlib
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

import botocore.exceptions
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from conftest import client, wait_for  # noqa: E402
from fixtures import DOCUMENT, ec2, start_scaler  # noqa: E402, F401

GROUP = {
    "AutoScalingGroupName": "web",
    "MinSize": 0,
    "MaxSize": 6,
    "LaunchTemplate": {"LaunchTemplateName": "web", "Version": "1"},
    "AvailabilityZones": ["us-east-1a"],
    "DefaultInstanceWarmup": 0,
}
LABEL = "app/web/0123456789abcdef/targetgroup/web/fedcba9876543210"
ALB = [
    {"Name": "LoadBalancer", "Value": "app/web/0123456789abcdef"},
    {"Name": "TargetGroup", "Value": "targetgroup/web/fedcba9876543210"},
]
SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/"
    "autoscaling/aws4_request, SignedHeaders=host, Signature=0"
}


def queue(expression="FILL(visible,0)/IF(serving<1,1,serving)", period=None):
    def stat(namespace, name, dimensions, stat):
        metric = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions}
        return {
            "Metric": metric,
            "Stat": stat,
            **({"Period": period} if period else {}),
        }

    return [
        {
            "Id": "visible",
            "MetricStat": stat(
                "AWS/SQS",
                "ApproximateNumberOfMessagesVisible",
                [{"Name": "QueueName", "Value": "jobs"}],
                "Average",
            ),
            "ReturnData": False,
        },
        {
            "Id": "serving",
            "MetricStat": stat(
                "AWS/AutoScaling",
                "GroupInServiceInstances",
                [{"Name": "AutoScalingGroupName", "Value": "web"}],
                "Average",
            ),
            "ReturnData": False,
        },
        {
            "Id": "backlog",
            "Expression": expression,
            "Label": "backlog",
            "ReturnData": True,
        },
    ]


def tracking(spec, target=100, **more):
    return {
        "AutoScalingGroupName": "web",
        "PolicyName": "track",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingConfiguration": {"TargetValue": target, **spec, **more},
    }


def flat(prefix, value):
    """Query's form of a document."""
    if isinstance(value, dict):
        pairs = [(f"{prefix}.{k}" if prefix else k, v) for k, v in value.items()]
    elif isinstance(value, list):
        pairs = [(f"{prefix}.member.{i}", v) for i, v in enumerate(value, 1)]
    else:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return {prefix: text}
    return {k: v for name, one in pairs for k, v in flat(name, one).items()}


def query(scaler, action, members):
    form = {"Action": action, "Version": "2011-01-01", **flat("", members)}
    request = urllib.request.Request(
        scaler.url, urllib.parse.urlencode(form).encode(), SIGNED
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def scaler(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    scaler.api.create_auto_scaling_group(**GROUP)
    return scaler


@pytest.fixture
def send(scaler):
    """Sends a datapoint for each second, from half a minute back, until the test ends."""
    cloudwatch, over, threads = client("cloudwatch", scaler.url), threading.Event(), []

    def put(namespace, at, data):
        cloudwatch.put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": dimensions,
                    "Value": value,
                    "Timestamp": at,
                    "StorageResolution": 1,
                }
                for name, dimensions, value in data
            ],
        )

    def start(namespace, data, back=30):
        now = datetime.datetime.now(datetime.timezone.utc)

        def work():
            at = now
            while not over.wait(0.1):
                if datetime.datetime.now(datetime.timezone.utc) > at:
                    put(namespace, at - datetime.timedelta(seconds=1), data())
                    at += datetime.timedelta(seconds=1)

        for seconds in range(back, 1, -1):
            put(namespace, now - datetime.timedelta(seconds=seconds), data())
        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()

    yield start
    over.set()
    for thread in threads:
        thread.join(10)


def alarms(scaler):
    policy = scaler.api.describe_policies()["ScalingPolicies"][0]
    names = [alarm["AlarmName"] for alarm in policy["Alarms"]]
    found = client("cloudwatch", scaler.url).describe_alarms(AlarmNames=names)
    return sorted(found["MetricAlarms"], key=lambda a: "AlarmLow" in a["AlarmName"])


def refused(scaler, words, **policy):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        scaler.api.put_scaling_policy(**policy)
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationError" and words in error["Message"], error


def test_metric_math_reads_back_and_shows_in_both_alarms(scaler):
    spec = {"CustomizedMetricSpecification": {"Metrics": queue()}}
    scaler.api.put_scaling_policy(**tracking(spec))
    policy = scaler.api.describe_policies()["ScalingPolicies"][0]
    config = policy["TargetTrackingConfiguration"]
    assert config["CustomizedMetricSpecification"]["Metrics"] == queue()
    high, low = alarms(scaler)
    assert high["Metrics"] == low["Metrics"] == queue(period=60)
    assert "MetricName" not in high and "Period" not in high
    assert (high["EvaluationPeriods"], low["EvaluationPeriods"]) == (3, 15)
    assert (high["Threshold"], low["Threshold"]) == (100, 90)
    assert high["ComparisonOperator"] == "GreaterThanThreshold"
    assert high["AlarmActions"] == low["AlarmActions"] == [policy["PolicyARN"]]
    scaler.api.delete_policy(AutoScalingGroupName="web", PolicyName="track")
    cloudwatch = client("cloudwatch", scaler.url)
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_with_disable_scale_in_there_is_no_low_alarm(scaler):
    spec = {
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "ASGAverageCPUUtilization"
        }
    }
    scaler.api.put_scaling_policy(**tracking(spec, 50, DisableScaleIn=True))
    (high,) = alarms(scaler)
    assert "AlarmHigh" in high["AlarmName"]
    scaler.api.put_scaling_policy(**tracking(spec, 50))
    again, low = alarms(scaler)
    assert again["AlarmName"] == high["AlarmName"] and "AlarmLow" in low["AlarmName"]
    scaler.api.put_scaling_policy(**tracking(spec, 50, DisableScaleIn=True))
    assert len(alarms(scaler)) == 1
    cloudwatch = client("cloudwatch", scaler.url)
    assert len(cloudwatch.describe_alarms()["MetricAlarms"]) == 1


def test_a_queue_brings_a_group_up_from_none_and_max_is_told(scaler, send):
    """The expression divides by one while there is none, so it asks for 15 of 6."""
    status, text = query(
        scaler,
        "PutScalingPolicy",
        tracking({"CustomizedMetricSpecification": {"Metrics": queue(period=1)}}),
    )
    assert status == 200, text
    send(
        "AWS/SQS",
        lambda: [
            (
                "ApproximateNumberOfMessagesVisible",
                [{"Name": "QueueName", "Value": "jobs"}],
                1500,
            )
        ],
    )
    scaler.wait_in_service(6, 20)
    cloudwatch = client("cloudwatch", scaler.url)

    def wanted():
        now = datetime.datetime.now(datetime.timezone.utc)
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/AutoScaling",
            MetricName="WantedCapacity",
            Dimensions=[{"Name": "AutoScalingGroupName", "Value": "web"}],
            StartTime=now - datetime.timedelta(seconds=90),
            EndTime=now + datetime.timedelta(seconds=60),
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        return max((p["Maximum"] for p in points), default=0)

    wait_for(lambda: wanted() == 15, 20, "WantedCapacity 15")
    assert scaler.program.log().count("capacity-limited group=web wanted=") == 1
    cause = scaler.activities()[0]["Cause"]
    assert (
        "in state ALARM triggered policy track changing the desired capacity" in cause
    )


@pytest.mark.parametrize(
    "spec, words",
    [
        ({"Metrics": queue() * 4}, "1 to 10 entries"),
        ({"Metrics": queue("FILL(visible,0)/nothing")}, "nothing"),
        ({"Metrics": queue("visible +")}, "expression"),
        (
            {"Metrics": [{**q, "ReturnData": True} for q in queue()]},
            "Exactly one entry",
        ),
        ({"Metrics": queue(), "MetricName": "x"}, "not both"),
        ({"Namespace": "Lab", "MetricName": "x"}, "Statistic"),
        (
            {
                "Namespace": "Lab",
                "MetricName": "x",
                "Statistic": "Average",
                "Unit": "Kilos",
            },
            "unit",
        ),
    ],
)
def test_customized_metrics_that_cannot_be_are_refused(scaler, spec, words):
    refused(scaler, words, **tracking({"CustomizedMetricSpecification": spec}))


def test_periods_and_windows_show_in_the_alarms(scaler):
    spec = {
        "CustomizedMetricSpecification": {
            "Namespace": "Lab",
            "MetricName": "Jobs",
            "Statistic": "Sum",
            "Unit": "Count",
            "Period": 10,
        }
    }
    policy = tracking(spec, ScaleOutWindow=20, ScaleInWindow=300)
    assert query(scaler, "PutScalingPolicy", policy)[0] == 200
    high, low = alarms(scaler)
    assert high["Unit"] == "Count" and high["Statistic"] == "Sum"
    assert (high["Period"], high["EvaluationPeriods"], high["Threshold"]) == (
        10,
        2,
        100,
    )
    assert (low["Period"], low["EvaluationPeriods"]) == (10, 30)
    text = query(scaler, "DescribePolicies", {})[1]
    assert "<ScaleOutWindow>20</ScaleOutWindow>" in text
    spec["CustomizedMetricSpecification"]["Period"] = 7
    status, text = query(scaler, "PutScalingPolicy", tracking(spec))
    assert status == 400 and "10, 30 or 60" in text
    spec["CustomizedMetricSpecification"]["Period"] = 5
    status, text = query(scaler, "PutScalingPolicy", tracking(spec, ScaleInWindow=2501))
    assert status == 400 and "500 periods at most" in text


LOAD = {
    "AutoScalingGroupName": "web",
    "PolicyName": "load",
    "PolicyType": "LoadTracking",
    "LoadTrackingConfiguration": {"ResourceLabel": LABEL, "RequestsPerTarget": 100},
}


def test_load_tracking_is_put_by_a_plain_call_and_follows_a_step(scaler, send):
    scaler.api.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=2)
    scaler.wait_in_service(2)
    status, text = query(scaler, "PutScalingPolicy", LOAD)
    assert status == 200, text
    text = query(scaler, "DescribePolicies", {"PolicyTypes": ["LoadTracking"]})[1]
    assert "<RequestsPerTarget>100" in text and LABEL in text
    # Who knows nothing of it sees a policy all the same.
    (policy,) = scaler.api.describe_policies()["ScalingPolicies"]
    assert policy["PolicyType"] == "LoadTracking" and policy["Alarms"] == []
    load = [150]
    send("AWS/ApplicationELB", lambda: [("RequestCount", ALB, load[0])])
    assert scaler.group()["DesiredCapacity"] == 2
    load[0] = 480
    wait_for(lambda: scaler.group()["DesiredCapacity"] == 5, 15, "five instances")
    cause = scaler.activities()[0]["Cause"]
    assert "triggered load tracking policy load changing the desired capacity" in cause
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        scaler.api.execute_policy(AutoScalingGroupName="web", PolicyName="load")
    assert "can be executed" in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    "config, words",
    [
        ({"ResourceLabel": LABEL}, "must be greater than 0"),
        ({"RequestsPerTarget": 100}, "needs a ResourceLabel"),
        ({"RequestsPerTarget": 100, "ResourceLabel": "web"}, "not of the form"),
        ({"RequestsPerTarget": 100, "ResourceLabel": LABEL, "Margin": 101}, "argin"),
    ],
)
def test_load_tracking_that_cannot_be_is_refused(scaler, config, words):
    status, text = query(
        scaler, "PutScalingPolicy", {**LOAD, "LoadTrackingConfiguration": config}
    )
    assert status == 400 and words in text, text


def test_load_tracking_may_stand_in_the_file(ec2, start_scaler):
    document = copy.deepcopy(DOCUMENT)
    document["ScalingPolicies"] = [LOAD]
    scaler = start_scaler(ec2.url, document)
    (policy,) = scaler.api.describe_policies()["ScalingPolicies"]
    assert policy["PolicyType"] == "LoadTracking"
    text = query(scaler, "DescribePolicies", {})[1]
    assert "<RequestsPerTarget>100" in text
