"""Warm pools by boto3 and the aws command, with a fake EC2 that is told to misbehave."""

import os
import signal

import pytest
from botocore.exceptions import ClientError

from conftest import aws_cli, client, wait_for
from fake_ec2 import Refused
from fixtures import DOCUMENT, ec2, start_scaler  # noqa: F401


def states(scaler):
    pool = scaler.api.describe_warm_pool(AutoScalingGroupName="web")
    return sorted(i["LifecycleState"] for i in pool["Instances"])


def wait_states(scaler, *wanted, timeout=15):
    wait_for(lambda: states(scaler) == sorted(wanted), timeout, f"{wanted}")


def refused(code, call, **more):
    with pytest.raises(ClientError) as caught:
        call(AutoScalingGroupName="web", **more)
    assert caught.value.response["Error"]["Code"] == code
    return caught.value.response["Error"]["Message"]


@pytest.fixture
def scaler(ec2, start_scaler):
    scaler = start_scaler(ec2.url)
    scaler.wait_in_service(2)
    return scaler


def test_a_pool_is_put_used_and_deleted(ec2, scaler):
    api = scaler.api
    assert api.describe_warm_pool(AutoScalingGroupName="web")["Instances"] == []
    api.put_warm_pool(
        AutoScalingGroupName="web",
        MaxGroupPreparedCapacity=4,
        InstanceReusePolicy={"ReuseOnScaleIn": True},
    )
    wait_states(scaler, "Warmed:Stopped", "Warmed:Stopped")
    group = scaler.group()
    assert group["WarmPoolSize"] == 2
    assert group["WarmPoolConfiguration"] == {
        "MaxGroupPreparedCapacity": 4,
        "MinSize": 0,
        "PoolState": "Stopped",
        "InstanceReusePolicy": {"ReuseOnScaleIn": True},
    }
    assert len(group["Instances"]) == 2
    pooled = api.describe_warm_pool(AutoScalingGroupName="web")["Instances"]
    everyone = api.describe_auto_scaling_instances()["AutoScalingInstances"]
    assert {i["InstanceId"] for i in pooled} < {i["InstanceId"] for i in everyone}
    # Out: started, not launched.
    api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
    scaler.wait_in_service(4)
    assert {i["InstanceId"] for i in pooled} < set(scaler.in_service())
    assert len(ec2.instances) == 4
    assert len(ec2.forms("StartInstances")) == 2
    described = [a["Description"] for a in scaler.activities()]
    for one in pooled:
        assert (
            f"Launching a new EC2 instance from warm pool: {one['InstanceId']}"
            in described
        )
        assert (
            f"Launching a new EC2 instance into warm pool: {one['InstanceId']}"
            in described
        )
    # Back in, and out for good.
    api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=2)
    wait_states(scaler, "Warmed:Stopped", "Warmed:Stopped")
    assert ec2.forms("TerminateInstances") == []
    refused("ResourceInUse", api.delete_auto_scaling_group)
    api.delete_warm_pool(AutoScalingGroupName="web")
    wait_for(lambda: "WarmPoolConfiguration" not in scaler.group(), 10, "no pool")
    assert len(ec2.running()) == 2
    assert "warm pool" in refused("ValidationError", api.delete_warm_pool)


def test_a_pool_lives_through_kill_9(ec2, scaler):
    scaler.api.put_warm_pool(AutoScalingGroupName="web")
    ec2.refuse["StopInstances"] = Refused(503, "Unavailable", "later")
    wait_states(scaler, "Warmed:Pending", "Warmed:Pending")
    os.kill(scaler.program.pid, signal.SIGKILL)
    scaler.program.process.wait(10)
    del ec2.refuse["StopInstances"]
    scaler.start()
    wait_states(scaler, "Warmed:Stopped", "Warmed:Stopped")
    assert len(ec2.instances) == 4


def test_the_aws_command_puts_and_shows_a_pool(scaler):
    named = ["--auto-scaling-group-name", "web"]
    aws_cli(
        scaler.url,
        "autoscaling",
        "put-warm-pool",
        *named,
        "--pool-state",
        "Running",
        "--min-size",
        "1",
    )
    wait_states(scaler, "Warmed:Running", "Warmed:Running")
    shown = aws_cli(scaler.url, "autoscaling", "describe-warm-pool", *named)
    assert shown["WarmPoolConfiguration"] == {"MinSize": 1, "PoolState": "Running"}
    aws_cli(scaler.url, "autoscaling", "delete-warm-pool", *named, "--force-delete")
    wait_states(scaler)


def test_a_pools_metrics_are_sent(scaler):
    scaler.api.put_warm_pool(AutoScalingGroupName="web", MinSize=1)
    wait_states(scaler, "Warmed:Stopped", "Warmed:Stopped")
    cloudwatch = client("cloudwatch", scaler.url)

    def names():
        found = cloudwatch.list_metrics(
            Namespace="AWS/AutoScaling",
            Dimensions=[{"Name": "AutoScalingGroupName", "Value": "web"}],
        )["Metrics"]
        return {m["MetricName"] for m in found if "WarmPool" in m["MetricName"]}

    assert len(wait_for(names, 10, "metrics")) == 8


def test_a_state_that_there_is_not_is_refused(scaler):
    assert "Frozen" in refused(
        "ValidationError", scaler.api.put_warm_pool, PoolState="Frozen"
    )


def test_a_mixed_policy_and_a_pool_exclude_each_other(scaler):
    scaler.api.put_warm_pool(AutoScalingGroupName="web", MinSize=1)
    mixed = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateName": "web"},
            "Overrides": [{"InstanceType": "t2.micro"}],
        }
    }
    assert "warm pool" in refused(
        "ValidationError",
        scaler.api.update_auto_scaling_group,
        MixedInstancesPolicy=mixed,
    )


def test_the_files_pool_comes_changes_and_goes_with_it(ec2, start_scaler):
    pool = {"AutoScalingGroupName": "web", "MinSize": 1, "MaxGroupPreparedCapacity": 0}
    scaler = start_scaler(ec2.url, {**DOCUMENT, "WarmPools": [pool]})
    wait_states(scaler, "Warmed:Stopped")

    def reload(pools):
        scaler.document["WarmPools"] = pools
        scaler.write()
        n = scaler.program.log().count("reloaded")
        scaler.program.send(signal.SIGHUP)
        wait_for(lambda: scaler.program.log().count("reloaded") > n, 10, "the file")

    reload([{"AutoScalingGroupName": "web", "MinSize": 2, "PoolState": "Running"}])
    assert scaler.group()["WarmPoolConfiguration"] == {
        "MinSize": 2,
        "PoolState": "Running",
    }
    wait_states(scaler, "Warmed:Running", "Warmed:Stopped")
    reload([])
    wait_for(lambda: "WarmPoolConfiguration" not in scaler.group(), 10, "no pool")
    assert len(ec2.running()) == 2
