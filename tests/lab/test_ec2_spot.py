"""Spot instances of the lab, notices for them, and a lab that is short of room on purpose."""

import json
import pathlib
import sys
import urllib.error
import urllib.request

import botocore.exceptions
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from ec2_lab import IMAGE, Ec2Lab, lab  # noqa: E402, F401
from test_ec2 import imds, imds_refused  # noqa: E402

SPOT = {"InstanceMarketOptions": {"MarketType": "spot"}}
TTL = {"X_aws_ec2_metadata_token_ttl_seconds": "60"}


def notify(lab, **notice):
    request = urllib.request.Request(
        lab.aws + "/lab/spot-notices", data=json.dumps(notice).encode()
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def refusal(lab, **notice):
    with pytest.raises(urllib.error.HTTPError) as error:
        notify(lab, **notice)
    return error.value.code, json.load(error.value)["Code"]


def test_notices_are_told_by_the_metadata_service_and_the_instance_ends(lab):
    instance = lab.run(**SPOT)
    shown = lab.wait_state(instance, "running")
    assert shown["InstanceLifecycle"] == "spot"
    address = shown["PrivateIpAddress"]
    token = imds(address, "/latest/api/token", method="PUT", **TTL)
    data = "/latest/meta-data/"
    assert imds(address, data + "instance-life-cycle", token) == "spot"
    imds_refused(404, address, data + "spot/instance-action", token)
    imds_refused(404, address, data + "events/recommendations/rebalance", token)
    notify(lab, InstanceId=instance, Action="rebalance")
    rebalance = json.loads(
        imds(address, data + "events/recommendations/rebalance", token)
    )
    assert set(rebalance) == {"noticeTime"}
    imds_refused(404, address, data + "spot/instance-action", token)
    notify(lab, InstanceId=instance, Action="terminate", Seconds=3)
    action = json.loads(imds(address, data + "spot/instance-action", token))
    assert action["action"] == "terminate"
    assert imds(address, data + "spot/termination-time", token) == action["time"]
    reason = lab.wait_state(instance, "terminated")["StateReason"]
    assert reason["Code"] == "Server.SpotInstanceTermination"


def test_notices_are_for_running_spot_instances(lab):
    instance = lab.run()
    lab.wait_state(instance, "running")
    assert refusal(lab, InstanceId=instance) == (400, "InvalidParameterValue")
    unknown = refusal(lab, InstanceId="i-0123456789abcdef0")
    assert unknown == (400, "InvalidInstanceID.NotFound")
    assert refusal(lab, InstanceId=instance, Action="hibernate")[0] == 400
    assert refusal(lab, InstanceId=instance, Seconds=-1)[0] == 400


def launch(lab, least, most, **more):
    answer = lab.ec2.run_instances(ImageId=IMAGE, MinCount=least, MaxCount=most, **more)
    return len(answer["Instances"])


def test_a_lab_can_be_short_of_room(programs):
    lab = Ec2Lab(
        programs,
        {
            "Lab": {
                "Capacity": [
                    {"InstanceType": "t3.micro", "Instances": 3},
                    {"InstanceType": "t3.small", "MarketType": "spot", "Instances": 0},
                ]
            }
        },
    )
    assert launch(lab, 1, 2, InstanceType="t3.micro") == 2
    assert launch(lab, 1, 5, InstanceType="t3.micro") == 1
    with pytest.raises(botocore.exceptions.ClientError) as error:
        launch(lab, 1, 1, InstanceType="t3.micro")
    assert error.value.response["Error"]["Code"] == "InsufficientInstanceCapacity"
    assert launch(lab, 1, 1, InstanceType="t3.small") == 1
    with pytest.raises(botocore.exceptions.ClientError) as error:
        launch(lab, 1, 1, InstanceType="t3.small", **SPOT)
    assert error.value.response["Error"]["Code"] == "InsufficientInstanceCapacity"


def test_a_token_is_good_once_in_each_zone(lab):
    subnets = [s["SubnetId"] for s in lab.ec2.describe_subnets()["Subnets"]]
    first = lab.run(ClientToken="t", SubnetId=subnets[0])
    assert lab.run(ClientToken="t", SubnetId=subnets[0]) == first
    with pytest.raises(botocore.exceptions.ClientError) as error:
        lab.run(ClientToken="t", SubnetId=subnets[0], InstanceType="t3.small")
    assert error.value.response["Error"]["Code"] == "IdempotentParameterMismatch"
    assert lab.run(ClientToken="t", SubnetId=subnets[1]) != first


def test_user_data_of_16384_bytes_is_the_most(lab):
    script = "#!/bin/sh\nexec sleep 1000\n"
    lab.run(script + "#" * (16384 - len(script)))
    with pytest.raises(botocore.exceptions.ClientError) as error:
        lab.run(script + "#" * (16385 - len(script)))
    assert "16384" in str(error.value)
