"""Notices for Spot instances, as an EventBridge API destination posts them."""

import json
import pathlib
import sys
import urllib.error
import urllib.request

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from conftest import wait_for  # noqa: E402
from fixtures import ec2, start_scaler  # noqa: E402, F401

KEY = "a-key-of-some-length"
REBALANCE = "EC2 Instance Rebalance Recommendation"
WARNING = "EC2 Spot Instance Interruption Warning"


def event(kind, instance_id):
    return {
        "version": "0",
        "id": "12345678-1234-1234-1234-123456789012",
        "detail-type": kind,
        "source": "aws.ec2",
        "account": "123456789012",
        "time": "2026-08-07T10:00:00Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:ec2:us-east-1a:instance/{instance_id}"],
        "detail": {"instance-id": instance_id, "instance-action": "terminate"},
    }


def post(scaler, body, **headers):
    request = urllib.request.Request(
        scaler.url + "/events/ec2", data=json.dumps(body).encode(), headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def create(scaler, **more):
    scaler.api.create_auto_scaling_group(
        AutoScalingGroupName="web",
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=2,
        MixedInstancesPolicy={
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {"LaunchTemplateName": "web"},
                "Overrides": [{"InstanceType": "m5.large"}],
            },
            "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 0},
        },
        VPCZoneIdentifier="subnet-a,subnet-b",
        **more,
    )
    scaler.wait_in_service(2)


def test_a_recommendation_launches_the_successor_first(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    create(scaler, CapacityRebalance=True)
    assert scaler.group()["CapacityRebalance"] is True
    first = scaler.in_service()[0]
    assert post(scaler, event(REBALANCE, first)) == (200, {"Taken": 1})
    wait_for(lambda: len(ec2.running()) == 3, 5, "a third instance")
    causes = [a["Cause"] for a in scaler.activities()]
    assert any("EC2 instance rebalance recommendation" in c for c in causes)


def test_a_warning_is_heeded_without_capacity_rebalance(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    create(scaler)
    first = scaler.in_service()[0]
    assert post(scaler, [event(REBALANCE, first)]) == (200, {"Taken": 1})
    assert post(scaler, [event(WARNING, first)]) == (200, {"Taken": 1})
    wait_for(lambda: len(ec2.running()) == 3, 5, "a third instance")


def test_what_is_not_for_us_is_answered_and_ignored(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    create(scaler)
    first = scaler.in_service()[0]
    other = event("EC2 Instance State-change Notification", first)
    assert post(scaler, other) == (200, {"Taken": 0})
    assert post(scaler, event(WARNING, "i-0123456789abcdef0")) == (200, {"Taken": 0})
    assert post(scaler, dict(event(WARNING, first), source="me")) == (200, {"Taken": 0})
    request = urllib.request.Request(scaler.url + "/events/ec2", data=b"{not json")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=5)
    assert error.value.code == 400


def test_a_key_is_asked_for_where_one_is_configured(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    scaler.program.stop()
    scaler.document["Scaler"]["EventsKey"] = KEY
    scaler.write()
    scaler.start()
    warning = event(WARNING, "i-0123456789abcdef0")
    assert post(scaler, warning)[0] == 403
    assert post(scaler, warning, **{"X-Api-Key": "wrong"})[0] == 403
    assert post(scaler, warning, **{"X-Api-Key": KEY}) == (200, {"Taken": 0})


def test_without_a_key_only_an_open_api_takes_events(ec2, start_scaler):
    scaler = start_scaler(ec2.url, {})
    warning = event(WARNING, "i-0123456789abcdef0")
    assert post(scaler, warning, Origin="http://example.com")[0] == 403
    scaler.program.stop()
    scaler.document["Scaler"]["Credentials"] = [
        {"AccessKeyId": "test", "SecretAccessKey": "test"}
    ]
    scaler.write()
    scaler.start()
    status, why = post(scaler, warning)
    assert status == 403 and "none is configured" in why
