"""Scheduled actions through boto3."""

import datetime
import sys
import pathlib

import botocore.exceptions
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from conftest import wait_for  # noqa: E402
from fixtures import start_scaler  # noqa: E402, F401

GROUP = {
    "AutoScalingGroupName": "web",
    "MinSize": 0,
    "MaxSize": 3,
    "LaunchTemplate": {"LaunchTemplateName": "web", "Version": "1"},
    "AvailabilityZones": ["us-east-1a"],
}
UTC = datetime.timezone.utc


@pytest.fixture
def scaler(start_scaler):
    scaler = start_scaler(document={})
    scaler.api.create_auto_scaling_group(**GROUP)
    return scaler


def put(scaler, name="morning", **members):
    scaler.api.put_scheduled_update_group_action(
        AutoScalingGroupName="web", ScheduledActionName=name, **members
    )


def shown(scaler, **members):
    return scaler.api.describe_scheduled_actions(**members)[
        "ScheduledUpdateGroupActions"
    ]


def refused(call, **input_):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**input_)
    return caught.value.response["Error"]


def soon(seconds):
    return datetime.datetime.now(UTC).replace(microsecond=0) + datetime.timedelta(
        seconds=seconds
    )


def test_an_action_is_put_shown_changed_and_deleted(scaler):
    put(
        scaler,
        Recurrence="0 6 * * 1-5",
        TimeZone="Europe/Berlin",
        MinSize=1,
        DesiredCapacity=2,
    )
    [action] = shown(scaler, AutoScalingGroupName="web")
    assert action["ScheduledActionARN"].startswith(
        "arn:aws:autoscaling:us-east-1:000000000000:scheduledUpdateGroupAction:"
    )
    assert action["ScheduledActionARN"].endswith(
        ":autoScalingGroupName/web:scheduledActionName/morning"
    )
    assert (action["Recurrence"], action["TimeZone"]) == (
        "0 6 * * 1-5",
        "Europe/Berlin",
    )
    assert (action["MinSize"], action["DesiredCapacity"]) == (1, 2)
    assert not {"MaxSize", "EndTime"} & set(action)
    # The next run is shown: a working day, 04:00 or 05:00 in UTC.
    assert action["StartTime"].hour in (4, 5) and action["StartTime"].weekday() < 5
    put(scaler, Recurrence="0 7 * * *", MaxSize=2)
    [again] = shown(scaler)
    assert again["ScheduledActionARN"] == action["ScheduledActionARN"]
    assert "MinSize" not in again and again["MaxSize"] == 2
    scaler.program.stop()
    scaler.start()
    assert shown(scaler) == [again]
    scaler.api.delete_scheduled_action(
        AutoScalingGroupName="web", ScheduledActionName="morning"
    )
    assert shown(scaler) == []
    error = refused(
        scaler.api.delete_scheduled_action,
        AutoScalingGroupName="web",
        ScheduledActionName="morning",
    )
    assert error["Code"] == "ValidationError" and "not found" in error["Message"]


def test_an_action_runs_at_its_time(scaler):
    start = soon(3)
    put(scaler, StartTime=start, MinSize=1, MaxSize=5, DesiredCapacity=1)
    assert shown(scaler)[0]["StartTime"] == start
    wait_for(lambda: scaler.group()["MaxSize"] == 5, 10, "the action")
    assert datetime.datetime.now(UTC) >= start
    assert scaler.group()["DesiredCapacity"] == 1
    assert shown(scaler) == []


@pytest.mark.parametrize(
    "members, words",
    [
        ({"Recurrence": "0 6 * *", "MinSize": 1}, "recurrence string: 0 6 * * is"),
        (
            {"Recurrence": "0 6 * * *", "TimeZone": "Mars/Base", "MinSize": 1},
            "time zone: Mars/Base is invalid",
        ),
        ({"Recurrence": "0 6 * * *"}, "At least one of"),
        ({"MinSize": 1}, "start time or a recurrence"),
        ({"Recurrence": "0 6 * * *", "MinSize": 3, "MaxSize": 2}, "Max bound"),
        ({"Recurrence": "0 6 * * *", "MaxSize": -1}, "greater than or equal to 0"),
        (
            {"StartTime": datetime.datetime(2020, 1, 1, tzinfo=UTC), "MinSize": 1},
            "in the past",
        ),
    ],
)
def test_an_action_that_cannot_be_is_refused_in_words(scaler, members, words):
    error = refused(
        scaler.api.put_scheduled_update_group_action,
        AutoScalingGroupName="web",
        ScheduledActionName="bad",
        **members,
    )
    assert error["Code"] == "ValidationError" and words in error["Message"]
    assert shown(scaler) == []


def test_many_are_put_and_deleted_at_once_and_failures_are_named(scaler):
    answer = scaler.api.batch_put_scheduled_update_group_action(
        AutoScalingGroupName="web",
        ScheduledUpdateGroupActions=[
            {"ScheduledActionName": "a", "Recurrence": "0 6 * * *", "MinSize": 1},
            {"ScheduledActionName": "b", "Recurrence": "nonsense", "MinSize": 1},
            {"ScheduledActionName": "c", "StartTime": soon(3600), "MaxSize": 2},
        ],
    )
    [failure] = answer["FailedScheduledUpdateGroupActions"]
    assert (failure["ScheduledActionName"], failure["ErrorCode"]) == (
        "b",
        "ValidationError",
    )
    assert "nonsense" in failure["ErrorMessage"]
    assert [a["ScheduledActionName"] for a in shown(scaler)] == ["a", "c"]
    only = shown(scaler, ScheduledActionNames=["c"])
    assert [a["ScheduledActionName"] for a in only] == ["c"]
    answer = scaler.api.batch_delete_scheduled_action(
        AutoScalingGroupName="web", ScheduledActionNames=["a", "nobody", "c"]
    )
    assert [f["ScheduledActionName"] for f in answer["FailedScheduledActions"]] == [
        "nobody"
    ]
    assert shown(scaler) == []


def test_two_of_a_group_may_not_start_at_the_same_time(scaler):
    start = soon(3600)
    put(scaler, "one", StartTime=start, MinSize=1)
    error = refused(
        scaler.api.put_scheduled_update_group_action,
        AutoScalingGroupName="web",
        ScheduledActionName="two",
        StartTime=start,
        MinSize=2,
    )
    assert error["Code"] == "AlreadyExists"


def test_the_files_actions_come_and_go_with_it(start_scaler):
    action = {
        "AutoScalingGroupName": "web",
        "ScheduledActionName": "night",
        "Recurrence": "0 22 * * *",
        "TimeZone": "America/New_York",
        "DesiredCapacity": 0,
    }
    past = {
        "AutoScalingGroupName": "web",
        "ScheduledActionName": "once",
        "StartTime": "2020-01-01T00:00:00Z",
        "MinSize": 1,
    }
    document = {
        "LaunchTemplates": [
            {
                "LaunchTemplateName": "web",
                "LaunchTemplateData": {"ImageId": "ami-0123456789abcdef0"},
            }
        ],
        "AutoScalingGroups": [
            {**GROUP, "LaunchTemplate": {"LaunchTemplateName": "web"}}
        ],
        "ScheduledActions": [action, past],
    }
    scaler = start_scaler(document=document)
    [before] = shown(scaler)
    assert before["ScheduledActionName"] == "night"
    scaler.program.stop()
    scaler.start()
    assert shown(scaler) == [before]
    scaler.document["ScheduledActions"] = []
    scaler.write()
    scaler.program.stop()
    scaler.start()
    assert shown(scaler) == []
