"""albatross-scaler simulate: what it prints, that it repeats itself, and what it says of bad input."""

import copy
import gzip
import json
import subprocess
import xml.etree.ElementTree

import pytest

from conftest import BIN

TRACKING = {
    "AutoScalingGroupName": "web",
    "PolicyType": "TargetTrackingScaling",
}
CONFIG = {
    "TargetGroups": [
        {
            "Name": "web",
            "Protocol": "HTTP",
            "Port": 80,
            "TargetType": "instance",
            "HealthCheckIntervalSeconds": 5,
            "HealthCheckTimeoutSeconds": 2,
            "Attributes": {"deregistration_delay.timeout_seconds": "30"},
        }
    ],
    "LaunchTemplates": [
        {
            "LaunchTemplateName": "web",
            "LaunchTemplateData": {
                "ImageId": "ami-0123456789abcdef0",
                "InstanceType": "t3.micro",
            },
        }
    ],
    "AutoScalingGroups": [
        {
            "AutoScalingGroupName": "web",
            "MinSize": 2,
            "MaxSize": 20,
            "LaunchTemplate": {"LaunchTemplateName": "web"},
            "AvailabilityZones": ["us-east-1a", "us-east-1b"],
            "TargetGroupARNs": ["web"],
            "DefaultInstanceWarmup": 45,
        }
    ],
    "ScalingPolicies": [
        {
            **TRACKING,
            "PolicyName": "cpu",
            "TargetTrackingConfiguration": {
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "ASGAverageCPUUtilization"
                },
                "TargetValue": 60,
            },
        },
        {
            "AutoScalingGroupName": "web",
            "PolicyName": "steps",
            "PolicyType": "StepScaling",
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [
                {"MetricIntervalLowerBound": 0, "ScalingAdjustment": 3}
            ],
        },
    ],
    "MetricAlarms": [
        {
            "AlarmName": "busy",
            "Namespace": "AWS/EC2",
            "MetricName": "CPUUtilization",
            "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "web"}],
            "Statistic": "Average",
            "Period": 10,
            "EvaluationPeriods": 2,
            "Threshold": 70,
            "ComparisonOperator": "GreaterThanThreshold",
            "AlarmActions": ["steps"],
        }
    ],
}
STEP = "seconds,rps\n0,200\n300,200\n300,900\n1500,900\n1500,200\n2400,200\n"


