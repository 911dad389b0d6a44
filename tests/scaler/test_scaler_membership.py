"""Protection, standby, attach and detach, hooks, processes and what clients list, through boto3."""

import pathlib
import sys
import urllib.error
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from conftest import client, http_get, refused, wait_for  # noqa: E402
from fixtures import ec2, start_scaler  # noqa: E402, F401

GROUP = {
    "AutoScalingGroupName": "web",
    "MinSize": 0,
    "MaxSize": 4,
    "DesiredCapacity": 2,
    "LaunchTemplate": {"LaunchTemplateName": "web", "Version": "1"},
    "AvailabilityZones": ["us-east-1a"],
}
TAG = "albatross:autoscaling:groupName"
ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/{}/0123456789abcdef"
TOPIC = "arn:aws:sns:us-east-1:000000000000:mail"


@pytest.fixture
def scaler(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    scaler.api.create_auto_scaling_group(**GROUP)
    return scaler


@pytest.fixture
def alone(start_scaler):
    scaler = start_scaler(document={})
    scaler.api.create_auto_scaling_group(**{**GROUP, "DesiredCapacity": 0})
    return scaler


def state(scaler, instance_id):
    for instance in scaler.group()["Instances"]:
        if instance["InstanceId"] == instance_id:
            return instance["LifecycleState"]
    return None


def test_standby_and_back(scaler):
    scaler.wait_in_service(2)
    one = scaler.in_service()[0]
    [activity] = scaler.api.enter_standby(
        AutoScalingGroupName="web",
        InstanceIds=[one],
        ShouldDecrementDesiredCapacity=True,
    )["Activities"]
    assert activity["Description"] == f"Moving EC2 instance to Standby: {one}"
    wait_for(lambda: state(scaler, one) == "Standby", 10, "standby")
    assert scaler.group()["DesiredCapacity"] == 1
    assert "in Standby" in refused(
        "ValidationError",
        scaler.api.enter_standby,
        AutoScalingGroupName="web",
        InstanceIds=[one],
        ShouldDecrementDesiredCapacity=False,
    )
    refused(
        "ResourceInUse",
        scaler.api.delete_auto_scaling_group,
        AutoScalingGroupName="web",
    )
    scaler.api.exit_standby(AutoScalingGroupName="web", InstanceIds=[one])
    wait_for(lambda: state(scaler, one) == "InService", 10, "service")
    assert scaler.group()["DesiredCapacity"] == 2


def test_standby_below_the_minimum_is_refused(scaler):
    scaler.wait_in_service(2)
    scaler.api.update_auto_scaling_group(AutoScalingGroupName="web", MinSize=2)
    text = refused(
        "ValidationError",
        scaler.api.enter_standby,
        AutoScalingGroupName="web",
        InstanceIds=scaler.in_service()[:1],
        ShouldDecrementDesiredCapacity=True,
    )
    assert "min-size=2, max-size=4, and desired-size=2" in text


def test_a_detached_instance_is_left_alone_and_may_come_back(ec2, scaler):
    scaler.wait_in_service(2)
    one = scaler.in_service()[0]
    scaler.api.detach_instances(
        AutoScalingGroupName="web",
        InstanceIds=[one],
        ShouldDecrementDesiredCapacity=True,
    )
    wait_for(lambda: state(scaler, one) is None, 10, "the detachment")
    assert one in ec2.running()
    assert TAG not in {t["key"] for t in ec2.instances[one]["tagSet"]}
    assert scaler.group()["DesiredCapacity"] == 1
    scaler.api.attach_instances(AutoScalingGroupName="web", InstanceIds=[one])
    wait_for(lambda: state(scaler, one) == "InService", 10, "the attachment")
    assert scaler.group()["DesiredCapacity"] == 2
    assert {"key": TAG, "value": "web"} in ec2.instances[one]["tagSet"]
    assert "already part of" in refused(
        "ValidationError",
        scaler.api.attach_instances,
        AutoScalingGroupName="web",
        InstanceIds=[one],
    )


def test_what_ec2_does_not_have_fails_in_an_activity(scaler):
    scaler.wait_in_service(2)
    scaler.api.attach_instances(
        AutoScalingGroupName="web", InstanceIds=["i-0123456789abcdef0"]
    )
    wait_for(lambda: scaler.group()["DesiredCapacity"] == 2, 10, "the fall back")
    [failed] = [a for a in scaler.activities() if a["StatusCode"] == "Failed"]
    assert "does not exist" in failed["StatusMessage"]


def test_protection_holds_a_scale_in_until_it_falls(scaler):
    scaler.wait_in_service(2)
    both = scaler.in_service()
    scaler.api.set_instance_protection(
        AutoScalingGroupName="web", InstanceIds=both, ProtectedFromScaleIn=True
    )
    # As Terraform destroys: sizes first, protection after.
    scaler.api.update_auto_scaling_group(
        AutoScalingGroupName="web", MinSize=0, MaxSize=0, DesiredCapacity=0
    )
    wait_for(
        lambda: any(
            "protected from scale-in" in a["Description"] for a in scaler.activities()
        ),
        10,
        "the activity that says so",
    )
    assert all(i["ProtectedFromScaleIn"] for i in scaler.group()["Instances"])
    scaler.api.set_instance_protection(
        AutoScalingGroupName="web", InstanceIds=both, ProtectedFromScaleIn=False
    )
    wait_for(lambda: scaler.group()["Instances"] == [], 10, "an empty group")
    assert "not part of" in refused(
        "ValidationError",
        scaler.api.set_instance_protection,
        AutoScalingGroupName="web",
        InstanceIds=both,
        ProtectedFromScaleIn=False,
    )


def test_a_hook_holds_a_launch_until_it_is_answered(scaler):
    api = scaler.api
    scaler.wait_in_service(2)
    api.put_lifecycle_hook(
        AutoScalingGroupName="web",
        LifecycleHookName="wait",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        HeartbeatTimeout=300,
    )
    [hook] = api.describe_lifecycle_hooks(AutoScalingGroupName="web")["LifecycleHooks"]
    assert hook == {
        "LifecycleHookName": "wait",
        "AutoScalingGroupName": "web",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "HeartbeatTimeout": 300,
        "GlobalTimeout": 30000,
        "DefaultResult": "ABANDON",
    }
    api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=3)

    def waiting():
        return [
            i["InstanceId"]
            for i in scaler.group()["Instances"]
            if i["LifecycleState"] == "Pending:Wait"
        ]

    [one] = wait_for(waiting, 10, "Pending:Wait")
    named = {
        "AutoScalingGroupName": "web",
        "LifecycleHookName": "wait",
        "InstanceId": one,
    }
    api.record_lifecycle_action_heartbeat(**named)
    api.complete_lifecycle_action(**named, LifecycleActionResult="CONTINUE")
    scaler.wait_in_service(3)
    assert "No active Lifecycle Action found with instance ID" in refused(
        "ValidationError",
        api.complete_lifecycle_action,
        **named,
        LifecycleActionResult="CONTINUE",
    )
    api.delete_lifecycle_hook(AutoScalingGroupName="web", LifecycleHookName="wait")
    assert (
        api.describe_lifecycle_hooks(AutoScalingGroupName="web")["LifecycleHooks"] == []
    )
    assert "not found" in refused(
        "ValidationError",
        api.delete_lifecycle_hook,
        AutoScalingGroupName="web",
        LifecycleHookName="wait",
    )


