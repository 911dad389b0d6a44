#!/usr/bin/python3
"""make bench-scaler: how long a tick of a large fleet takes, and how policies follow load curves beside simulated AWS.

Both run the scaler's own engine under a virtual clock (docs/simulation.md). Prints two tables and whether the targets are
met; writes build/bench/scaler.json. A missed target is a result; not being able to measure ends the command with status 1.
"""

import argparse
import json
import math
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

FLEET_MS = 50  # a tick of 1,000 groups and 10,000 instances
DAY_S = 1  # of processor time, for a day of one group
REACTION_S = 2  # from the first second that needs more to RunInstances, 90th percentile

POLICIES = [  # name, what --policy says, which file
    ("tracking cpu", "cpu", "ours"),
    ("tracking requests", "requests", "ours"),
    ("load tracking", "load", "ours"),
    ("AWS cpu", "aws:cpu", "aws"),
    ("AWS requests", "aws:requests", "aws"),
]
# Simulated AWS does best with a warm-up that its figures, a minute old, cannot outrun.
WARMUP_S = {"ours": 45, "aws": 120}
TARGET = 60  # requests/s an instance, and percent of its CPU


def config(warmup_s):
    tracking = {
        "cpu": {
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "ASGAverageCPUUtilization"
            },
            "TargetValue": TARGET,
        },
        "requests": {
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "ALBRequestCountPerTarget"
            },
            "TargetValue": TARGET * 60,
        },
    }
    policies = [
        {
            "AutoScalingGroupName": "web",
            "PolicyName": name,
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingConfiguration": one,
        }
        for name, one in tracking.items()
    ]
    policies.append(
        {
            "AutoScalingGroupName": "web",
            "PolicyName": "load",
            "PolicyType": "LoadTracking",
            "LoadTrackingConfiguration": {"RequestsPerTarget": TARGET},
        }
    )
    return {
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
                "MaxSize": 60,
                "LaunchTemplate": {"LaunchTemplateName": "web"},
                "AvailabilityZones": ["us-east-1a", "us-east-1b"],
                "TargetGroupARNs": ["web"],
                "DefaultInstanceWarmup": warmup_s,
            }
        ],
        "ScalingPolicies": policies,
    }


def day():
    """Quiet at night, two waves, by the minute."""
    for minute in range(24 * 60):
        t = minute / (24 * 60)
        yield (
            60 * minute,
            600
            - 450 * math.cos(2 * math.pi * t)
            + 120 * math.sin(4 * math.pi * (t - 0.1)),
        )


# Points (seconds, requests/s) and what simulate is given besides.
CURVES = {
    "step": (
        [(0, 220), (600, 220), (600, 900), (3600, 900), (3600, 220), (5400, 220)],
        [],
    ),
    "ramp": ([(0, 220), (600, 220), (2400, 1200), (4200, 220), (5400, 220)], []),
    "spike": (
        [(0, 220), (600, 220), (600, 900), (660, 900), (660, 220), (3600, 220)],
        [],
    ),
    "noisy": ([(0, 550), (7200, 550)], ["--noise", "15%"]),
    "day": (list(day()), ["--noise", "5%"]),
    # Requests cost 60 % more than whoever set the policies thought.
    "dear step": (
        [(0, 140), (600, 140), (600, 560), (3600, 560), (3600, 140), (5400, 140)],
        ["--capacity", "62"],
    ),
}


class Failed(Exception):
    pass


