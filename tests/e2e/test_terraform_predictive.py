"""The real Terraform makes predictive policies and a suppressed composite alarm, changes and removes them."""

import pathlib
import sys

import pytest

import conftest as shared
import terraform

sys.path.insert(0, str(shared.ROOT / "tests/lab"))
from ec2_lab import Ec2Lab  # noqa: E402

pytestmark = pytest.mark.long

SOURCE = shared.ROOT / "tests/data/terraform/predictive.tf"


@pytest.fixture
def lab(programs):
    terraform.require()
    return Ec2Lab(programs)


def policies(api):
    found = api.describe_policies()["ScalingPolicies"]
    return {p["PolicyName"]: p["PredictiveScalingConfiguration"] for p in found}


@pytest.mark.timeout(900)
def test_predictive_policies_converge_change_and_go(lab, programs):
    api = lab.client("autoscaling")
    api.create_auto_scaling_group(
        AutoScalingGroupName="web",
        MinSize=0,
        MaxSize=1,
        LaunchTemplate={"LaunchTemplateName": "none", "Version": "1"},
        AvailabilityZones=["us-east-1a"],
    )
    tf = terraform.Terraform(pathlib.Path(programs.folder) / "tf", lab.aws)
    tf.write(SOURCE.read_text()).init().apply()
    tf.plan_is_empty()
    assert policies(api)["pair"]["SchedulingBufferTime"] == 600
    assert policies(api)["two"]["Mode"] == "ForecastOnly"
    tf.variables(changed=True)
    replaced = [a for a, how in tf.plan().items() if "delete" in how]
    assert replaced == []
    tf.apply()
    tf.plan_is_empty()
    assert policies(api)["pair"]["Mode"] == "ForecastAndScale"
    assert policies(api)["pair"]["SchedulingBufferTime"] == 0
    [both] = lab.client("cloudwatch").describe_alarms(AlarmTypes=["CompositeAlarm"])[
        "CompositeAlarms"
    ]
    assert both["ActionsSuppressorExtensionPeriod"] == 20
    tf.destroy()
    assert policies(api) == {}
