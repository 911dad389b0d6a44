#!/usr/bin/python3
"""How long from a step in load to RunInstances, with the real load balancer and the real scaler.

Each step has a target group, a listener and a group of its own, so that what one has seen does not
matter to the next: a third of what two instances carry for a while, then, at a random moment, a step.
EC2 is the tests' fake one, which notes when RunInstances comes.  Prints percentiles for target
tracking and for load tracking, and writes build/bench/reaction.json.  See docs/benchmark.md.
"""

import argparse
import contextlib
import datetime
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests" / "scaler")]

import fake_ec2  # noqa: E402
from peers import Failed, free_port, raise_file_limit  # noqa: E402

KEYS = {
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
    "region_name": "us-east-1",
}
SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/"
    "autoscaling/aws4_request, SignedHeaders=host, Signature=0"
}
CARRIES = 20  # requests a second of one instance
WAIT_S = 15
KINDS = {"target tracking": "TargetTrackingScaling", "load tracking": "LoadTracking"}


class Ec2(fake_ec2.FakeEc2):
    """Notes when instances are asked for, by group."""

    def __init__(self):
        self.asked = {}
        super().__init__()

    def answer(self, request, form):
        at = time.time()
        if form["Action"] == "RunInstances":
            tags = {k: v for k, v in form.items() if ".Tag." in k}
            for key, value in tags.items():
                name = tags.get(key.replace(".Key", ".Value"))
                if value == "albatross:autoscaling:groupName":
                    self.asked.setdefault(name, []).append(at)
        super().answer(request, form)


def names(n):
    return [f"step-{i:02d}" for i in range(n)]


