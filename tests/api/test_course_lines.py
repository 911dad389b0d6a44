"""The course's own command lines and those that people type next to them, as printed, with only the endpoint added.

Each is run by Debian's aws command against the lab of conf/lab.json; what a line prints must hold
what its reader looks at. A line whose action is not there yet must say so in AWS's words.
"""

import json
import shlex
import subprocess
import sys

import pytest

from conftest import ROOT, client_environment, wait_for

GROUP = "students-asg"
# Line, what must be in its output; {…} is filled in. In the order in which they are typed.
LINES = [
    ("sts get-caller-identity", "000000000000"),
    (
        "autoscaling describe-auto-scaling-groups --auto-scaling-group-names {group} "
        "--query 'AutoScalingGroups[0].Instances[*].[InstanceId,HealthStatus,AvailabilityZone]'",
        "Healthy",
    ),
    (
        "autoscaling describe-auto-scaling-groups --auto-scaling-group-names {group} "
        "--query 'AutoScalingGroups[0].[DesiredCapacity,MinSize,MaxSize]' --output text",
        "2\t2\t4",
    ),
    (
        "autoscaling describe-scaling-activities --auto-scaling-group-name {group} --max-records 10",
        "Successful",
    ),
    (
        "autoscaling set-desired-capacity --auto-scaling-group-name {group} --desired-capacity 3",
        "",
    ),
    (
        "cloudwatch put-metric-alarm --alarm-name student-records-high-5xx --alarm-description 'High 5xx' "
        "--metric-name HTTPCode_Target_5XX_Count --namespace AWS/ApplicationELB --statistic Sum --period 300 "
        "--threshold 10 --comparison-operator GreaterThanThreshold --evaluation-periods 1",
        "",
    ),
    (
        "cloudwatch describe-alarms --alarm-name-prefix student-records --state-value INSUFFICIENT_DATA",
        "student-records-high-5xx",
    ),
    (
        "cloudwatch describe-alarms --alarm-name-prefix student-records --state-value ALARM "
        "--query 'MetricAlarms[*].AlarmName' --output text",
        "",
    ),
    (
        "cloudwatch get-metric-statistics --namespace AWS/EC2 --metric-name CPUUtilization "
        "--dimensions Name=AutoScalingGroupName,Value={group} --start-time 2026-01-01T00:00:00 "
        "--end-time 2026-01-01T01:00:00 --period 60 --statistics Average",
        "CPUUtilization",
    ),
    (
        "cloudwatch put-metric-data --namespace Lab --metric-name Students --value 12",
        "",
    ),
    ("cloudwatch list-metrics --namespace Lab", "Students"),
    (
        "cloudwatch set-alarm-state --alarm-name student-records-high-5xx --state-value ALARM --state-reason test",
        "",
    ),
    ("ec2 describe-vpcs --filters Name=is-default,Values=true", "vpc-"),
    ("ec2 describe-subnets", "subnet-"),
    (
        "ec2 describe-images --owners amazon --filters 'Name=name,Values=amzn2-ami-hvm*' "
        "--query 'sort_by(Images,&CreationDate)[-1].ImageId' --output text",
        "ami-",
    ),
    (
        "ec2 create-key-pair --key-name course --query KeyMaterial --output text",
        "PRIVATE KEY",
    ),
    ("ec2 delete-key-pair --key-name course", ""),
    (
        "ec2 create-security-group --group-name course --description 'for the course'",
        "sg-",
    ),
    (
        "ec2 authorize-security-group-ingress --group-name course --protocol tcp --port 80 --cidr 0.0.0.0/0",
        "0.0.0.0/0",
    ),
    ("ec2 delete-security-group --group-name course", ""),
    (
        "elbv2 create-target-group --name course --protocol HTTP --port 80 --vpc-id {vpc}",
        "targetgroup/course",
    ),
    (
        "elbv2 create-load-balancer --name course --subnets {subnets}",
        "loadbalancer/app/course",
    ),
    ("elbv2 wait load-balancer-available --names course", ""),
    (
        "elbv2 describe-load-balancers --names course --query 'LoadBalancers[0].State.Code'",
        "active",
    ),
    ("elbv2 describe-target-health --target-group-arn {target_group}", ""),
    (
        "autoscaling put-scaling-policy --auto-scaling-group-name {group} --policy-name course "
        "--policy-type TargetTrackingScaling --target-tracking-configuration "
        '\'{{"PredefinedMetricSpecification":{{"PredefinedMetricType":"ASGAverageCPUUtilization"}},'
        '"TargetValue":60}}\'',
        "PolicyARN",
    ),
    (
        "autoscaling delete-policy --auto-scaling-group-name {group} --policy-name course",
        "",
    ),
    (
        "autoscaling terminate-instance-in-auto-scaling-group --instance-id {instance} "
        "--no-should-decrement-desired-capacity",
        "Terminating EC2 instance",
    ),
    ("ec2 terminate-instances --instance-ids {instance}", "shutting-down"),
    ("autoscaling start-instance-refresh --auto-scaling-group-name {group}", ""),
    (
        "autoscaling delete-auto-scaling-group --auto-scaling-group-name {group} --force-delete",
        "",
    ),
    ("cloudwatch delete-alarms --alarm-names student-records-high-5xx", ""),
]
# Refused clearly until they are there; whoever adds one takes it out.
NOT_YET = set()
# Services that the course uses beside: refused by name.
OTHERS = [
    "ecr describe-repositories",
    "rds describe-db-instances",
    "eks list-clusters",
    "ec2-instance-connect send-ssh-public-key --instance-id i-0123456789abcdef0 --instance-os-user u "
    f"--ssh-public-key {'k' * 80}",
]


