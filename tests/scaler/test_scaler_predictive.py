"""Predictive policies through boto3 and the aws command: a history put with old timestamps, the forecast,
what it does to the group, what is refused, and the file."""

import datetime
import pathlib
import sys
import time

import botocore.exceptions
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from conftest import aws_cli, client, wait_for  # noqa: E402
from fixtures import ec2, start_scaler  # noqa: E402, F401

GROUP = {
    "AutoScalingGroupName": "web",
    "MinSize": 1,
    "MaxSize": 6,
    "LaunchTemplate": {"LaunchTemplateName": "web", "Version": "1"},
    "AvailabilityZones": ["us-east-1a"],
    "DefaultInstanceWarmup": 0,
}
CPU = {
    "TargetValue": 50.0,
    "PredefinedMetricPairSpecification": {"PredefinedMetricType": "ASGCPUUtilization"},
}
LABEL = "app/web/0123456789abcdef/targetgroup/web/0123456789abcdef"
HOUR = datetime.timedelta(hours=1)


@pytest.fixture(autouse=True)
def well_inside_an_hour():
    wait_for(lambda: time.time() % 3600 < 3550, 70, "the next hour", interval=1)


@pytest.fixture
def scaler(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    scaler.api.create_auto_scaling_group(**GROUP)
    return scaler


def this_hour():
    return datetime.datetime.now(datetime.timezone.utc).replace(
        minute=0, second=0, microsecond=0
    )


def total(hour):
    """Percent of all instances: 180 now and for five hours more, 90 in the other hours of a day."""
    return 180.0 if (hour - this_hour()) % (24 * HOUR) < 6 * HOUR else 90.0


def put_history(scaler, hours, instances=3):
    """Minutes of hours gone by, as a sender that has been there would have put them."""
    cloudwatch = client("cloudwatch", scaler.url)
    web = [{"Name": "AutoScalingGroupName", "Value": "web"}]
    cpu, counts = [], []
    for i in range(1, hours + 1):
        for minute in (10, 40):
            hour = this_hour() - i * HOUR
            at = hour + datetime.timedelta(minutes=minute)
            each = total(hour) / instances
            cpu.append(
                {
                    "MetricName": "CPUUtilization",
                    "Dimensions": web,
                    "Timestamp": at,
                    "StatisticValues": {
                        "SampleCount": instances,
                        "Sum": total(hour),
                        "Minimum": each,
                        "Maximum": each,
                    },
                }
            )
            counts.append(
                {
                    "MetricName": "GroupInServiceInstances",
                    "Dimensions": web,
                    "Timestamp": at,
                    "Value": instances,
                }
            )
    for namespace, data in (("AWS/EC2", cpu), ("AWS/AutoScaling", counts)):
        for i in range(0, len(data), 500):
            cloudwatch.put_metric_data(
                Namespace=namespace, MetricData=data[i : i + 500]
            )


def put_policy(scaler, spec=CPU, name="ahead", **config):
    return scaler.api.put_scaling_policy(
        AutoScalingGroupName="web",
        PolicyName=name,
        PolicyType="PredictiveScaling",
        PredictiveScalingConfiguration={"MetricSpecifications": [spec], **config},
    )


def forecast(scaler, back=0, ahead=48):
    return scaler.api.get_predictive_scaling_forecast(
        AutoScalingGroupName="web",
        PolicyName="ahead",
        StartTime=this_hour() - back * HOUR,
        EndTime=this_hour() + ahead * HOUR,
    )


def refused(call, **input_):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**input_)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    return caught.value.response["Error"]["Message"]


def capacities(scaler):
    answer = forecast(scaler)["CapacityForecast"]
    return dict(zip(answer["Timestamps"], answer["Values"]))


