"""A whole lab on Spot: a type without room, a rebalance recommendation, an interruption; no request fails."""

import json
import urllib.request

import pytest

from conftest import wait_for


def on_spot(document):
    group = document["AutoScalingGroups"][0]
    template = group.pop("LaunchTemplate")
    group["CapacityRebalance"] = True
    group["MixedInstancesPolicy"] = {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": template,
            "Overrides": [{"InstanceType": "t2.micro"}, {"InstanceType": "t3.micro"}],
        },
        "InstancesDistribution": {
            "OnDemandPercentageAboveBaseCapacity": 0,
            "SpotAllocationStrategy": "capacity-optimized-prioritized",
        },
    }
    document["Lab"]["Capacity"] = [{"InstanceType": "t2.micro", "Instances": 1}]
    document["ScalingPolicies"] = []


def notify(lab, **notice):
    request = urllib.request.Request(
        lab.aws + "/lab/spot-notices", data=json.dumps(notice).encode()
    )
    urllib.request.urlopen(request, timeout=5).close()


@pytest.mark.alone
def test_spot_instances_that_are_taken_back_are_replaced_without_a_failed_request(
    start_lab, clients
):
    lab = start_lab(edit=on_spot)
    kinds = {
        (i["InstanceType"], i["InstanceLifecycle"]) for i in lab.running_instances()
    }
    assert kinds == {("t2.micro", "spot"), ("t3.micro", "spot")}
    with clients(f"{lab.web}/students") as load:
        for action in ("rebalance", "terminate"):
            old = lab.in_service()
            notify(lab, InstanceId=old[0], Action=action, Seconds=60)
            wait_for(
                lambda: len(lab.in_service()) == 2 and old[0] not in lab.in_service(),
                90,
                f"a successor after {action}",
            )
    assert not load.errors
    assert load.answers
