"""Groups of several instance types and markets, through the API and the file."""

import copy
import pathlib
import sys

import botocore.exceptions
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from conftest import aws_cli, wait_for  # noqa: E402
from fixtures import DOCUMENT, ec2, start_scaler  # noqa: E402, F401

TYPES = [{"InstanceType": "m5.large"}, {"InstanceType": "c5.large"}]


def policy(overrides=TYPES, **distribution):
    return {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {
                "LaunchTemplateName": "web",
                "Version": "$Latest",
            },
            "Overrides": overrides,
        },
        "InstancesDistribution": distribution,
    }


def create(scaler, desired=4, mixed=None, **more):
    scaler.api.create_auto_scaling_group(
        AutoScalingGroupName="web",
        MinSize=0,
        MaxSize=40,
        DesiredCapacity=desired,
        MixedInstancesPolicy=mixed or policy(),
        VPCZoneIdentifier="subnet-a,subnet-b",
        **more,
    )


def kinds(ec2):
    """(type, market) of what runs, sorted."""
    with ec2.lock:
        return sorted(
            (i["instanceType"], i.get("instanceLifecycle", "on-demand"))
            for i in ec2.instances.values()
            if i["instanceState"]["name"] in ("pending", "running")
        )


def test_the_share_and_the_types_are_asked_for(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    create(
        scaler,
        mixed=policy(
            OnDemandBaseCapacity=1,
            OnDemandPercentageAboveBaseCapacity=30,
            SpotMaxPrice="0.05",
        ),
    )
    scaler.wait_in_service(4)
    assert kinds(ec2) == [("c5.large", "spot")] * 2 + [("m5.large", "on-demand")] * 2
    spot = [
        f for f in ec2.forms("RunInstances") if "InstanceMarketOptions.MarketType" in f
    ]
    for form in spot:
        assert form["InstanceMarketOptions.MarketType"] == "spot"
        assert form["InstanceMarketOptions.SpotOptions.MaxPrice"] == "0.05"
        assert "LaunchTemplate.Version" in form
        assert form["MinCount"] == "1"
    group = scaler.group()
    assert group["MixedInstancesPolicy"]["InstancesDistribution"] == {
        "OnDemandAllocationStrategy": "prioritized",
        "OnDemandBaseCapacity": 1,
        "OnDemandPercentageAboveBaseCapacity": 30,
        "SpotAllocationStrategy": "lowest-price",
        "SpotInstancePools": 2,
        "SpotMaxPrice": "0.05",
    }
    assert "LaunchTemplate" not in group
    assert {i["LaunchTemplate"]["LaunchTemplateName"] for i in group["Instances"]} == {
        "web"
    }


def test_weights_are_units(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    create(
        scaler,
        desired=10,
        mixed=policy([{"InstanceType": "m5.xlarge", "WeightedCapacity": "4"}]),
    )
    scaler.wait_in_service(3)
    assert {i["WeightedCapacity"] for i in scaler.group()["Instances"]} == {"4"}
    details = scaler.api.describe_auto_scaling_instances()["AutoScalingInstances"]
    assert {i["WeightedCapacity"] for i in details} == {"4"}
    scaler.api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
    scaler.wait_in_service(1)


def test_an_override_has_its_own_template(ec2, start_scaler):
    own = {"LaunchTemplateName": "arm", "Version": "7"}
    overrides = [{"InstanceType": "m6g.large", "LaunchTemplateSpecification": own}]
    scaler = start_scaler(ec2.url, {})
    create(scaler, desired=1, mixed=policy(overrides))
    scaler.wait_in_service(1)
    form = ec2.forms("RunInstances")[0]
    assert form["LaunchTemplate.LaunchTemplateName"] == "arm"
    assert form["LaunchTemplate.Version"] == "7"
    assert form["InstanceType"] == "m6g.large"
    assert scaler.group()["Instances"][0]["LaunchTemplate"] == own


def test_a_type_or_zone_without_room_is_passed_over_at_once(ec2, start_scaler):
    ec2.full = {("m5.large", "us-east-1a"), ("m5.large", "us-east-1b")}
    scaler = start_scaler(ec2.url, {})
    create(scaler)
    scaler.wait_in_service(4, timeout=5)
    assert kinds(ec2) == [("c5.large", "on-demand")] * 4
    failed = [a for a in scaler.activities() if a["StatusCode"] == "Failed"]
    assert "do not have sufficient m5.large capacity" in failed[0]["StatusMessage"]


def test_what_ec2_has_fewer_of_is_taken_and_the_rest_sought(ec2, start_scaler):
    ec2.room = 1  # instances a call
    scaler = start_scaler(ec2.url, {})
    create(scaler, desired=6)
    scaler.wait_in_service(4, timeout=5)
    ec2.room = None
    scaler.wait_in_service(6, timeout=20)
    assert len(ec2.running()) == 6


def test_an_update_replaces_the_source_and_keeps_what_it_leaves_out(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    create(scaler, desired=1, mixed=policy(OnDemandBaseCapacity=2))
    scaler.api.update_auto_scaling_group(
        AutoScalingGroupName="web",
        MixedInstancesPolicy={"InstancesDistribution": {"OnDemandBaseCapacity": 5}},
    )
    mixed = scaler.group()["MixedInstancesPolicy"]
    assert mixed["InstancesDistribution"]["OnDemandBaseCapacity"] == 5
    assert mixed["LaunchTemplate"]["Overrides"] == TYPES
    scaler.api.update_auto_scaling_group(
        AutoScalingGroupName="web", LaunchTemplate={"LaunchTemplateName": "web"}
    )
    group = scaler.group()
    assert "MixedInstancesPolicy" not in group
    assert group["LaunchTemplate"]["LaunchTemplateName"] == "web"


@pytest.mark.parametrize(
    "mixed, words",
    [
        (
            policy([{"InstanceType": "a.b", "WeightedCapacity": "0"}]),
            "WeightedCapacity",
        ),
        (
            policy([{"InstanceType": "a.b", "WeightedCapacity": "1000"}]),
            "WeightedCapacity",
        ),
        (
            policy(
                [{"InstanceType": "a", "WeightedCapacity": "1"}, {"InstanceType": "b"}]
            ),
            "or none",
        ),
        (policy(TYPES + TYPES[:1]), "two overrides"),
        (policy([{"InstanceType": f"t{i}"} for i in range(41)]), "at most 40"),
        (policy([{"WeightedCapacity": "1"}]), "needs an InstanceType"),
        (
            policy(
                [
                    {
                        "InstanceRequirements": {
                            "VCpuCount": {"Min": 1},
                            "MemoryMiB": {"Min": 1},
                        }
                    }
                ]
            ),
            "not supported",
        ),
        (policy(OnDemandAllocationStrategy="priority"), "prioritized, lowest-price"),
        (policy(SpotAllocationStrategy="lowest"), "capacity-optimized"),
        (policy(OnDemandPercentageAboveBaseCapacity=101), "0 to 100"),
        (policy(OnDemandBaseCapacity=-1), "at least 0"),
        (policy(SpotInstancePools=21), "1 to 20"),
        (
            policy(SpotInstancePools=2, SpotAllocationStrategy="capacity-optimized"),
            "lowest-price only",
        ),
        (policy(SpotMaxPrice="0.0001"), "0.001"),
        (policy(SpotMaxPrice="cheap"), "0.001"),
        (
            {"InstancesDistribution": {"OnDemandBaseCapacity": 1}},
            "LaunchTemplateSpecification",
        ),
    ],
)
def test_a_policy_that_cannot_be_is_refused(start_scaler, mixed, words):
    scaler = start_scaler(document={})
    with pytest.raises(botocore.exceptions.ClientError) as error:
        create(scaler, mixed=mixed)
    assert error.value.response["Error"]["Code"] == "ValidationError"
    assert words in str(error.value)


def test_two_sources_are_refused(start_scaler):
    scaler = start_scaler(document={})
    with pytest.raises(botocore.exceptions.ClientError) as error:
        create(scaler, LaunchTemplate={"LaunchTemplateName": "web"})
    assert "not both" in str(error.value)


def test_the_files_policy_expands_its_template_and_ends_with_the_file(
    ec2, start_scaler
):
    document = copy.deepcopy(DOCUMENT)
    group = document["AutoScalingGroups"][0]
    del group["LaunchTemplate"]
    group["MixedInstancesPolicy"] = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateName": "web"},
            "Overrides": TYPES,
        },
        "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 0},
    }
    scaler = start_scaler(ec2.url, document)
    scaler.wait_in_service(2)
    form = ec2.forms("RunInstances")[0]
    assert form["ImageId"] == "ami-0123456789abcdef0"
    assert form["InstanceType"] in ("m5.large", "c5.large")
    assert {market for _, market in kinds(ec2)} == {"spot"}
    mixed = scaler.document["AutoScalingGroups"][0]["MixedInstancesPolicy"]
    del mixed["InstancesDistribution"]
    scaler.write()
    scaler.program.send(1)
    wait_for(
        lambda: scaler.group()["MixedInstancesPolicy"]["InstancesDistribution"][
            "OnDemandPercentageAboveBaseCapacity"
        ]
        == 100
    )


def test_the_aws_cli_creates_and_shows_one(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    aws_cli(
        scaler.url,
        "autoscaling",
        "create-auto-scaling-group",
        "--auto-scaling-group-name=web",
        "--min-size=1",
        "--max-size=2",
        "--availability-zones=us-east-1a",
        "--mixed-instances-policy",
        '{"LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateName": "web", "Version": "1"},'
        ' "Overrides": [{"InstanceType": "t3.micro", "WeightedCapacity": "1"}]},'
        ' "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 0,'
        ' "SpotAllocationStrategy": "price-capacity-optimized"}}',
    )
    scaler.wait_in_service(1)
    shown = aws_cli(scaler.url, "autoscaling", "describe-auto-scaling-groups")
    group = shown["AutoScalingGroups"][0]
    assert group["Instances"][0]["WeightedCapacity"] == "1"
    assert (
        group["MixedInstancesPolicy"]["InstancesDistribution"]["SpotAllocationStrategy"]
        == "price-capacity-optimized"
    )