def test_a_history_put_with_old_timestamps_is_forecast_from(scaler):
    put_history(scaler, 72)
    answer = put_policy(scaler)
    assert answer["Alarms"] == [] and ":scalingPolicy:" in answer["PolicyARN"]
    wait_for(lambda: len(capacities(scaler)) == 48, 10, "the forecast")
    start = this_hour()
    for i in range(48):
        expected = 4 if total(start + i * HOUR) > 100 else 2
        assert capacities(scaler)[start + i * HOUR] == expected, i
    answer = forecast(scaler)
    [load] = answer["LoadForecast"]
    assert load["MetricSpecification"] == CPU
    assert load["Timestamps"] == answer["CapacityForecast"]["Timestamps"]
    assert abs(load["Values"][0] - 180) < 0.01 and abs(load["Values"][10] - 90) < 0.01
    assert abs(answer["UpdateTime"] - start) < 2 * HOUR
    # Looking ahead changes nothing, but the group says what is foreseen.
    assert scaler.group()["PredictedCapacity"] == 4
    assert scaler.group()["DesiredCapacity"] == 1


def test_the_hour_is_scaled_for_and_the_cause_says_why(scaler):
    put_history(scaler, 48)
    put_policy(scaler, Mode="ForecastAndScale")
    scaler.wait_in_service(4)
    assert (
        "a predictive scaling policy ahead changing the desired capacity from 1 to 4."
        in scaler.activities()[0]["Cause"]
    )
    # What people set, stays.
    scaler.api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=2)
    scaler.wait_in_service(2)
    assert scaler.group()["DesiredCapacity"] == 2


def test_history_and_forecast_outlive_the_program(scaler):
    put_history(scaler, 48)
    put_policy(scaler, Mode="ForecastAndScale")
    scaler.wait_in_service(4)
    before = forecast(scaler)
    scaler.program.process.kill()
    scaler.program.process.wait()
    scaler.start()
    wait_for(lambda: len(capacities(scaler)) == 48, 10, "the forecast")
    assert forecast(scaler)["CapacityForecast"] == before["CapacityForecast"]
    assert scaler.group()["DesiredCapacity"] == 4


def test_without_a_day_of_history_there_is_no_forecast(scaler):
    put_history(scaler, 20)
    put_policy(scaler)
    answer = wait_for(lambda: forecast(scaler), 10, "an answer")
    assert answer["LoadForecast"][0]["Values"] == []
    assert answer["CapacityForecast"] == {"Timestamps": [], "Values": []}
    assert "PredictedCapacity" not in scaler.group()
    # Seen when it comes later.
    put_history(scaler, 26)
    wait_for(lambda: len(capacities(scaler)) == 48, 15, "the forecast")


def test_the_maximum_is_raised_where_that_is_asked_for(scaler):
    put_history(scaler, 48)
    put_policy(
        scaler,
        {**CPU, "TargetValue": 20.0},  # 9 instances
        Mode="ForecastAndScale",
        MaxCapacityBreachBehavior="IncreaseMaxCapacity",
        MaxCapacityBuffer=10,
    )
    scaler.wait_in_service(9)
    assert scaler.group()["MaxSize"] == 10


def test_requests_of_a_target_group_and_metrics_of_ones_own(scaler):
    cloudwatch = client("cloudwatch", scaler.url)
    both = [
        {"Name": "LoadBalancer", "Value": "app/web/0123456789abcdef"},
        {"Name": "TargetGroup", "Value": "targetgroup/web/0123456789abcdef"},
    ]
    for i in range(1, 49):
        at = this_hour() - i * HOUR
        cloudwatch.put_metric_data(
            Namespace="AWS/ApplicationELB",
            MetricData=[
                {
                    "MetricName": "RequestCount",
                    "Dimensions": both,
                    "Timestamp": at,
                    "Value": 18000,
                }
            ],
        )
        cloudwatch.put_metric_data(
            Namespace="Own",
            MetricData=[
                {"MetricName": name, "Timestamp": at, "Value": value}
                for name, value in (("Jobs", 600), ("Busy", 30), ("Workers", 4))
            ],
        )
    pair = {"PredefinedMetricType": "ALBRequestCount", "ResourceLabel": LABEL}
    put_policy(
        scaler, {"TargetValue": 100.0, "PredefinedMetricPairSpecification": pair}
    )
    # 300 a minute
    wait_for(lambda: scaler.group().get("PredictedCapacity") == 3, 10, "three")

    def query(name, stat):
        metric = {"Namespace": "Own", "MetricName": name, "Dimensions": []}
        return {
            "MetricDataQueries": [
                {
                    "Id": "m1",
                    "MetricStat": {"Metric": metric, "Stat": stat},
                    "ReturnData": False,
                },
                {"Id": "e1", "Expression": "m1 * 1", "ReturnData": True},
            ]
        }

    spec = {
        "TargetValue": 20.0,
        "CustomizedScalingMetricSpecification": query("Busy", "Average"),
        "CustomizedLoadMetricSpecification": query("Jobs", "Sum"),
        "CustomizedCapacityMetricSpecification": query("Workers", "Average"),
    }
    put_policy(scaler, spec)
    # 4 workers at 30 are 6 at 20.
    wait_for(lambda: scaler.group().get("PredictedCapacity") == 6, 10, "six")
    [policy] = scaler.api.describe_policies()["ScalingPolicies"]
    assert policy["PredictiveScalingConfiguration"]["MetricSpecifications"] == [spec]


