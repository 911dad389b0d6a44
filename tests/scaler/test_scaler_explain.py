"""GET /explain: what a group would do next, and what holds it back; the dry run."""

import copy
import json
import urllib.error

import pytest
from botocore.exceptions import ClientError

from conftest import http_get, wait_for
from fixtures import DOCUMENT, ec2, start_scaler  # noqa: F401


# What changes nothing.
READS = {
    "DescribeInstances",
    "DescribeSubnets",
    "DescribeLaunchTemplates",
    "DescribeLaunchTemplateVersions",
    "DescribeSpotInstanceRequests",
}


def explain(scaler, query="?group=web"):
    return json.loads(http_get(f"{scaler.url}/explain{query}"))["AutoScalingGroups"]


def test_a_group_says_what_comes_next_and_what_holds_it_back(start_scaler, ec2):
    scaler = start_scaler(ec2.url)
    scaler.wait_in_service(2)
    [answer] = explain(scaler)
    assert answer["Next"] == ["nothing: live and desired capacity agree"]
    assert answer["Instances"]["InService"] == 2
    assert [g["AutoScalingGroupName"] for g in explain(scaler, "")] == ["web"]

    scaler.api.suspend_processes(
        AutoScalingGroupName="web", ScalingProcesses=["Launch"]
    )
    scaler.api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=4)
    [answer] = wait_for(
        lambda: explain(scaler)[0]["DesiredCapacity"] == 4 and explain(scaler),
        10,
        "the new desired capacity",
    )
    assert answer["Next"] == ["launch 2: desired is 4, live are 2"]
    [why] = [h["Why"] for h in answer["Holds"] if h["Hold"] == "SuspendedProcess"]
    assert why == "2 more would be launched, but Launch is suspended."


@pytest.mark.parametrize("query, status", [("?group=nobody", 404), ("?grupp=web", 400)])
def test_what_cannot_be_explained_is_refused(start_scaler, ec2, query, status):
    scaler = start_scaler(ec2.url)
    with pytest.raises(urllib.error.HTTPError) as refusal:
        http_get(f"{scaler.url}/explain{query}")
    assert refusal.value.code == status


def test_a_dry_run_decides_and_logs_and_touches_nothing(start_scaler, ec2):
    document = copy.deepcopy(DOCUMENT)
    document["Scaler"] = {"DryRun": True}
    scaler = start_scaler(ec2.url, document)
    scaler.program.wait_log(
        ' dry-run group=web would="launch 2: desired is 2, live are 0"'
    )
    scaler.api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=3)
    scaler.program.wait_log(
        ' dry-run group=web would="launch 3: desired is 3, live are 0"'
    )
    [answer] = explain(scaler)
    assert "DryRun" in [h["Hold"] for h in answer["Holds"]]
    with pytest.raises(ClientError) as refusal:
        scaler.api.start_instance_refresh(AutoScalingGroupName="web")
    assert "Scaler.DryRun is on" in refusal.value.response["Error"]["Message"]
    assert scaler.activities() == []
    assert {name for name, _ in ec2.calls} <= READS, "only what reads was asked of EC2"


def test_an_existing_fleet_stays_as_it_is_in_a_dry_run(start_scaler, ec2):
    scaler = start_scaler(ec2.url)
    scaler.wait_in_service(2)
    scaler.program.stop()
    n_calls = len(ec2.calls)
    scaler.document["Scaler"]["DryRun"] = True
    scaler.write()
    scaler.start()
    scaler.api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=1)
    scaler.program.wait_log(' dry-run group=web would="terminate 1, first i-')
    with pytest.raises(ClientError):
        scaler.api.terminate_instance_in_auto_scaling_group(
            InstanceId=scaler.in_service()[0], ShouldDecrementDesiredCapacity=False
        )
    with pytest.raises(ClientError):
        scaler.api.delete_auto_scaling_group(
            AutoScalingGroupName="web", ForceDelete=True
        )
    assert len(scaler.in_service()) == 2
    assert {name for name, _ in ec2.calls[n_calls:]} <= READS
