"""A whole lab as a file, and what differs from it: import and diff over port 4566, all services on one endpoint."""

import json
import os
import re
import subprocess

import conftest as shared

ENV = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
NAMES = ("--load-balancer", "students", "--auto-scaling-group", "students-asg")


def run(folder, program, *words):
    done = subprocess.run(
        [str(shared.BIN / program), *map(str, words)],
        cwd=folder,
        env={**os.environ, **ENV},
        capture_output=True,
        text=True,
        timeout=60 * shared.SLOW,
    )
    assert not shared.REPORTS.search(done.stderr), done.stderr
    return done


def imported(lab, name):
    folder = lab.programs.folder
    words = ("import", *NAMES, "--endpoint", lab.aws, "-o", name)
    done = run(folder, "albatross-lb", *words)
    assert done.returncode == 0, done.stderr
    return (folder / name).read_text()


def diff(lab, name):
    words = ("diff", "-c", name, "--endpoint", lab.aws)
    return run(lab.programs.folder, "albatross-lb", *words)


def enrich(document):
    """More of everything than the example has."""
    group = document["AutoScalingGroups"][0]
    group["Tags"] = [{"Key": "course", "Value": "cloud", "PropagateAtLaunch": True}]
    group["TerminationPolicies"] = ["OldestInstance", "Default"]
    document["ScalingPolicies"].append(
        {
            "AutoScalingGroupName": "students-asg",
            "PolicyName": "one-more",
            "PolicyType": "SimpleScaling",
            "AdjustmentType": "ChangeInCapacity",
            "ScalingAdjustment": 1,
            "Cooldown": 30,
        }
    )
    document["MetricAlarms"][0]["AlarmActions"] = ["one-more"]
    document["ScheduledActions"] = [
        {
            "AutoScalingGroupName": "students-asg",
            "ScheduledActionName": "night",
            "Recurrence": "0 20 * * *",
            "TimeZone": "Europe/Paris",
            "MinSize": 1,
        }
    ]
    document["LifecycleHooks"] = [
        {
            "AutoScalingGroupName": "students-asg",
            "LifecycleHookName": "goodbye",
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
            "DefaultResult": "CONTINUE",
            "HeartbeatTimeout": 30,
        }
    ]


def test_a_lab_from_the_import_of_a_lab_is_the_same_lab(start_lab, programs):
    lab = start_lab(edit=enrich)
    first = imported(lab, "first.json")
    for program in ("albatross-lb", "albatross-scaler", "albatross-lab"):
        done = run(programs.folder, program, "-t", "-c", "first.json")
        assert done.returncode == 0, done.stderr
    config = json.loads(first)
    assert {section: len(config[section]) for section in config} == {
        "LoadBalancers": 1,
        "TargetGroups": 1,
        "LaunchTemplates": 1,
        "AutoScalingGroups": 1,
        "ScalingPolicies": 2,
        "ScheduledActions": 1,
        "LifecycleHooks": 1,
        "MetricAlarms": 3,
    }
    # The group registers its instances by itself.
    assert "Targets" not in config["TargetGroups"][0]
    assert config["MetricAlarms"][0]["AlarmActions"] == ["one-more"]
    lab.program.stop()
    again = start_lab(document=config)
    second = imported(again, "second.json")
    assert second.replace(str(again.web_port), str(lab.web_port)) == first


def test_diff_of_a_lab_and_its_own_file_is_silent_until_something_changes(start_lab):
    lab = start_lab(edit=enrich)
    done = diff(lab, "lab.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    scaling, cloudwatch = lab.client("autoscaling"), lab.client("cloudwatch")
    scaling.update_auto_scaling_group(AutoScalingGroupName="students-asg", MaxSize=7)
    scaling.set_desired_capacity(
        AutoScalingGroupName="students-asg", DesiredCapacity=3
    )  # what the run time decides is no difference
    scaling.delete_policy(AutoScalingGroupName="students-asg", PolicyName="one-more")
    alarm = cloudwatch.describe_alarms(AlarmNames=["cpu-low"])["MetricAlarms"][0]
    wanted = {k: v for k, v in alarm.items() if not re.match("State|AlarmA|AlarmC", k)}
    cloudwatch.put_metric_alarm(**{**wanted, "Threshold": 20})
    ec2 = lab.client("ec2")
    ec2.create_launch_template_version(
        LaunchTemplateName="students",
        SourceVersion="1",
        LaunchTemplateData={"InstanceType": "t3.small"},
    )
    ec2.modify_launch_template(LaunchTemplateName="students", DefaultVersion="2")
    done = diff(lab, "lab.json")
    assert done.returncode == 1, done.stderr
    for text in (
        'LaunchTemplates[students].LaunchTemplateData.InstanceType\n  file: "t2.micro"\n  live: "t3.small"\n',
        "AutoScalingGroups[students-asg].MaxSize\n  file: 4\n  live: 7\n",
        "ScalingPolicies[students-asg,one-more]\n  only in the file\n",
        "MetricAlarms[cpu-low].Threshold\n  file: 30.0\n  live: 20.0\n",
    ):
        assert text in done.stdout, done.stdout
    assert "DesiredCapacity" not in done.stdout
    assert "Targets" not in done.stdout


def test_an_endpoint_without_auto_scaling_is_told(start_lab):
    lab = start_lab()
    api = f"http://{lab.document['Lb']['ApiAddress']}"
    folder = lab.programs.folder
    words = ("diff", "-c", "lab.json", "--endpoint", api)
    done = run(folder, "albatross-lb", *words)
    assert done.returncode == 2
    assert "DescribeAutoScalingGroups" in done.stderr
    done = run(folder, "albatross-lb", *words, "--no-auto-scaling")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