def simulate(*words):
    return subprocess.run(
        [BIN / "albatross-scaler", "simulate", *words],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def files(tmp_path):
    (tmp_path / "web.json").write_text(json.dumps(CONFIG))
    (tmp_path / "step.csv").write_text(STEP)
    return tmp_path


def run(files, *words, load="step.csv"):
    done = simulate("-c", files / "web.json", "--load", files / load, *words)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def figures(files, *policies, load="step.csv", more=()):
    words = [word for policy in policies for word in ("--policy", policy)]
    out = json.loads(run(files, *words, *more, "--json", "-", load=load))
    return {run["Policy"]: run for run in out["Runs"]}


def test_policies_stand_side_by_side_and_ours_reacts_before_simulated_aws(files):
    runs = figures(files, "cpu", "aws:cpu", "fixed:15")
    assert list(runs) == ["cpu", "aws:cpu", "fixed:15"]
    assert runs["cpu"]["ReactionMedian"] <= 5
    assert runs["aws:cpu"]["ReactionMedian"] >= 180
    assert runs["cpu"]["Dropped"] < runs["aws:cpu"]["Dropped"]
    assert runs["fixed:15"]["CapacityPeak"] == runs["fixed:15"]["CapacityLeast"] == 15
    assert runs["fixed:15"]["Dropped"] == runs["fixed:15"]["Launches"] == 0
    assert abs(runs["fixed:15"]["InstanceHours"] - 15 * 2401 / 3600) < 0.01
    for one in runs.values():
        assert one["Seconds"] == 2401
        assert abs(one["Cost"] - 0.0104 * one["InstanceHours"]) < 1e-5


def test_newcomers_that_boot_do_not_make_requests_per_target_ask_for_more(files):
    config = copy.deepcopy(CONFIG)
    tracking = config["ScalingPolicies"][0]["TargetTrackingConfiguration"]
    tracking["PredefinedMetricSpecification"] = {
        "PredefinedMetricType": "ALBRequestCountPerTarget"
    }
    tracking["TargetValue"] = 3600
    config["AutoScalingGroups"][0]["MaxSize"] = 60
    (files / "web.json").write_text(json.dumps(config))
    runs = figures(files, "cpu")
    assert runs["cpu"]["NeededPeak"] == 15
    assert (
        runs["cpu"]["CapacityPeak"] <= 17
    )  # they are in service, and take nothing yet


def test_all_is_the_group_s_policies_together_and_alarms_run_step_policies(files):
    runs = figures(files, "all", "steps", more=["--settle", "10m"])
    assert runs["steps"]["CapacityPeak"] >= 9  # nothing takes away again
    assert runs["steps"]["Terminations"] == 0
    assert runs["all"]["CapacityPeak"] >= 13
    assert "Notes" not in runs["steps"]


def test_the_same_seed_gives_the_same_output_and_another_one_another(files):
    words = ["--policy", "cpu", "--policy", "aws:all", "--noise", "20%"]
    words += ["--launch-failures", "10%", "--csv", "-"]
    first = run(files, *words, "--seed", "7")
    assert run(files, *words, "--seed", "7") == first
    assert run(files, *words, "--seed", "8") != first


def test_time_series_and_plot_are_written(files):
    out = run(
        files, "--policy", "cpu", "--csv", files / "out.csv", "--svg", files / "out.svg"
    )
    rows = (files / "out.csv").read_text().splitlines()
    assert rows[0].startswith("time,load,needed,cpu desired,cpu in service")
    assert len(rows) == 1 + 2401
    assert rows[301].startswith("300,900.00,15,")
    svg = xml.etree.ElementTree.parse(files / "out.svg").getroot()
    assert svg.tag.endswith("svg")
    assert "cpu" in "".join(svg.itertext())
    assert "p95 wait" in out and "\ncpu " in out


def test_a_policy_may_come_from_a_file_of_its_own(files):
    policy = copy.deepcopy(CONFIG["ScalingPolicies"][0])
    policy["TargetTrackingConfiguration"]["TargetValue"] = 30
    (files / "low.json").write_text(json.dumps(policy))
    runs = figures(files, "cpu", str(files / "low.json"))
    assert runs["low.json"]["CapacityMean"] > 1.3 * runs["cpu"]["CapacityMean"]
    del policy["TargetTrackingConfiguration"]["TargetValue"]
    (files / "low.json").write_text(json.dumps(policy))
    done = simulate(
        *("-c", files / "web.json", "--load", files / "step.csv"),
        *("--policy", files / "low.json"),
    )
    assert done.returncode == 1
    assert "low.json" in done.stderr and "TargetValue" in done.stderr


def test_load_tracking_and_metric_math_are_simulated_too(files):
    group = {"Name": "AutoScalingGroupName", "Value": "web"}
    targets = {"Name": "TargetGroup", "Value": "targetgroup/web/0123456789abcdef"}

    def stat(name, namespace, metric, dimension, how):
        return {
            "Id": name,
            "MetricStat": {
                "Metric": {
                    "Namespace": namespace,
                    "MetricName": metric,
                    "Dimensions": [dimension],
                },
                "Stat": how,
                "Period": 10,
            },
            "ReturnData": False,
        }

    math = {
        **TRACKING,
        "PolicyName": "math",
        "TargetTrackingConfiguration": {
            "CustomizedMetricSpecification": {
                "Metrics": [
                    stat("r", "AWS/ApplicationELB", "RequestCount", targets, "Sum"),
                    stat(
                        "n",
                        "AWS/AutoScaling",
                        "GroupInServiceInstances",
                        group,
                        "Average",
                    ),
                    {"Id": "each", "Expression": "r / 10 / n", "ReturnData": True},
                ]
            },
            "TargetValue": 60,
        },
    }
    load = {
        "AutoScalingGroupName": "web",
        "PolicyName": "load",
        "PolicyType": "LoadTracking",
        "LoadTrackingConfiguration": {"RequestsPerTarget": 60},
    }
    (files / "math.json").write_text(json.dumps(math))
    (files / "load.json").write_text(json.dumps(load))
    runs = figures(files, str(files / "math.json"), str(files / "load.json"))
    for run in runs.values():
        assert "Notes" not in run
        assert run["CapacityPeak"] >= run["NeededPeak"] == 15
    assert runs["load.json"]["ReactionMedian"] <= 3
    assert runs["load.json"]["CapacityPeak"] == 15


def test_a_metric_that_is_not_simulated_is_noted(files):
    policy = {
        **TRACKING,
        "PolicyName": "queue",
        "TargetTrackingConfiguration": {
            "CustomizedMetricSpecification": {
                "Namespace": "Mine",
                "MetricName": "Backlog",
                "Statistic": "Average",
            },
            "TargetValue": 5,
        },
    }
    (files / "queue.json").write_text(json.dumps(policy))
    out = run(files, "--policy", files / "queue.json")
    assert "note: queue.json: queue watches Backlog, which is not simulated" in out


def test_an_access_log_is_counted_by_second_gzipped_or_not(files):
    lines = []
    for second in range(60):
        for i in range(50 if second < 30 else 500):
            lines.append(
                f"http 2026-08-07T10:00:{second:02}.{i:06}Z app/web/1 192.0.2.1:5 - 0.0 0.0 0.0 200 200 1 1"
            )
    lines.insert(40, "what is this?")
    (files / "access.log").write_text("\n".join(lines) + "\n")
    with gzip.open(files / "access.log.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
    plain = run(files, "--policy", "cpu", load="access.log")
    assert "60 s of load (mean 275.0, peak 500.0 requests/s)" in plain
    assert "the first is line 41" in plain
    assert plain == run(files, "--policy", "cpu", load="access.log.gz").replace(
        "access.log.gz", "access.log"
    )


@pytest.mark.parametrize(
    "text, words",
    [
        ("", ["load.csv:1", "empty", "TIME,REQUESTS_PER_SECOND"]),
        ("time,rps\n", ["load.csv:1", "nothing but a header"]),
        ("0,5\n1,x\n", ["load.csv:2", "no number", "TIME,REQUESTS_PER_SECOND"]),
        ("0,5\n\n# more\n1 7\n", ["load.csv:4", "comma"]),
        ("5,5\n4,5\n", ["load.csv:2", "goes back", "sort"]),
        ("0,5\n2026-01-01T00:00:00Z,5\n", ["load.csv:2", "mixed"]),
        ("0,5\n99999999,5\n", ["load.csv:2", "100 days"]),
    ],
)
def test_a_bad_load_names_file_line_and_remedy(files, text, words):
    (files / "load.csv").write_text(text)
    done = simulate("-c", files / "web.json", "--load", files / "load.csv")
    assert done.returncode == 1 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.mark.parametrize(
    "more, status, words",
    [
        (["--policy", "cqu"], 1, ["web.json", "cqu", "cpu, steps"]),
        (["--policy", "fixed:many"], 1, ["fixed:many", "number"]),
        (["--group", "wep"], 1, ["wep", "there are: web"]),
        (["--boot", "soon"], 2, ["--boot soon", "30s"]),
        (["--step", "0"], 2, ["--step 0", "1..3600"]),
        (["--what"], 2, ["--what"]),
        (["more"], 2, ["'more'"]),
        (["--csv", "/nowhere/x"], 1, ["/nowhere/x", "No such file"]),
    ],
)
def test_a_bad_command_line_is_refused_in_words(files, more, status, words):
    done = simulate("-c", files / "web.json", "--load", files / "step.csv", *more)
    assert done.returncode == status
    for word in words:
        assert word in done.stderr, done.stderr


def test_help_names_every_option_that_the_page_names(files):
    done = simulate("--help")
    assert done.returncode == 0 and done.stderr == ""
    page = (BIN.parent / "docs/simulation.md") if BIN.name == "build" else None
    for option in ("--config", "--load", "--policy", "--seed", "--svg", "--price"):
        assert option in done.stdout
        assert page is None or option in page.read_text()