def test_what_is_foreseen_are_metrics_too(scaler):
    put_history(scaler, 48)
    put_policy(scaler)
    cloudwatch = client("cloudwatch", scaler.url)
    own = [
        {"Name": "AutoScalingGroupName", "Value": "web"},
        {"Name": "PolicyName", "Value": "ahead"},
    ]

    def value(name, dimensions):
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/AutoScaling",
            MetricName=name,
            Dimensions=dimensions,
            StartTime=this_hour(),
            EndTime=this_hour() + HOUR,
            Period=3600,
            Statistics=["Average", "SampleCount"],
        )["Datapoints"]
        return [(p["Average"], p["SampleCount"]) for p in points]

    wait_for(
        lambda: value("PredictiveScalingCapacityForecast", own) == [(4.0, 1.0)],
        10,
        "the metric",
    )
    with_index = [*own, {"Name": "PairIndex", "Value": "0"}]
    [(load, _)] = value("PredictiveScalingLoadForecast", with_index)
    assert abs(load - 180) < 0.01
    [(correlation, _)] = value("PredictiveScalingMetricPairCorrelation", with_index)
    assert correlation > 0.99


PAIR = {"PredefinedMetricType": "ASGCPUUtilization"}


@pytest.mark.parametrize(
    "config, words",
    [
        ({"MetricSpecifications": []}, "etricSpecifications"),
        ({"MetricSpecifications": [CPU, CPU]}, "exactly one metric specification"),
        ({"MetricSpecifications": [{**CPU, "TargetValue": 0.0}]}, "TargetValue"),
        ({"MetricSpecifications": [{"TargetValue": 5.0}]}, "either a predefined"),
        (
            {
                "MetricSpecifications": [
                    {
                        **CPU,
                        "PredefinedLoadMetricSpecification": {
                            "PredefinedMetricType": "ASGTotalCPUUtilization"
                        },
                    }
                ]
            },
            "cannot be combined",
        ),
        (
            {
                "MetricSpecifications": [
                    {
                        "TargetValue": 5.0,
                        "PredefinedMetricPairSpecification": {
                            "PredefinedMetricType": "ALBRequestCount"
                        },
                    }
                ]
            },
            "needs a ResourceLabel",
        ),
        (
            {
                "MetricSpecifications": [
                    {
                        "TargetValue": 5.0,
                        "PredefinedMetricPairSpecification": {
                            **PAIR,
                            "ResourceLabel": LABEL,
                        },
                    }
                ]
            },
            "cannot be specified",
        ),
        ({"SchedulingBufferTime": 3600}, "SchedulingBufferTime"),
        ({"MaxCapacityBuffer": 10}, "only when"),
        ({"MaxCapacityBreachBehavior": "IncreaseMaxCapacity"}, "is required"),
        (
            {
                "MetricSpecifications": [
                    {
                        "TargetValue": 5.0,
                        "PredefinedScalingMetricSpecification": {
                            "PredefinedMetricType": "ASGAverageCPUUtilization"
                        },
                        "CustomizedLoadMetricSpecification": {
                            "MetricDataQueries": [{"Id": "m1", "Expression": "FOO(1)"}]
                        },
                    }
                ]
            },
            "there is no function FOO",
        ),
    ],
)
def test_what_cannot_be_is_refused(scaler, config, words):
    message = refused(
        scaler.api.put_scaling_policy,
        AutoScalingGroupName="web",
        PolicyName="ahead",
        PolicyType="PredictiveScaling",
        PredictiveScalingConfiguration={"MetricSpecifications": [CPU], **config},
    )
    assert words in message
    assert scaler.api.describe_policies()["ScalingPolicies"] == []