class Done:
    """What a command left behind."""

    def __init__(self, returncode, stdout, stderr):
        self.returncode, self.stdout, self.stderr = returncode, stdout, stderr


@pytest.fixture
def run():
    """run(endpoint, line) by Debian's aws command."""
    with subprocess.Popen(
        [sys.executable, ROOT / "tests/api/aws_lines.py"],
        env=client_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def call(endpoint, line):
            words = ["--endpoint-url", endpoint, *shlex.split(line)]
            process.stdin.write(json.dumps(words) + "\n")
            process.stdin.flush()
            return Done(*json.loads(process.stdout.readline()))

        yield call
        process.stdin.close()


def words(lab, line):
    """What the line's names in braces stand for, as things are now."""
    subnets = lab.client("ec2").describe_subnets()["Subnets"]
    filled = {
        "group": GROUP,
        "vpc": subnets[0]["VpcId"],
        "subnets": " ".join(s["SubnetId"] for s in subnets[:2]),
    }
    if "{instance}" in line:
        filled["instance"] = wait_for(lab.in_service, 60, "an instance")[0]
    if "{target_group}" in line:
        groups = lab.client("elbv2").describe_target_groups(Names=["course"])
        filled["target_group"] = groups["TargetGroups"][0]["TargetGroupArn"]
    return filled


def test_each_line_works_as_printed(start_lab, run):
    lab = start_lab()
    for line, wanted in LINES:
        done = run(lab.aws, line.format(**words(lab, line)))
        if line.split()[1] in NOT_YET and done.returncode != 0:
            assert "(InvalidAction)" in done.stderr, (line, done.stderr)
            continue
        assert done.returncode == 0, (line, done.stderr)
        assert wanted in done.stdout, (line, done.stdout)


def test_other_services_are_refused_by_name(start_lab, run):
    lab = start_lab()
    for line in OTHERS:
        done = run(lab.aws, line)
        assert done.returncode != 0, line
        assert "(InvalidAction)" in done.stderr, done.stderr
        assert "is not served here" in done.stderr, done.stderr
