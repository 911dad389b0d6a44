"""Real Ansible makes, finds, changes and removes what EC2 has."""

import sys

import pytest

import conftest as shared
import playbooks

sys.path.insert(0, str(shared.ROOT / "tests/lab"))
from ec2_lab import Ec2Lab  # noqa: E402


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_a_playbook_of_ec2_converges_and_goes(programs):
    playbooks.require()
    lab = Ec2Lab(programs)
    playbooks.play(programs.folder, "ec2.yml", endpoint=lab.aws)
    ec2 = lab.ec2
    assert len(ec2.describe_security_groups()["SecurityGroups"]) == 1
    assert len(ec2.describe_vpcs()["Vpcs"]) == 1
    for answer, member in (
        (ec2.describe_key_pairs(), "KeyPairs"),
        (ec2.describe_volumes(), "Volumes"),
        (ec2.describe_addresses(), "Addresses"),
        (ec2.describe_images(Owners=["self"]), "Images"),
        (ec2.describe_snapshots(OwnerIds=["self"]), "Snapshots"),
        (ec2.describe_launch_templates(), "LaunchTemplates"),
        (ec2.describe_network_interfaces(), "NetworkInterfaces"),
    ):
        assert answer[member] == [], member