def test_refusals_of_reading_a_forecast(scaler):
    put_policy(scaler)
    days = datetime.timedelta(days=1)
    read = scaler.api.get_predictive_scaling_forecast
    web = {"AutoScalingGroupName": "web", "PolicyName": "ahead"}
    now = this_hour()
    assert "30 days" in refused(read, **web, StartTime=now - 31 * days, EndTime=now)
    assert "one year" in refused(
        read, **web, StartTime=now - 366 * days, EndTime=now - 350 * days
    )
    assert "before EndTime" in refused(read, **web, StartTime=now, EndTime=now)
    web["PolicyName"] = "none"
    assert "not found" in refused(read, **web, StartTime=now, EndTime=now + HOUR)


def test_the_aws_command_puts_reads_and_deletes_it(scaler):
    aws_cli(
        scaler.url,
        *"autoscaling put-scaling-policy --auto-scaling-group-name web --policy-name ahead".split(),
        *"--policy-type PredictiveScaling --predictive-scaling-configuration".split(),
        "MetricSpecifications=[{TargetValue=40,PredefinedMetricPairSpecification="
        "{PredefinedMetricType=ASGCPUUtilization}}],SchedulingBufferTime=600",
    )
    [policy] = aws_cli(scaler.url, "autoscaling", "describe-policies")[
        "ScalingPolicies"
    ]
    assert policy["PolicyType"] == "PredictiveScaling"
    config = policy["PredictiveScalingConfiguration"]
    assert config["Mode"] == "ForecastOnly" and config["SchedulingBufferTime"] == 600
    wait_for(
        lambda: aws_cli(
            scaler.url,
            *"autoscaling get-predictive-scaling-forecast --auto-scaling-group-name web".split(),
            *"--policy-name ahead --start-time 2026-11-20T00:00:00Z".split(),
            *"--end-time 2026-11-22T00:00:00Z".split(),
        )["CapacityForecast"]
        == {"Timestamps": [], "Values": []},
        10,
        "an empty forecast",
    )
    scaler.api.delete_policy(AutoScalingGroupName="web", PolicyName="ahead")
    assert scaler.api.describe_policies()["ScalingPolicies"] == []


def test_the_file_may_have_it(ec2, start_scaler):
    document = {
        "LaunchTemplates": [
            {
                "LaunchTemplateName": "web",
                "LaunchTemplateData": {"ImageId": "ami-1", "InstanceType": "t2.micro"},
            }
        ],
        "AutoScalingGroups": [
            {
                **GROUP,
                "LaunchTemplate": {"LaunchTemplateName": "web"},
                "DesiredCapacity": 1,
            }
        ],
        "ScalingPolicies": [
            {
                "AutoScalingGroupName": "web",
                "PolicyName": "ahead",
                "PolicyType": "PredictiveScaling",
                "PredictiveScalingConfiguration": {
                    "MetricSpecifications": [CPU],
                    "Mode": "ForecastAndScale",
                },
            }
        ],
    }
    scaler = start_scaler(ec2.url, document)
    put_history(scaler, 30)
    scaler.wait_in_service(4, timeout=30)
    # The same file again keeps what is known.
    before = forecast(scaler)
    scaler.program.process.send_signal(1)
    scaler.program.wait_log(" reloaded ")
    assert forecast(scaler)["CapacityForecast"] == before["CapacityForecast"]
