"""What the tests that build a whole lab from nothing share: a lab without anything of its own, and what is in it."""

import urllib.error

import conftest as shared

# (service, operation, member of its answer, what names a thing there)
KINDS = (
    ("ec2", "describe_security_groups", "SecurityGroups", "GroupName"),
    ("ec2", "describe_key_pairs", "KeyPairs", "KeyName"),
    ("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateName"),
    ("ec2", "describe_volumes", "Volumes", "VolumeId"),
    ("ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    ("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerName"),
    ("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupName"),
    ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", None),
    ("autoscaling", "describe_policies", "ScalingPolicies", "PolicyName"),
    ("autoscaling", "describe_scheduled_actions", "ScheduledUpdateGroupActions", None),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
)


def start_empty(start_lab):
    """The lab of conf/empty.json; what it holds before anything is made, as contents() tells it."""
    lab = start_lab(document={"Lab": {}}, ready=False)
    lab.program.wait_log(r"^ready .*aws=")
    return lab, contents(lab)


def contents(lab):
    """{kind: names} of all that is there; the load balancer that serves AwsPort is the lab's own."""
    found = {
        member: sorted(
            thing[name] if name else str(thing)
            for thing in getattr(lab.client(service), operation)()[member]
        )
        for service, operation, member, name in KINDS
    }
    return {**found, "Instances": [i["InstanceId"] for i in lab.running_instances()]}


# What every whole lab has.
WHOLE = {
    "SecurityGroups",
    "KeyPairs",
    "LaunchTemplates",
    "LoadBalancers",
    "TargetGroups",
    "AutoScalingGroups",
    "ScalingPolicies",
    "ScheduledUpdateGroupActions",
    "MetricAlarms",
    "Instances",
}


def assert_whole(lab, before):
    now = contents(lab)
    missing = {kind for kind in WHOLE if now[kind] == before[kind]}
    assert not missing, f"not made: {missing}"


def wait_gone(lab, before):
    def difference():
        now = contents(lab)
        more = {kind: now[kind] for kind in now if now[kind] != before[kind]}
        assert not more, f"left: {more}"
        return True

    shared.wait_for(difference, 20, "nothing to be left")


def get(url):
    """What the web answers, or None while it does not."""
    try:
        return shared.http_get(url)
    except (OSError, urllib.error.URLError):
        return None