def test_hooks_that_come_with_the_group_hold_its_first_launch(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    scaler.api.create_auto_scaling_group(
        **{**GROUP, "DesiredCapacity": 1},
        LifecycleHookSpecificationList=[
            {
                "LifecycleHookName": "first",
                "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
            }
        ],
    )
    wait_for(
        lambda: [i["LifecycleState"] for i in scaler.group()["Instances"]]
        == ["Pending:Wait"],
        10,
        "Pending:Wait",
    )


def test_processes_are_suspended_and_resumed(scaler):
    api = scaler.api
    scaler.wait_in_service(2)
    api.suspend_processes(
        AutoScalingGroupName="web", ScalingProcesses=["Launch", "Terminate"]
    )
    shown = scaler.group()["SuspendedProcesses"]
    assert [p["ProcessName"] for p in shown] == ["Launch", "Terminate"]
    assert shown[0]["SuspensionReason"].startswith("User suspended at 20")
    api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=3)
    api.resume_processes(AutoScalingGroupName="web", ScalingProcesses=["Launch"])
    scaler.wait_in_service(3)
    api.suspend_processes(AutoScalingGroupName="web")
    assert len(scaler.group()["SuspendedProcesses"]) == 9
    api.resume_processes(AutoScalingGroupName="web")
    assert scaler.group()["SuspendedProcesses"] == []
    assert "Lunch" in refused(
        "ValidationError",
        api.suspend_processes,
        AutoScalingGroupName="web",
        ScalingProcesses=["Lunch"],
    )


def test_metrics_are_collected_when_asked_for(alone):
    api = alone.api
    api.enable_metrics_collection(
        AutoScalingGroupName="web",
        Metrics=["GroupTotalCapacity", "GroupMinSize"],
        Granularity="1Minute",
    )
    assert alone.group()["EnabledMetrics"] == [
        {"Metric": "GroupMinSize", "Granularity": "1Minute"},
        {"Metric": "GroupTotalCapacity", "Granularity": "1Minute"},
    ]
    metrics = client("cloudwatch", alone.url)
    wait_for(
        lambda: metrics.list_metrics(
            Namespace="AWS/AutoScaling", MetricName="GroupTotalCapacity"
        )["Metrics"],
        10,
        "the metric",
    )
    api.disable_metrics_collection(AutoScalingGroupName="web")
    assert alone.group()["EnabledMetrics"] == []
    refused(
        "ValidationError",
        api.enable_metrics_collection,
        AutoScalingGroupName="web",
        Granularity="5Minute",
    )


