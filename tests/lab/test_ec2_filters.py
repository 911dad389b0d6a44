"""Every filter that AWS's own documents of the actions name is known here."""

import re

import botocore
import botocore.exceptions
import pytest

from conftest import ROOT
from ec2_lab import Ec2Lab, only

NAMED = re.compile(r"<code>([a-z0-9][a-z0-9.-]+)</code>\s*-")
ACTIONS = re.findall(
    r"^AWS_ACTION\((Describe\w+)\)", (ROOT / "lab/ec2/ec2.def").read_text(), re.M
)


@pytest.fixture
def lab(programs):
    return Ec2Lab(programs)


def documented(ec2, action):
    shape = ec2.meta.service_model.operation_model(action).input_shape
    filters = shape.members.get("Filters") if shape else None
    return NAMED.findall(filters.documentation) if filters else []


def test_every_documented_filter_is_known(lab):
    lab.run()
    unknown, asked = [], 0
    for action in ACTIONS:
        if "ClassicLink" in action:
            continue
        call = getattr(lab.ec2, botocore.xform_name(action))
        more = (
            {"Versions": ["$Latest"]}
            if action == "DescribeLaunchTemplateVersions"
            else {}
        )
        for name in documented(lab.ec2, action):
            asked += 1
            try:
                call(Filters=only(name, "nothing-*"), **more)
            except botocore.exceptions.ClientError as e:
                unknown.append(f"{action} {name}: {e}")
    assert not unknown, "\n".join(unknown)
    assert asked > 250
