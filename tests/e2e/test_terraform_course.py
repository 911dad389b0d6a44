"""Real Terraform builds a course's whole laboratory, serves traffic, changes it in place, removes it."""

import pathlib
import urllib.error

import pytest

import conftest as shared
import terraform

pytestmark = pytest.mark.unhurried

SOURCE = shared.ROOT / "tests/data/terraform/course.tf"
# What another greeting changes.
UPDATED = {
    "aws_launch_template.web",
    "aws_autoscaling_group.web",
    "aws_cloudwatch_metric_alarm.busy",
}


def nothing_of_its_own(document):
    for section in (
        "LoadBalancers",
        "TargetGroups",
        "AutoScalingGroups",
        "LaunchTemplates",
        "ScalingPolicies",
        "MetricAlarms",
    ):
        document[section] = []


def left_over(lab):
    """All that Terraform made and that is still there."""
    ec2, scaling, cloudwatch, elb = (
        lab.client(s) for s in ("ec2", "autoscaling", "cloudwatch", "elbv2")
    )
    groups = ec2.describe_security_groups()["SecurityGroups"]
    # The listener that serves 4566 belongs to a load balancer of the lab's own.
    return [
        *(g["GroupName"] for g in groups if g["GroupName"] != "default"),
        *ec2.describe_key_pairs()["KeyPairs"],
        *ec2.describe_launch_templates()["LaunchTemplates"],
        *ec2.describe_volumes()["Volumes"],
        *lab.running_instances(),
        *scaling.describe_auto_scaling_groups()["AutoScalingGroups"],
        *scaling.describe_policies()["ScalingPolicies"],
        *scaling.describe_scheduled_actions()["ScheduledUpdateGroupActions"],
        *cloudwatch.describe_alarms()["MetricAlarms"],
        *cloudwatch.list_dashboards()["DashboardEntries"],
        *(
            g["TargetGroupName"]
            for g in elb.describe_target_groups()["TargetGroups"]
            if g["TargetGroupName"] == "course"
        ),
        *(
            b["LoadBalancerName"]
            for b in elb.describe_load_balancers()["LoadBalancers"]
            if b["LoadBalancerName"] == "course"
        ),
    ]


def answers(url, wanted):
    try:
        return shared.http_get(url) == wanted
    except (OSError, urllib.error.URLError):
        return False


@pytest.mark.timeout(1500)
def test_a_courses_laboratory_is_built_serves_changes_and_goes(start_lab, programs):
    terraform.require()
    lab = start_lab(edit=nothing_of_its_own, ready=False)
    lab.program.wait_log(r"^ready ")  # with no address for the web
    tf = terraform.Terraform(pathlib.Path(programs.folder) / "tf", lab.aws)
    tf.write(SOURCE.read_text())
    port = shared.free_port()
    tf.variables(port=port)
    tf.init().apply()
    tf.plan_is_empty()
    told = tf.outputs()
    web = f"http://{told['dns']}:{port}"
    assert answers(f"{web}/", "hello\n")  # the apply waited for healthy targets
    assert answers(f"{web}/about", "the course's load balancer")
    assert len(lab.in_service("course")) == 2

    tf.variables(greeting="salama")
    assert tf.plan() == {address: ["update"] for address in UPDATED}
    tf.apply()
    shared.wait_for(
        lambda: all(answers(f"{web}/", "salama\n") for _ in range(4)),
        60,
        "the refreshed instances",
    )
    tf.plan_is_empty()

    tf.destroy()
    shared.wait_for(lambda: left_over(lab) == [], 20, "nothing to be left")