def test_notification_configurations_are_kept(alone):
    api = alone.api
    api.put_notification_configuration(
        AutoScalingGroupName="web",
        TopicARN=TOPIC,
        NotificationTypes=[
            "autoscaling:EC2_INSTANCE_LAUNCH",
            "autoscaling:EC2_INSTANCE_TERMINATE",
        ],
    )
    api.put_notification_configuration(
        AutoScalingGroupName="web",
        TopicARN=TOPIC,
        NotificationTypes=["autoscaling:EC2_INSTANCE_LAUNCH"],
    )
    assert api.describe_notification_configurations(AutoScalingGroupNames=["web"])[
        "NotificationConfigurations"
    ] == [
        {
            "AutoScalingGroupName": "web",
            "TopicARN": TOPIC,
            "NotificationType": "autoscaling:EC2_INSTANCE_LAUNCH",
        }
    ]
    api.delete_notification_configuration(AutoScalingGroupName="web", TopicARN=TOPIC)
    assert (
        api.describe_notification_configurations()["NotificationConfigurations"] == []
    )


def test_traffic_sources_are_target_groups(alone):
    api = alone.api
    source = {"Identifier": ARN.format("one")}
    api.attach_traffic_sources(AutoScalingGroupName="web", TrafficSources=[source])
    assert alone.group()["TargetGroupARNs"] == [ARN.format("one")]
    assert alone.group()["TrafficSources"] == [source]
    # This boto3 wants the type and shows the name of old.
    [shown] = api.describe_traffic_sources(
        AutoScalingGroupName="web", TrafficSourceType="elbv2"
    )["TrafficSources"]
    assert shown["TrafficSource"] == ARN.format("one")
    assert shown["State"] in ("Adding", "Added")
    api.detach_traffic_sources(AutoScalingGroupName="web", TrafficSources=[source])
    assert alone.group()["TargetGroupARNs"] == []


def test_the_constant_lists_are_there(alone):
    api = alone.api
    assert {
        p["ProcessName"] for p in api.describe_scaling_process_types()["Processes"]
    } >= {
        "Launch",
        "Terminate",
        "ScheduledActions",
    }
    assert (
        "Default" in api.describe_termination_policy_types()["TerminationPolicyTypes"]
    )
    types = api.describe_adjustment_types()["AdjustmentTypes"]
    assert {"AdjustmentType": "PercentChangeInCapacity"} in types
    metrics = api.describe_metric_collection_types()
    assert {"Metric": "GroupMinSize"} in metrics["Metrics"]
    assert metrics["Granularities"] == [{"Granularity": "1Minute"}]
    assert len(api.describe_lifecycle_hook_types()["LifecycleHookTypes"]) == 2
    assert (
        len(
            api.describe_auto_scaling_notification_types()[
                "AutoScalingNotificationTypes"
            ]
        )
        == 5
    )
    limits = api.describe_account_limits()
    assert limits["NumberOfAutoScalingGroups"] == 1
    assert limits["MaxNumberOfAutoScalingGroups"] == 5000


def test_instances_are_retained_where_the_policy_says_so(scaler):
    # Newer than the boto3 here.
    def call(action, **more):
        form = {"Action": action, "Version": "2011-01-01", **more}
        return http_get(f"{scaler.url}/?{urllib.parse.urlencode(form)}")

    member = "InstanceLifecyclePolicy.RetentionTriggers.TerminateHookAbandon"
    group = {"AutoScalingGroupName": "web"}
    with pytest.raises(urllib.error.HTTPError):
        call("UpdateAutoScalingGroup", **group, **{member: "keep"})
    call("UpdateAutoScalingGroup", **group, **{member: "retain"})
    shown = call("DescribeAutoScalingGroups")
    assert "<TerminateHookAbandon>retain</TerminateHookAbandon>" in shown
    api = scaler.api
    scaler.wait_in_service(2)
    api.put_lifecycle_hook(
        **group,
        LifecycleHookName="out",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
    )
    [one, _] = scaler.in_service()
    api.terminate_instance_in_auto_scaling_group(
        InstanceId=one, ShouldDecrementDesiredCapacity=True
    )

    wait_for(lambda: state(scaler, one) == "Terminating:Wait", 10, "the hook")
    api.complete_lifecycle_action(
        **group,
        LifecycleHookName="out",
        InstanceId=one,
        LifecycleActionResult="ABANDON",
    )
    wait_for(lambda: state(scaler, one) == "Terminating:Retained", 10, "its retention")
    api.terminate_instance_in_auto_scaling_group(
        InstanceId=one, ShouldDecrementDesiredCapacity=True
    )
    wait_for(lambda: state(scaler, one) is None, 10, "its end")
