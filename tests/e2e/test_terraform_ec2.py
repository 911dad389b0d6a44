"""Real Terraform builds servers and networks, changes them in place and removes them."""

import pathlib
import sys

import pytest

import conftest as shared
import terraform

sys.path.insert(0, str(shared.ROOT / "tests/lab"))
from ec2_lab import Ec2Lab  # noqa: E402

pytestmark = pytest.mark.long

SOURCES = shared.ROOT / "tests/data/terraform"
UPDATED_SERVERS = {
    "aws_security_group.web",
    "aws_vpc_security_group_ingress_rule.db",
    "aws_launch_template.web",
    "aws_instance.plain",
    "aws_ebs_volume.data",
}


@pytest.fixture
def lab(programs):
    terraform.require()
    return Ec2Lab(programs)


@pytest.fixture
def start(lab, programs):
    def start(source):
        tf = terraform.Terraform(pathlib.Path(programs.folder) / "tf", lab.aws)
        return tf.write((SOURCES / source).read_text()).init()

    return start


def left_over(ec2):
    """What is there that a new lab does not have."""
    interfaces = ec2.describe_network_interfaces()["NetworkInterfaces"]
    templates = ec2.describe_launch_templates()["LaunchTemplates"]
    reservations = ec2.describe_instances()["Reservations"]
    return [
        *[v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"] if not v["IsDefault"]],
        *[
            g["GroupName"]
            for g in ec2.describe_security_groups()["SecurityGroups"]
            if g["GroupName"] != "default"
        ],
        *[k["KeyName"] for k in ec2.describe_key_pairs()["KeyPairs"]],
        *[t["LaunchTemplateId"] for t in templates],
        *[v["VolumeId"] for v in ec2.describe_volumes()["Volumes"]],
        *[a["PublicIp"] for a in ec2.describe_addresses()["Addresses"]],
        *[i["NetworkInterfaceId"] for i in interfaces],
        *[
            i["InstanceId"]
            for r in reservations
            for i in r["Instances"]
            if i["State"]["Name"] != "terminated"
        ],
        *ec2.describe_route_tables()["RouteTables"][1:],
        *ec2.describe_internet_gateways()["InternetGateways"][1:],
        *ec2.describe_subnets()["Subnets"][3:],
    ]


@pytest.mark.timeout(1500)
def test_servers_in_the_default_network_converge_change_and_go(lab, start):
    tf = start("ec2.tf")
    tf.apply()
    told = tf.outputs()
    address = f"http://{told['template_address']}:8000/"
    shared.wait_for(lambda: shared.http_get(address) == "first\n", 10, "the page")
    tf.plan_is_empty()
    plain = lab.instance(told["plain"])
    assert plain["PublicIpAddress"] == told["eip"]
    devices = {m["DeviceName"] for m in plain["BlockDeviceMappings"]}
    assert devices == {"/dev/xvda", "/dev/sdf"}

    tf.variables(changed=True)
    assert tf.plan() == {address: ["update"] for address in UPDATED_SERVERS}
    tf.apply()
    tf.plan_is_empty()
    assert len(lab.instance(told["plain"])["SecurityGroups"]) == 2
    (data,) = lab.ec2.describe_volumes(
        Filters=[{"Name": "tag:Name", "Values": ["data"]}]
    )["Volumes"]
    assert data["Size"] == 6

    tf.destroy()
    assert left_over(lab.ec2) == []


@pytest.mark.timeout(1500)
def test_a_network_of_its_own_converges_changes_and_goes(lab, start):
    tf = start("ec2_network.tf")
    tf.apply()
    tf.plan_is_empty()
    tf.variables(changed=True)
    assert tf.plan()
    tf.apply()
    tf.plan_is_empty()
    tf.destroy()
    assert left_over(lab.ec2) == []
