"""Composite alarms, dashboards and their tags at albatross-scaler's CloudWatch, asked by boto3."""

import json

from conftest import aws_cli, free_port, wait_for
from test_cloudwatch import cloudwatch, put_alarm, refused, start_scaler  # noqa: F401

assert cloudwatch  # the fixture

BODY = {
    "start": "-PT6H",
    "widgets": [
        {
            "type": "text",
            "x": 0,
            "y": 0,
            "width": 6,
            "height": 2,
            "properties": {"markdown": "#"},
        },
        {
            "type": "metric",
            "properties": {"metrics": [["Lab", "Load"]], "region": "us-east-1"},
        },
    ],
}


def composite(cloudwatch, name="both"):
    found = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])
    assert not found["MetricAlarms"]
    return found["CompositeAlarms"][0] if found["CompositeAlarms"] else None


def put_state(cloudwatch, name, state):
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")


def put_both(cloudwatch, rule='ALARM("high") AND NOT OK(low)', **more):
    # Judged anew at a minute's edge, they stay what the test has made them.
    for name in ["high", "low"]:
        put_alarm(cloudwatch, name, TreatMissingData="ignore")
    cloudwatch.put_composite_alarm(AlarmName="both", AlarmRule=rule, **more)


def test_a_composite_alarm_follows_the_alarms_of_its_rule(cloudwatch):
    put_both(cloudwatch, AlarmDescription="two", Tags=[{"Key": "team", "Value": "ops"}])
    described = composite(cloudwatch)
    assert described["AlarmRule"] == 'ALARM("high") AND NOT OK(low)'
    assert described["AlarmArn"].endswith(":alarm:both")
    assert described["ActionsEnabled"] is True and described["OKActions"] == []
    tags = cloudwatch.list_tags_for_resource(ResourceARN=described["AlarmArn"])["Tags"]
    assert tags == [{"Key": "team", "Value": "ops"}]
    wait_for(
        lambda: composite(cloudwatch)["StateValue"] == "OK", 5, "the first judgement"
    )
    put_state(cloudwatch, "high", "ALARM")
    wait_for(lambda: composite(cloudwatch)["StateValue"] == "ALARM", 5, "the alarm")
    described = composite(cloudwatch)
    assert "alarm:high transitioned to ALARM at " in described["StateReason"]
    data = json.loads(described["StateReasonData"])
    assert data["triggeringAlarms"][0]["state"]["value"] == "ALARM"
    put_state(cloudwatch, "low", "OK")
    wait_for(
        lambda: composite(cloudwatch)["StateValue"] == "OK", 5, "the end of the alarm"
    )
    items = cloudwatch.describe_alarm_history(AlarmTypes=["CompositeAlarm"])[
        "AlarmHistoryItems"
    ]
    assert {item["AlarmName"] for item in items} == {"both"}
    assert "Alarm updated from OK to ALARM" in [
        item["HistorySummary"] for item in items
    ]


def test_describe_alarms_tells_composites_from_others(cloudwatch):
    put_both(cloudwatch)
    answer = cloudwatch.describe_alarms()
    assert [one["AlarmName"] for one in answer["MetricAlarms"]] == ["high", "low"]
    assert answer["CompositeAlarms"] == []
    cloudwatch.get_waiter("composite_alarm_exists").wait(
        AlarmNames=["both"],
        AlarmTypes=["CompositeAlarm"],
        WaiterConfig={"MaxAttempts": 1},
    )
    children = cloudwatch.describe_alarms(ChildrenOfAlarmName="both")
    assert sorted(one["AlarmName"] for one in children["MetricAlarms"]) == [
        "high",
        "low",
    ]
    parents = cloudwatch.describe_alarms(ParentsOfAlarmName="high")
    assert [one["AlarmName"] for one in parents["CompositeAlarms"]] == ["both"]


def test_wrong_composites_say_why(cloudwatch):
    def put(rule, **more):
        return refused(
            "InvalidParameterValue",
            cloudwatch.put_composite_alarm,
            AlarmName="both",
            AlarmRule=rule,
            **more,
        )

    assert "[none] in the alarm rule do not exist" in put("ALARM(none)")
    assert "closing parenthesis" in put("(TRUE AND FALSE")
    assert "at character 6" in put("TRUE FALSE")
    policy = (
        "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:1:autoScalingGroupName/a:"
        "policyName/b"
    )
    assert "Auto Scaling" in put("TRUE", AlarmActions=[policy])
    put_both(cloudwatch)
    refused(
        "InvalidParameterValue",
        cloudwatch.put_composite_alarm,
        AlarmName="high",
        AlarmRule="TRUE",
    )
    message = refused("ValidationError", cloudwatch.delete_alarms, AlarmNames=["high"])
    assert "depending on it" in message
    cloudwatch.delete_alarms(AlarmNames=["both", "high"])
    assert composite(cloudwatch) is None


