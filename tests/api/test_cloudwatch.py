"""The CloudWatch API of albatross-scaler, asked by boto3 and by the aws command."""

import datetime
import json
import re
import time

import botocore.exceptions
import pytest

from conftest import aws_cli, client, free_port, http_get, refused, wait_for

SNS = "arn:aws:sns:us-east-1:000000000000:ops"
WEB = [{"Name": "AutoScalingGroupName", "Value": "web"}]


def start_scaler(programs, port, **more):
    path = programs.config(
        {
            "Scaler": {
                "ApiAddress": f"127.0.0.1:{port}",
                "StateUrl": "memory:",
                "SnsEndpoint": "http://127.0.0.1:1",
            },
            **more,
        }
    )
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    program = programs.start("albatross-scaler", "-c", path, env=keys)
    cloudwatch = client("cloudwatch", f"http://127.0.0.1:{port}")
    wait_for(cloudwatch.describe_alarms, 10, "the CloudWatch API")
    return program, cloudwatch


@pytest.fixture
def cloudwatch(programs):
    return start_scaler(programs, free_port())[1]


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def put(cloudwatch, name="Load", **datum):
    cloudwatch.put_metric_data(
        Namespace="Lab", MetricData=[{"MetricName": name, **datum}]
    )


def statistics(cloudwatch, period=60, name="Load", back=3600, **more):
    answer = cloudwatch.get_metric_statistics(
        Namespace="Lab",
        MetricName=name,
        StartTime=now() - datetime.timedelta(seconds=back),
        EndTime=now() + datetime.timedelta(seconds=60),
        Period=period,
        **more,
    )
    assert answer["Label"] == name
    return answer["Datapoints"]


def put_alarm(cloudwatch, name="high", **more):
    cloudwatch.put_metric_alarm(
        **{
            "AlarmName": name,
            "Namespace": "Lab",
            "MetricName": "Load",
            "Statistic": "Average",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 50.0,
            "ComparisonOperator": "GreaterThanThreshold",
            **more,
        }
    )


def alarm(cloudwatch, name="high"):
    found = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found[0] if found else None


def test_values_counts_and_sets_come_back_as_statistics(cloudwatch):
    put(cloudwatch, Values=[10, 20, 100], Counts=[50, 45, 5], Unit="Milliseconds")
    (point,) = statistics(
        cloudwatch,
        Statistics=["SampleCount", "Average", "Sum", "Minimum", "Maximum"],
        ExtendedStatistics=["p50", "p95", "p99"],
    )
    assert point["Timestamp"].second == 0
    assert point["Unit"] == "Milliseconds"
    assert (point["SampleCount"], point["Sum"], point["Average"]) == (100, 1900, 19)
    assert (point["Minimum"], point["Maximum"]) == (10, 100)
    assert point["ExtendedStatistics"] == {"p50": 10, "p95": 20, "p99": 100}
    put(
        cloudwatch,
        Unit="Milliseconds",
        StatisticValues={"SampleCount": 100, "Sum": 100, "Minimum": 1, "Maximum": 1},
    )
    points = statistics(cloudwatch, Statistics=["Sum", "Minimum"], Unit="Milliseconds")
    assert sum(p["Sum"] for p in points) == 2000
    assert min(p["Minimum"] for p in points) == 1
    assert statistics(cloudwatch, Statistics=["Sum"], Unit="Bytes") == []


def test_seconds_are_kept_apart(cloudwatch):
    start = now().replace(microsecond=0) - datetime.timedelta(seconds=20)
    for i in range(10):
        put(
            cloudwatch,
            Value=i,
            StorageResolution=1,
            Timestamp=start + datetime.timedelta(seconds=i),
            Dimensions=WEB,
        )
    points = statistics(
        cloudwatch, period=1, back=60, Statistics=["Sum"], Dimensions=WEB
    )
    assert [p["Sum"] for p in points] == list(range(10))
    assert points[0]["Timestamp"] == start
    assert sum(
        p["Sum"]
        for p in statistics(
            cloudwatch, period=10, back=60, Statistics=["Sum"], Dimensions=WEB
        )
    ) == sum(range(10))
    assert statistics(cloudwatch, period=1, back=60, Statistics=["Sum"]) == []


