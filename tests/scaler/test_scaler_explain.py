"""GET /explain: what a group would do next, and what holds it back."""

import json
import urllib.error

import pytest

from conftest import http_get, wait_for
from fixtures import ec2, start_scaler  # noqa: F401


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
    assert [h["Hold"] for h in answer["Holds"]][:1] == ["SuspendedProcess"]
    assert answer["Holds"][0]["Why"].startswith("Launch: User suspended at ")


@pytest.mark.parametrize("query, status", [("?group=nobody", 404), ("?grupp=web", 400)])
def test_what_cannot_be_explained_is_refused(start_scaler, ec2, query, status):
    scaler = start_scaler(ec2.url)
    with pytest.raises(urllib.error.HTTPError) as refusal:
        http_get(f"{scaler.url}/explain{query}")
    assert refusal.value.code == status
