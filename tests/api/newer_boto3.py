"""CloudWatch through whatever boto3 the python3 of PATH has: newer ones speak JSON 1.0. usage: newer_boto3.py ENDPOINT"""

import datetime
import sys

import boto3
import botocore.exceptions

cloudwatch = boto3.client(
    "cloudwatch",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
seen = set()
cloudwatch.meta.events.register(
    "before-send.cloudwatch.*",
    lambda request, **_: seen.add(bytes(request.headers.get("Content-Type"))),
)
minute = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
# More than 10,240 bytes: botocore compresses it.
cloudwatch.put_metric_data(
    Namespace="Newer",
    MetricData=[
        {"MetricName": f"m{i}", "Value": i + 0.5, "Timestamp": minute}
        for i in range(600)
    ],
)
pages = cloudwatch.get_paginator("list_metrics").paginate(Namespace="Newer")
assert sum(len(page["Metrics"]) for page in pages) == 600
(point,) = cloudwatch.get_metric_statistics(
    Namespace="Newer",
    MetricName="m7",
    StartTime=minute - datetime.timedelta(minutes=1),
    EndTime=minute + datetime.timedelta(minutes=1),
    Period=60,
    Statistics=["Sum"],
)["Datapoints"]
assert (point["Timestamp"], point["Sum"]) == (minute, 7.5), point
alarm = {
    "AlarmName": "newer",
    "Namespace": "Newer",
    "MetricName": "m7",
    "Statistic": "Maximum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "Threshold": 1e-3,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "ignore",
    "Unit": "Count",
}
cloudwatch.put_metric_alarm(**alarm)
(got,) = cloudwatch.describe_alarms(AlarmNames=["newer"])["MetricAlarms"]
assert {name: got[name] for name in alarm} == alarm, got
cloudwatch.get_waiter("alarm_exists").wait(AlarmNames=["newer"])
cloudwatch.delete_alarms(AlarmNames=["newer"])
try:
    cloudwatch.set_alarm_state(AlarmName="newer", StateValue="OK", StateReason="r")
    raise SystemExit("an alarm that is gone was set")
except cloudwatch.exceptions.ResourceNotFound as e:
    assert e.response["ResponseMetadata"]["HTTPStatusCode"] == 404
try:
    cloudwatch.list_metric_streams()
    raise SystemExit("an action that is not there was answered")
except botocore.exceptions.ClientError as e:
    assert e.response["Error"]["Code"] == "InvalidAction", e.response
assert seen == {b"application/x-amz-json-1.0"}, seen
print("done")