def test_what_aws_refuses_is_refused(cloudwatch):
    def data(code, **datum):
        return refused(
            code,
            cloudwatch.put_metric_data,
            Namespace="Lab",
            MetricData=[
                {"MetricName": "Good", "Value": 1},
                {"MetricName": "Load", **datum},
            ],
        )

    # Not numbers to the codec, which is asked first.
    data("MalformedInput", Value=float("nan"))
    data("MalformedInput", Value=float("-inf"))
    data("InvalidParameterValue", Value=1e300)
    data("InvalidParameterValue", Values=[1.0] * 151)
    data("InvalidParameterValue", Values=[1, 2, 3], Counts=[1, 2])
    data("InvalidParameterCombination", Value=1, Values=[1])
    data(
        "InvalidParameterValue", Value=1, Timestamp=now() - datetime.timedelta(days=15)
    )
    message = data(
        "InvalidParameterValue", Value=1, Timestamp=now() + datetime.timedelta(hours=3)
    )
    assert "MetricData.member.2.Timestamp" in message
    assert cloudwatch.list_metrics()["Metrics"] == []
    refused(
        "InvalidParameterValue",
        cloudwatch.put_metric_data,
        Namespace="Lab",
        MetricData=[{"MetricName": "m", "Value": 1}] * 1001,
    )

    def ask(hours):
        return dict(
            Namespace="Lab",
            MetricName="Load",
            Period=60,
            Statistics=["Sum"],
            StartTime=now() - datetime.timedelta(hours=hours),
            EndTime=now(),
        )

    assert cloudwatch.get_metric_statistics(**ask(24))["Datapoints"] == []
    message = refused(
        "InvalidParameterCombination", cloudwatch.get_metric_statistics, **ask(25)
    )
    assert "1,500 datapoints" in message


def test_metrics_are_listed_by_pages_and_filters(cloudwatch):
    for page in range(2):
        cloudwatch.put_metric_data(
            Namespace="Lab",
            MetricData=[
                {
                    "MetricName": "Cpu",
                    "Value": 1,
                    "Dimensions": [
                        {"Name": "InstanceId", "Value": f"i-{page}-{i}"},
                        {"Name": "Zone", "Value": "ab"[i % 2]},
                    ],
                }
                for i in range(400)
            ],
        )
    pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace="Lab"))
    assert [len(p["Metrics"]) for p in pages] == [500, 300]
    names = {
        d["Value"] for p in pages for m in p["Metrics"] for d in m["Dimensions"][:1]
    }
    assert len(names) == 800
    found = cloudwatch.list_metrics(Dimensions=[{"Name": "Zone", "Value": "a"}])
    assert len(found["Metrics"]) == 400
    refused("InvalidNextToken", cloudwatch.list_metrics, NextToken="what")


