"""Real Terraform builds a group with all that hangs on it, changes it in place, and removes it."""

import pathlib
import sys

import pytest

import conftest as shared
import terraform

sys.path.insert(0, str(shared.ROOT / "tests/lab"))
from ec2_lab import Ec2Lab  # noqa: E402

pytestmark = pytest.mark.long

SOURCE = shared.ROOT / "tests/data/terraform/asg.tf"


@pytest.fixture
def lab(programs):
    terraform.require()
    return Ec2Lab(programs)


def in_service(api):
    [group] = api.describe_auto_scaling_groups()["AutoScalingGroups"]
    return {
        i["InstanceId"]
        for i in group["Instances"]
        if i["LifecycleState"] == "InService"
    }


@pytest.mark.timeout(1500)
def test_a_group_and_all_that_hangs_on_it_converge_change_and_go(lab, programs):
    tf = terraform.Terraform(pathlib.Path(programs.folder) / "tf", lab.aws)
    tf.write(SOURCE.read_text()).init().apply()
    tf.plan_is_empty()
    api = lab.client("autoscaling")
    before = in_service(api)
    assert len(before) == 2
    [group] = api.describe_auto_scaling_groups()["AutoScalingGroups"]
    assert len(group["TargetGroupARNs"]) == 2
    assert all(i["ProtectedFromScaleIn"] for i in group["Instances"])
    tf.variables(changed=True)
    replaced = [a for a, how in tf.plan().items() if "delete" in how]
    assert replaced == []
    tf.apply()
    tf.plan_is_empty()
    [refresh] = api.describe_instance_refreshes(AutoScalingGroupName="web")[
        "InstanceRefreshes"
    ]
    shared.wait_for(
        lambda: api.describe_instance_refreshes(AutoScalingGroupName="web")[
            "InstanceRefreshes"
        ][0]["Status"]
        == "Successful",
        240,
        "the refresh",
        interval=1,
    )
    assert not before & in_service(api)
    tf.destroy()
    assert api.describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert lab.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


@pytest.mark.timeout(900)
def test_a_warm_pool_converges_changes_and_goes(lab, programs):
    source = shared.ROOT / "tests/data/terraform/warm_pool.tf"
    tf = terraform.Terraform(pathlib.Path(programs.folder) / "tf", lab.aws)
    tf.write(source.read_text()).init().apply()
    tf.plan_is_empty()
    api = lab.client("autoscaling")

    def pool():
        return api.describe_warm_pool(AutoScalingGroupName="web")

    shared.wait_for(
        lambda: [i["LifecycleState"] for i in pool()["Instances"]]
        == ["Warmed:Stopped"],
        30,
        "the pool",
    )
    tf.variables(pool=2)
    tf.apply()
    tf.plan_is_empty()
    assert pool()["WarmPoolConfiguration"] == {
        "MaxGroupPreparedCapacity": 3,
        "MinSize": 0,
        "PoolState": "Running",
        "InstanceReusePolicy": {"ReuseOnScaleIn": False},
    }
    tf.variables(pool=0)
    tf.apply()
    tf.plan_is_empty()
    assert "WarmPoolConfiguration" not in pool()
    tf.variables(pool=1)
    tf.apply()
    tf.destroy()
    assert api.describe_auto_scaling_groups()["AutoScalingGroups"] == []


@pytest.mark.timeout(900)
def test_a_group_of_several_types_converges_changes_and_goes(lab, programs):
    tf = terraform.Terraform(pathlib.Path(programs.folder) / "tf", lab.aws)
    source = SOURCE.with_name("mixed.tf").read_text()
    tf.write(source).init().apply()
    tf.plan_is_empty()
    api = lab.client("autoscaling")
    [group] = api.describe_auto_scaling_groups()["AutoScalingGroups"]
    weights = {i["InstanceType"]: i["WeightedCapacity"] for i in group["Instances"]}
    assert weights.items() <= {"t3.micro": "1", "t3.small": "2"}.items()
    markets = {i.get("InstanceLifecycle") for i in lab.running_instances()}
    assert markets == {None, "spot"}
    tf.variables(changed=True)
    assert [how for how in tf.plan().values()] == [["update"]]
    tf.apply()
    tf.plan_is_empty()
    shared.wait_for(
        lambda: api.describe_instance_refreshes(AutoScalingGroupName="web")[
            "InstanceRefreshes"
        ][0]["Status"]
        == "Successful",
        240,
        "the refresh",
        interval=1,
    )
    [group] = api.describe_auto_scaling_groups()["AutoScalingGroups"]
    kinds = {i["InstanceType"] for i in group["Instances"]}
    assert "t3.small" not in kinds
    tf.destroy()
    assert api.describe_auto_scaling_groups()["AutoScalingGroups"] == []
