"""A lab of EC2 alone, for the tests of its API: no group, no load balancer but its own."""

import pytest

from conftest import Lab, wait_for

IMAGE = "ami-0a1ba705500000001"


class Ec2Lab(Lab):
    def __init__(self, programs, document=None, edit=None):
        super().__init__(programs, document or {"Lab": {}}, edit)
        self.program.wait_log(r"^ready .*aws=", 20)
        self.ec2 = self.client("ec2")

    def run(self, user_data="", **more):
        more = {"ImageId": IMAGE, **more} if "LaunchTemplate" not in more else more
        answer = self.ec2.run_instances(
            MinCount=1, MaxCount=1, UserData=user_data, **more
        )
        return answer["Instances"][0]["InstanceId"]

    def instance(self, instance_id):
        answer = self.ec2.describe_instances(InstanceIds=[instance_id])
        return answer["Reservations"][0]["Instances"][0]

    def wait_state(self, instance_id, state, timeout=10):
        def is_there():
            instance = self.instance(instance_id)
            return instance if instance["State"]["Name"] == state else None

        return wait_for(is_there, timeout, f"{instance_id} to be {state}")


@pytest.fixture
def lab(programs):
    return Ec2Lab(programs)


@pytest.fixture
def ec2(lab):
    return lab.ec2


def tags_of(thing):
    return {t["Key"]: t["Value"] for t in thing.get("Tags", [])}


def tagged(resource_type, **tags):
    return [
        {
            "ResourceType": resource_type,
            "Tags": [{"Key": k, "Value": v} for k, v in tags.items()],
        }
    ]


def only(name, *values):
    return [{"Name": name, "Values": list(values)}]