def run(words, what):
    try:
        done = subprocess.run(
            [str(w) for w in words], capture_output=True, text=True, timeout=900
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Failed(f"{what}: {e}") from None
    if done.returncode != 0:
        raise Failed(f"{what}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def cpu_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_inputs(folder):
    for name, warmup_s in WARMUP_S.items():
        (folder / f"{name}.json").write_text(json.dumps(config(warmup_s)))
    for name, (points, _) in CURVES.items():
        lines = "".join(f"{t},{rate:.3f}\n" for t, rate in points)
        (folder / f"{name}.csv").write_text("seconds,rps\n" + lines)


def simulate(binary, folder, curve, file, policies, seed):
    words = [binary, "simulate", "-c", folder / f"{file}.json", "--json", "-"]
    words += ["--load", folder / f"{curve}.csv", "--seed", seed]
    words += ["--utilization", TARGET, *CURVES[curve][1]]
    for policy in policies:
        words += ["--policy", policy]
    return json.loads(run(words, f"{curve}: {file}"))["Runs"]


def closed_loop(options, folder):
    rows = []
    binary = options.bin / "albatross-scaler"
    for curve in options.curve or CURVES:
        for file in WARMUP_S:
            chosen = [(label, what) for label, what, of in POLICIES if of == file]
            found = simulate(
                binary, folder, curve, file, [w for _, w in chosen], options.seed
            )
            for (label, _), figures in zip(chosen, found):
                rows.append({"curve": curve, "policy": label, **figures})
    return rows


def seconds(value, missed):
    if missed:
        return "never"
    return "-" if value is None else f"{value:.0f} s"


def wait(value):
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s"


def print_rows(rows):
    head = "curve      policy             reaction  p90     overshoot  turns  inst-s    short     dropped   p95 wait  p99 wait"
    print(head)
    before = None
    for row in rows:
        if before and before != row["curve"]:
            print()
        before = row["curve"]
        missed = row["Reactions"] == 0 and row["Unanswered"] > 0
        print(
            f"{row['curve']:10} {row['policy']:18} "
            f"{seconds(row['ReactionMedian'], missed):9} {seconds(row['ReactionP90'], missed):7} "
            f"{100 * row['Overshoot']:7.0f} %  {row['DirectionChanges']:5}  {row['InstanceSeconds']:8.0f}  "
            f"{row['ShortInstanceSeconds']:8.0f}  {100 * row['Dropped'] / row['Requests']:6.2f} %  "
            f"{wait(row['WaitP95']):9} {wait(row['WaitP99'])}"
        )


def fleet(options):
    program = options.bin / "bench" / "fleet"
    found = {}
    for name, more in (("steady", []), ("busy", ["--busy", "1"])):
        out = run([program, "--ticks", options.ticks, *more], f"fleet: {name}")
        found[name] = json.loads(out)
    return found


def measure_day(options, folder):
    binary = options.bin / "albatross-scaler"
    found = {}
    for label, policy, file in POLICIES:
        samples = []
        for _ in range(options.rounds):
            before = cpu_s()
            simulate(binary, folder, "day", file, [policy], options.seed)
            samples.append(cpu_s() - before)
        found[label] = sorted(samples)[len(samples) // 2]
    return found


def verdict(name, value, limit, unit):
    said = "met" if value <= limit else "MISSED"
    print(f"target {name}: {value:.3g} {unit}, at most {limit} {unit}: {said}")


def worst_reaction(rows):
    found = [
        row["ReactionP90"]
        for row in rows
        if row["curve"] in ("step", "spike")
        and not row["policy"].startswith("AWS")
        and row["ReactionP90"] is not None
    ]
    return max(found, default=math.nan)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument(
        "--curve", action="append", choices=CURVES, help="only this one"
    )
    parser.add_argument("--ticks", type=int, default=100, help="of the fleet")
    parser.add_argument("--rounds", type=int, default=3, help="of the day's time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    out = options.out or options.bin / "bench" / "scaler.json"
    try:
        with tempfile.TemporaryDirectory(prefix="albatross-bench-") as name:
            folder = pathlib.Path(name)
            write_inputs(folder)
            rows = closed_loop(options, folder)
            print_rows(rows)
            print()
            days = measure_day(options, folder)
        ticks = fleet(options)
    except Failed as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    for label, value in days.items():
        print(f"a day of one group, {label}: {1000 * value:.0f} ms of processor time")
    for name, one in ticks.items():
        ms = one["tick_ms"]
        print(
            f"a tick of {one['groups']} groups, {one['instances']} instances, {name}: median {ms['median']:.1f} ms, "
            f"p90 {ms['p90']:.1f} ms, most {ms['most']:.1f} ms"
        )
    verdict("fleet", ticks["steady"]["tick_ms"]["median"], FLEET_MS, "ms")
    verdict("day", days["tracking cpu"], DAY_S, "s")
    verdict("reaction", worst_reaction(rows), REACTION_S, "s")
    os.makedirs(out.parent, exist_ok=True)
    out.write_text(
        json.dumps({"closed_loop": rows, "day_s": days, "fleet": ticks}, indent=1)
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