def test_dashboards_are_kept_and_come_back_as_they_were(programs):
    program, cloudwatch = start_scaler(programs, free_port())
    for name in ["web-2", "web-1", "db"]:
        answer = cloudwatch.put_dashboard(
            DashboardName=name, DashboardBody=json.dumps(BODY)
        )
        assert answer["DashboardValidationMessages"] == []
    one = cloudwatch.get_dashboard(DashboardName="web-1")
    assert json.loads(one["DashboardBody"]) == BODY
    assert one["DashboardArn"] == "arn:aws:cloudwatch::000000000000:dashboard/web-1"
    entries = cloudwatch.list_dashboards(DashboardNamePrefix="web")["DashboardEntries"]
    assert [entry["DashboardName"] for entry in entries] == ["web-1", "web-2"]
    assert entries[0]["Size"] == len(json.dumps(BODY)) and entries[0]["LastModified"]
    refused(
        "ResourceNotFound", cloudwatch.delete_dashboards, DashboardNames=["db", "none"]
    )
    cloudwatch.delete_dashboards(DashboardNames=["db"])
    refused("ResourceNotFound", cloudwatch.get_dashboard, DashboardName="db")
    assert program is not None


def test_wrong_dashboards_are_refused_with_the_place(cloudwatch):
    def put(body, name="web"):
        return refused(
            "InvalidParameterInput",
            cloudwatch.put_dashboard,
            DashboardName=name,
            DashboardBody=body if isinstance(body, str) else json.dumps(body),
        )

    assert "JSON object" in put("{")
    assert "'widgets'" in put({})
    assert "/widgets/0: " in put({"widgets": [{"properties": {}}]})
    assert "/widgets/0/width" in put({"widgets": [{**BODY["widgets"][0], "width": 25}]})
    assert "/widgets/0/type" in put(
        {"widgets": [{**BODY["widgets"][0], "type": "pie"}]}
    )
    refused(
        "InvalidParameterValue",
        cloudwatch.put_dashboard,
        DashboardName="a b",
        DashboardBody=json.dumps(BODY),
    )


def test_the_aws_command_puts_composites_and_dashboards(programs):
    port = free_port()
    start_scaler(programs, port)

    def run(*arguments):
        return aws_cli(f"http://127.0.0.1:{port}", "cloudwatch", *arguments)

    run("put-composite-alarm", "--alarm-name", "c", "--alarm-rule", "FALSE")
    run("put-dashboard", "--dashboard-name", "d", "--dashboard-body", json.dumps(BODY))
    assert run("get-dashboard", "--dashboard-name", "d")["DashboardName"] == "d"
    run("delete-dashboards", "--dashboard-names", "d")
    assert run("list-dashboards")["DashboardEntries"] == []
    found = run("describe-alarms", "--alarm-types", "CompositeAlarm")["CompositeAlarms"]
    assert found[0]["AlarmName"] == "c"


def test_another_alarm_suppresses_a_composite_s_actions(cloudwatch):
    put_alarm(cloudwatch, "quiet", TreatMissingData="ignore")
    put_state(cloudwatch, "quiet", "ALARM")
    put_both(
        cloudwatch,
        "ALARM(high)",
        ActionsSuppressor="quiet",
        ActionsSuppressorWaitPeriod=60,
        ActionsSuppressorExtensionPeriod=120,
    )
    put_state(cloudwatch, "high", "ALARM")
    described = wait_for(
        lambda: composite(cloudwatch).get("ActionsSuppressedBy") == "Alarm"
        and composite(cloudwatch),
        5,
        "the suppression",
    )
    assert described["StateValue"] == "ALARM"
    assert described["ActionsSuppressor"] == "quiet"
    assert described["ActionsSuppressorWaitPeriod"] == 60
    assert described["ActionsSuppressorExtensionPeriod"] == 120
    assert described["ActionsSuppressedReason"] == "Actions suppressed by quiet"
    put_state(cloudwatch, "quiet", "OK")
    wait_for(
        lambda: composite(cloudwatch)["ActionsSuppressedBy"] == "ExtensionPeriod",
        5,
        "the extension",
    )