def test_an_alarm_is_described_as_it_was_put(cloudwatch):
    assert alarm(cloudwatch) is None
    put_alarm(
        cloudwatch,
        AlarmDescription="too much <load> & more",
        AlarmActions=[SNS],
        Dimensions=WEB,
        DatapointsToAlarm=1,
        TreatMissingData="notBreaching",
        Tags=[{"Key": "team", "Value": "web"}],
    )
    got = alarm(cloudwatch)
    assert got["AlarmArn"] == "arn:aws:cloudwatch:us-east-1:000000000000:alarm:high"
    assert got["AlarmDescription"] == "too much <load> & more"
    assert got["StateValue"] == "INSUFFICIENT_DATA"
    assert got["StateReason"] == "Unchecked: Initial alarm creation"
    assert got["ActionsEnabled"] is True
    assert (got["AlarmActions"], got["OKActions"]) == ([SNS], [])
    assert (got["Threshold"], got["Period"], got["EvaluationPeriods"]) == (50, 60, 1)
    assert got["Dimensions"] == WEB
    assert "Unit" not in got and "StateReasonData" not in got
    tags = cloudwatch.list_tags_for_resource(ResourceARN=got["AlarmArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "web"}]
    assert cloudwatch.describe_alarms()["CompositeAlarms"] == []
    assert cloudwatch.describe_alarms(AlarmNamePrefix="hi")["MetricAlarms"]
    assert not cloudwatch.describe_alarms(StateValue="ALARM")["MetricAlarms"]


def test_alarms_are_paged_and_deleted(cloudwatch):
    for i in range(60):
        put_alarm(cloudwatch, f"a{i:02}")
    pages = list(cloudwatch.get_paginator("describe_alarms").paginate())
    assert [len(p["MetricAlarms"]) for p in pages] == [50, 10]
    cloudwatch.delete_alarms(AlarmNames=[f"a{i:02}" for i in range(60)])
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []
    refused("ResourceNotFound", cloudwatch.delete_alarms, AlarmNames=["a00"])
    refused(
        "ResourceNotFound",
        cloudwatch.set_alarm_state,
        AlarmName="a00",
        StateValue="OK",
        StateReason="x",
    )


def test_wrong_alarms_say_why(cloudwatch):
    def alarm_refused(code, **more):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            put_alarm(cloudwatch, **more)
        assert caught.value.response["Error"]["Code"] == code
        return caught.value.response["Error"]["Message"]

    assert "multiple of 60" in alarm_refused("InvalidParameterValue", Period=45)
    assert "page-me" in alarm_refused("InvalidParameterValue", AlarmActions=["page-me"])
    alarm_refused("InvalidParameterCombination", DatapointsToAlarm=2)
    alarm_refused("InvalidParameterCombination", ExtendedStatistic="p99")
    alarm_refused("InvalidParameterCombination", EvaluationPeriods=1441)
    message = refused(
        "InvalidParameterValue",
        cloudwatch.put_metric_alarm,
        AlarmName="math",
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Metrics=[{"Id": "e1", "Expression": "m1*2"}],
    )
    assert "no query with the Id 'm1'" in message
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_a_one_second_alarm_fires_within_seconds(cloudwatch):
    put_alarm(cloudwatch, "fast", Period=1, EvaluationPeriods=3, AlarmActions=[SNS])
    started = time.monotonic()

    def fired():
        put(cloudwatch, Value=90, StorageResolution=1)
        return alarm(cloudwatch, "fast")["StateValue"] == "ALARM"

    wait_for(fired, 10, "the alarm to fire", interval=0.25)
    took = time.monotonic() - started
    got = alarm(cloudwatch, "fast")
    assert got["StateReason"].startswith("Threshold Crossed: 3 out of the last 3")
    data = json.loads(got["StateReasonData"])
    assert data["recentDatapoints"] == [90.0, 90.0, 90.0]
    assert data["threshold"] == 50.0 and data["period"] == 1
    assert took < 8, took
    history = cloudwatch.describe_alarm_history(AlarmName="fast")["AlarmHistoryItems"]
    summaries = [h["HistorySummary"] for h in history]
    assert "Alarm updated from INSUFFICIENT_DATA to ALARM" in summaries
    assert summaries[-1] == 'Alarm "fast" created'

    def told():
        items = cloudwatch.describe_alarm_history(
            AlarmName="fast", HistoryItemType="Action"
        )
        return [one["HistorySummary"] for one in items["AlarmHistoryItems"]]

    # Nobody listens there: the attempts end, and the history says so.
    wait_for(told, 30, "the end of the attempts")
    assert told()[0].startswith(f"Failed to execute action {SNS}")
    wait_for(
        lambda: alarm(cloudwatch, "fast")["StateValue"] == "INSUFFICIENT_DATA",
        20,
        "the alarm to run out of data",
    )


def test_alarms_survive_kill_9(programs):
    port = free_port()
    state = f"sqlite:{programs.folder}/scaler.db"
    scaler = {"ApiAddress": f"127.0.0.1:{port}", "StateUrl": state}
    program, cloudwatch = start_scaler(programs, port, Scaler=scaler)
    put_alarm(cloudwatch, EvaluationPeriods=3)
    cloudwatch.set_alarm_state(AlarmName="high", StateValue="ALARM", StateReason="test")
    before = alarm(cloudwatch)
    program.process.kill()
    program.process.wait()
    _, cloudwatch = start_scaler(programs, port, Scaler=scaler)
    assert alarm(cloudwatch) == before


def writes(port):
    text = http_get(f"http://127.0.0.1:{port}/metrics")
    found = re.search(r'writes_total{result="good"} (\d+)', text)
    return int(found.group(1))


def test_datapoints_and_history_survive_a_restart_and_kill_9_costs_seconds(programs):
    port = free_port()
    state = f"sqlite:{programs.folder}/scaler.db"
    scaler = {"ApiAddress": f"127.0.0.1:{port}", "StateUrl": state}
    program, cloudwatch = start_scaler(programs, port, Scaler=scaler)
    put_alarm(cloudwatch)
    put(cloudwatch, Values=[10, 20, 100], Counts=[50, 45, 5], Dimensions=WEB)
    put(cloudwatch, Value=7, StorageResolution=1, Timestamp=now())
    program.process.terminate()
    assert program.process.wait(10) == 0
    program, cloudwatch = start_scaler(programs, port, Scaler=scaler)
    assert [
        point["Sum"]
        for point in statistics(cloudwatch, 1, back=600, Statistics=["Sum"])
    ] == [7]
    points = statistics(cloudwatch, Dimensions=WEB, ExtendedStatistics=["p50", "p99"])
    assert points[0]["ExtendedStatistics"] == {"p50": 10, "p99": 100}
    put(cloudwatch, name="Late", Value=5)
    before = writes(port)
    wait_for(lambda: writes(port) > before, 20, "the data to be written")
    put(cloudwatch, name="Lost", Value=5)
    # No data ever comes to it: it stays as it was set.
    put_alarm(cloudwatch, "kept", MetricName="None", TreatMissingData="ignore")
    cloudwatch.set_alarm_state(AlarmName="kept", StateValue="ALARM", StateReason="test")
    program.process.kill()
    program.process.wait()
    _, cloudwatch = start_scaler(programs, port, Scaler=scaler)
    assert len(statistics(cloudwatch, name="Late", Statistics=["Sum"])) == 1
    assert len(cloudwatch.list_metrics(Namespace="Lab")["Metrics"]) == 3
    assert alarm(cloudwatch, "kept")["StateValue"] == "ALARM"
    items = cloudwatch.describe_alarm_history(AlarmName="high")["AlarmHistoryItems"]
    assert items[-1]["HistorySummary"] == 'Alarm "high" created'
    put_alarm(cloudwatch, Threshold=51)
    items = cloudwatch.describe_alarm_history(AlarmName="high")["AlarmHistoryItems"]
    assert items[0]["HistorySummary"] == 'Alarm "high" updated'


def test_the_file_makes_alarms(programs):
    one = {
        "AlarmName": "file",
        "Namespace": "Lab",
        "MetricName": "Load",
        "Statistic": "Sum",
        "Period": 10,
        "EvaluationPeriods": 2,
        "Threshold": 5,
        "ComparisonOperator": "LessThanThreshold",
    }
    _, cloudwatch = start_scaler(programs, free_port(), MetricAlarms=[one])
    got = alarm(cloudwatch, "file")
    assert {k: got[k] for k in one} == one


def test_get_metric_data(cloudwatch):
    put(cloudwatch, Value=4)
    stat = {
        "Metric": {"Namespace": "Lab", "MetricName": "Load"},
        "Period": 60,
        "Stat": "Average",
    }
    span = dict(
        StartTime=now() - datetime.timedelta(minutes=5),
        EndTime=now() + datetime.timedelta(minutes=1),
    )
    (result,) = cloudwatch.get_metric_data(
        MetricDataQueries=[{"Id": "m1", "MetricStat": stat}], **span
    )["MetricDataResults"]
    assert (result["Id"], result["Label"], result["Values"]) == ("m1", "Load", [4.0])
    assert result["StatusCode"] == "Complete"
    refused(
        "ValidationError",
        cloudwatch.get_metric_data,
        MetricDataQueries=[{"Id": "e1", "Expression": "1+1"}],
        **span,
    )


def test_metric_math_comes_in_pages_and_in_either_order(cloudwatch):
    minute = now().replace(second=0, microsecond=0) - datetime.timedelta(minutes=10)
    for i in range(5):
        at = minute + datetime.timedelta(minutes=i)
        put(cloudwatch, Value=i, Timestamp=at)
        put(cloudwatch, name="Other", Value=10, Timestamp=at)

    def stat(name):
        return {
            "Metric": {"Namespace": "Lab", "MetricName": name},
            "Period": 60,
            "Stat": "Sum",
        }

    queries = [
        {"Id": "m1", "MetricStat": stat("Load")},
        {"Id": "m2", "MetricStat": stat("Other"), "ReturnData": False},
        {"Id": "e1", "Expression": "m1 + m2", "Label": "both"},
        {"Id": "all", "Expression": "METRICS()"},
    ]
    span = dict(StartTime=minute, EndTime=minute + datetime.timedelta(minutes=5))
    results = cloudwatch.get_metric_data(
        MetricDataQueries=queries, ScanBy="TimestampAscending", **span
    )["MetricDataResults"]
    assert [(one["Id"], one["Label"], one["Values"]) for one in results] == [
        ("m1", "Load", [0, 1, 2, 3, 4]),
        ("e1", "both", [10, 11, 12, 13, 14]),
        ("all", "all m1", [0, 1, 2, 3, 4]),
        ("all", "all m2", [10] * 5),
    ]
    assert results[0]["Timestamps"][0] == minute
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries[:3], MaxDatapoints=3, **span
    )
    parts = [
        (one["Id"], one["Values"], one["StatusCode"])
        for page in pages
        for one in page["MetricDataResults"]
    ]
    assert parts == [
        ("m1", [4, 3, 2], "PartialData"),
        ("m1", [1, 0], "Complete"),
        ("e1", [14], "PartialData"),
        ("e1", [13, 12, 11], "PartialData"),
        ("e1", [10], "Complete"),
    ]


def test_an_alarm_on_metric_math_fires_and_reads_back_as_put(cloudwatch):
    queries = [
        {
            "Id": "m1",
            "MetricStat": {
                "Metric": {"Namespace": "Lab", "MetricName": "Load", "Dimensions": WEB},
                "Period": 10,
                "Stat": "Sum",
            },
            "ReturnData": False,
        },
        {
            "Id": "e1",
            "Expression": "FILL(m1,0)*2",
            "Label": "twice",
            "ReturnData": True,
        },
    ]
    cloudwatch.put_metric_alarm(
        AlarmName="math",
        EvaluationPeriods=1,
        Threshold=15,
        ComparisonOperator="GreaterThanThreshold",
        Metrics=queries,
    )
    assert alarm(cloudwatch, "math")["Metrics"] == queries
    assert "Period" not in alarm(cloudwatch, "math")
    at = now() - datetime.timedelta(seconds=10)
    for back in range(0, 20, 10):
        put(
            cloudwatch,
            Value=8,
            StorageResolution=1,
            Dimensions=WEB,
            Timestamp=at + datetime.timedelta(seconds=back),
        )
    wait_for(
        lambda: alarm(cloudwatch, "math")["StateValue"] == "ALARM", 15, "the alarm"
    )
    assert "[16.0 (" in alarm(cloudwatch, "math")["StateReason"]


def test_the_aws_command_reads_and_writes(programs):
    port = free_port()
    start_scaler(programs, port)
    endpoint = f"http://127.0.0.1:{port}"
    aws_cli(
        endpoint,
        *"cloudwatch put-metric-data --namespace Lab --metric-name Load --value 7".split(),
        *"--dimensions AutoScalingGroupName=web --unit Percent".split(),
    )
    start = (now() - datetime.timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    end = (now() + datetime.timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = aws_cli(
        endpoint,
        *"cloudwatch get-metric-statistics --namespace Lab --metric-name Load".split(),
        *"--dimensions Name=AutoScalingGroupName,Value=web --period 60".split(),
        *f"--statistics Average --start-time {start} --end-time {end}".split(),
    )
    (point,) = answer["Datapoints"]
    assert (point["Average"], point["Unit"]) == (7.0, "Percent")
    text = http_get(f"{endpoint}/metrics")
    assert "albatross_cloudwatch_datapoints_total 1" in text
