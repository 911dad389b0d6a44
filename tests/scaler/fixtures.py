"""The real albatross-scaler, alone, with a fake EC2 behind it."""

import copy

import pytest

from conftest import client, free_port, wait_for
from fake_ec2 import FakeEc2

DOCUMENT = {
    "LaunchTemplates": [
        {
            "LaunchTemplateName": "web",
            "LaunchTemplateData": {
                "ImageId": "ami-0123456789abcdef0",
                "InstanceType": "t2.micro",
                "UserData": "IyEvYmluL3NoCmV4aXQgMAo=",
                "TagSpecifications": [
                    {
                        "ResourceType": "instance",
                        "Tags": [{"Key": "course", "Value": "cloud"}],
                    }
                ],
            },
        }
    ],
    "AutoScalingGroups": [
        {
            "AutoScalingGroupName": "web",
            "MinSize": 1,
            "MaxSize": 4,
            "DesiredCapacity": 2,
            "LaunchTemplate": {"LaunchTemplateName": "web"},
            "VPCZoneIdentifier": "subnet-a,subnet-b",
            "Tags": [{"Key": "team", "Value": "blue", "PropagateAtLaunch": True}],
        }
    ],
}


class Scaler:
    def __init__(self, programs, ec2_url, document):
        self.programs = programs
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.document = copy.deepcopy(document)
        self.document["Scaler"] = {
            "ApiAddress": f"127.0.0.1:{self.port}",
            "StateUrl": f"sqlite:{programs.folder}/scaler.db",
            "Ec2Endpoint": ec2_url,
            "ElbEndpoint": "http://127.0.0.1:1",
            **document.get("Scaler", {}),
        }
        self.write()
        self.start()

    def write(self):
        self.path = self.programs.config(self.document, "scaler.json")

    def start(self):
        self.program = self.programs.start(
            "albatross-scaler",
            "-c",
            self.path,
            env={
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_EC2_METADATA_DISABLED": "true",
            },
        )
        self.program.wait_log(" started ")

    @property
    def api(self):
        return client("autoscaling", self.url)

    def group(self, name="web"):
        groups = self.api.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        return (groups["AutoScalingGroups"] or [None])[0]

    def in_service(self, name="web"):
        group = self.group(name)
        return [
            i["InstanceId"]
            for i in (group["Instances"] if group else [])
            if i["LifecycleState"] == "InService"
        ]

    def activities(self, name="web"):
        return self.api.describe_scaling_activities(AutoScalingGroupName=name)[
            "Activities"
        ]

    def wait_in_service(self, n, timeout=15):
        wait_for(
            lambda: len(self.in_service()) == n, timeout, f"{n} instances in service"
        )


@pytest.fixture
def ec2():
    fake = FakeEc2()
    yield fake
    fake.stop()


@pytest.fixture
def start_scaler(programs):
    def start(ec2_url="http://127.0.0.1:1", document=DOCUMENT):
        return Scaler(programs, ec2_url, document)

    return start
