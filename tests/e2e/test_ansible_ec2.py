"""Real Ansible makes, finds, changes and removes what EC2 has."""

import os
import shutil
import subprocess
import sys
import warnings

import pytest

import conftest as shared

sys.path.insert(0, str(shared.ROOT / "tests/lab"))
from ec2_lab import Ec2Lab  # noqa: E402

PLAYBOOK = shared.ROOT / "tests/data/ansible/ec2.yml"


def require():
    if not shutil.which("ansible-playbook"):
        warnings.warn("ANSIBLE NOT TESTED: ansible-playbook is not installed")
        pytest.skip("ANSIBLE NOT TESTED: ansible-playbook is not installed")


@pytest.mark.timeout(1500)
def test_a_playbook_of_ec2_converges_and_goes(programs):
    require()
    lab = Ec2Lab(programs)
    done = subprocess.run(
        [
            "ansible-playbook",
            *("-i", "localhost,", "-e", f"endpoint={lab.aws}", str(PLAYBOOK)),
        ],
        cwd=programs.folder,
        env={
            **os.environ,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(programs.folder / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(programs.folder / "ansible/tmp"),
            "ANSIBLE_REMOTE_TEMP": str(programs.folder / "ansible/remote"),
        },
        capture_output=True,
        text=True,
        timeout=600 * shared.SLOW,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
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