class Bench:
    def __init__(self, args, stack):
        self.args, self.stack = args, stack
        self.folder = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="reaction-"))
        )
        self.names = names(args.steps)
        self.ports = {name: free_port() for name in self.names}
        self.api = {"lb": free_port(), "scaler": free_port()}
        self.target = free_port()
        self.ec2 = Ec2()
        stack.callback(self.ec2.stop)

    def start(self, *words, log):
        file = open(self.folder / log, "ab")
        self.stack.callback(file.close)
        process = subprocess.Popen(
            [str(w) for w in words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={
                **os.environ,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_EC2_METADATA_DISABLED": "true",
            },
        )
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def program(self, name, document):
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(document))
        self.start(self.args.bin / f"albatross-{name}", "-c", path, log=f"{name}.log")
        url = f"http://127.0.0.1:{self.api[name]}/healthz"
        deadline = time.monotonic() + 20
        while True:
            try:
                with contextlib.suppress(urllib.error.HTTPError):
                    urllib.request.urlopen(url, timeout=2).close()
                return
            except OSError as e:
                if time.monotonic() > deadline:
                    log = (self.folder / f"{name}.log").read_text()
                    raise Failed(f"albatross-{name} does not start: {log}") from e
                time.sleep(0.05)

    def client(self, service, program):
        return boto3.client(
            service, endpoint_url=f"http://127.0.0.1:{self.api[program]}", **KEYS
        )

    def start_programs(self):
        self.start(
            self.args.bin / "bench" / "target", "127.0.0.1", self.target, log="t"
        )
        self.program(
            "scaler",
            {
                "Scaler": {
                    "ApiAddress": f"127.0.0.1:{self.api['scaler']}",
                    "StateUrl": f"sqlite:{self.folder}/scaler.db",
                    "Ec2Endpoint": self.ec2.url,
                    "ElbEndpoint": "http://127.0.0.1:1",
                },
                "LaunchTemplates": [
                    {
                        "LaunchTemplateName": "web",
                        "LaunchTemplateData": {"ImageId": "ami-1"},
                    }
                ],
            },
        )
        self.program(
            "lb",
            {
                "Lb": {
                    "ApiAddress": f"127.0.0.1:{self.api['lb']}",
                    "MetricsEndpoint": f"http://127.0.0.1:{self.api['scaler']}",
                    "Workers": 1,
                },
                "LoadBalancers": [
                    {
                        "Name": "web",
                        "ListenAddress": "127.0.0.1",
                        "Listeners": [
                            {
                                "Protocol": "HTTP",
                                "Port": self.ports[name],
                                "DefaultActions": [
                                    {"Type": "forward", "TargetGroupArn": name}
                                ],
                            }
                            for name in self.names
                        ],
                    }
                ],
                "TargetGroups": [
                    {
                        "Name": name,
                        "Protocol": "HTTP",
                        "Port": self.target,
                        "TargetType": "ip",
                        "HealthCheckIntervalSeconds": 1,
                        "HealthCheckTimeoutSeconds": 1,
                        "HealthyThresholdCount": 1,
                        "Targets": [{"Id": "127.0.0.1", "Port": self.target}],
                    }
                    for name in self.names
                ],
            },
        )

    def labels(self):
        elb = self.client("elbv2", "lb")
        lb = elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
        lb = lb.split(":loadbalancer/")[1]
        return {
            group["TargetGroupName"]: f"{lb}/{group['TargetGroupArn'].split(':')[-1]}"
            for group in elb.describe_target_groups()["TargetGroups"]
        }

    def put_policy(self, name, kind, label):
        form = {
            "Action": "PutScalingPolicy",
            "Version": "2011-01-01",
            "AutoScalingGroupName": name,
            "PolicyName": "policy",
            "PolicyType": KINDS[kind],
        }
        if kind == "load tracking":
            config = "LoadTrackingConfiguration"
            form[f"{config}.ResourceLabel"] = label
            form[f"{config}.RequestsPerTarget"] = CARRIES
        else:
            # The one target stands for two instances.
            config = "TargetTrackingConfiguration"
            spec = f"{config}.PredefinedMetricSpecification"
            form[f"{spec}.PredefinedMetricType"] = "ALBRequestCountPerTarget"
            form[f"{spec}.ResourceLabel"] = label
            form[f"{config}.TargetValue"] = 2 * CARRIES * 60
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.api['scaler']}",
            urllib.parse.urlencode(form).encode(),
            SIGNED,
        )
        urllib.request.urlopen(request, timeout=20).close()

    def make_groups(self):
        scaling, labels = self.client("autoscaling", "scaler"), self.labels()
        self.kinds = {}
        for i, name in enumerate(self.names):
            scaling.create_auto_scaling_group(
                AutoScalingGroupName=name,
                MinSize=2,
                MaxSize=50,
                LaunchTemplate={"LaunchTemplateName": "web"},
                VPCZoneIdentifier="subnet-a",
                DefaultInstanceWarmup=0,
            )
            self.kinds[name] = list(KINDS)[i % len(KINDS)]
            self.put_policy(name, self.kinds[name], labels[name])
        self.label_of = labels

    def load(self, name, rate, seconds):
        self.start(
            *(self.args.bin / "bench" / "load", "-c", 8, "-d", seconds, "-r", rate),
            *("127.0.0.1", self.ports[name]),
            log="load.log",
        )

    def first_overloaded(self, name, since):
        """The start of the first second that brought more than two instances carry."""
        lb, group = self.label_of[name].split("/targetgroup/")
        start = datetime.datetime.fromtimestamp(int(since) - 1, datetime.timezone.utc)
        points = self.client("cloudwatch", "scaler").get_metric_statistics(
            Namespace="AWS/ApplicationELB",
            MetricName="RequestCount",
            Dimensions=[
                {"Name": "LoadBalancer", "Value": lb},
                {"Name": "TargetGroup", "Value": "targetgroup/" + group},
            ],
            StartTime=start,
            EndTime=start + datetime.timedelta(seconds=WAIT_S + 5),
            Period=1,
            Statistics=["Sum"],
        )["Datapoints"]
        over = [
            p["Timestamp"].timestamp() for p in points if p["Sum"] > 2 * CARRIES + 0.5
        ]
        return min(over, default=None)

    def step(self, name):
        before = len(self.ec2.asked.get(name, []))
        at = time.time()
        self.load(name, 2 * CARRIES * self.args.factor, WAIT_S)
        deadline = time.monotonic() + WAIT_S
        while len(self.ec2.asked.get(name, [])) == before:
            if time.monotonic() > deadline:
                raise Failed(f"{name}: nothing launched in {WAIT_S} s")
            time.sleep(0.01)
        asked = self.ec2.asked[name][before]
        time.sleep(0.3)
        over = self.first_overloaded(name, at)
        if over is None:
            raise Failed(f"{name}: no second shows the step")
        return {
            "name": name,
            "policy": self.kinds[name],
            "from_step_s": round(asked - at, 3),
            "from_start_of_second_s": round(asked - over, 3),
            "from_end_of_second_s": round(asked - over - 1, 3),
        }

    def run(self):
        self.start_programs()
        self.make_groups()
        total = self.args.calm + self.args.steps * 4 + 30
        for name in self.names:
            self.load(name, 2 * CARRIES / 3, total)
        time.sleep(self.args.calm)
        early = [n for n in self.names if len(self.ec2.asked.get(n, [])) > 1]
        found = []
        for name in self.names:
            time.sleep(0.5 + random.random())
            if name not in early:
                found.append(self.step(name))
        return found, early


def percentile(values, part):
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def report(found, early):
    print("seconds to RunInstances          from    n    p50    p90    max")
    for kind in KINDS:
        mine = [f for f in found if f["policy"] == kind]
        for key, text in (
            ("from_step_s", "the step itself"),
            ("from_start_of_second_s", "start of 1st overloaded second"),
            ("from_end_of_second_s", "end of it"),
        ):
            values = [f[key] for f in mine]
            if values:
                print(
                    f"{kind:16} {text:>31} {len(values):3}  {percentile(values, 0.5):5.2f}"
                    f"  {percentile(values, 0.9):5.2f}  {max(values):5.2f}"
                )
    if early:
        print(f"launched without a step: {', '.join(early)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument(
        "--factor", type=float, default=3, help="of what the instances carry"
    )
    parser.add_argument("--calm", type=float, default=40, help="seconds before")
    parser.add_argument("--keep", help="a copy of the programs' logs")
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    raise_file_limit()
    random.seed(1)
    try:
        with contextlib.ExitStack() as stack:
            bench = Bench(args, stack)
            found, early = bench.run()
            if args.keep:
                subprocess.run(["cp", "-r", bench.folder, args.keep], check=True)
    except Failed as e:
        print(f"reaction: {e}", file=sys.stderr)
        return 1
    report(found, early)
    out = args.out or args.bin / "bench" / "reaction.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"factor": args.factor, "steps": found, "early": early}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
