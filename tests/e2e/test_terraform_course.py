"""Real Terraform builds a course's whole laboratory, serves traffic, changes it in place, removes it."""

import pathlib

import pytest

import conftest as shared
import terraform
import whole_lab

pytestmark = pytest.mark.unhurried

SOURCE = shared.ROOT / "tests/data/terraform/course.tf"
# What another greeting changes.
UPDATED = {
    "aws_launch_template.web",
    "aws_autoscaling_group.web",
    "aws_cloudwatch_metric_alarm.busy",
}


@pytest.mark.timeout(1500)
def test_a_courses_laboratory_is_built_serves_changes_and_goes(start_lab, programs):
    terraform.require()
    lab, before = whole_lab.start_empty(start_lab)
    tf = terraform.Terraform(pathlib.Path(programs.folder) / "tf", lab.aws)
    tf.write(SOURCE.read_text())
    port = shared.free_port()
    tf.variables(port=port)
    tf.init().apply()
    tf.plan_is_empty()
    whole_lab.assert_whole(lab, before)
    told = tf.outputs()
    web = f"http://{told['dns']}:{port}"
    assert whole_lab.get(f"{web}/") == "hello\n"  # the apply waited for healthy targets
    assert whole_lab.get(f"{web}/about") == "the course's load balancer"
    assert len(lab.in_service("course")) == 2

    tf.variables(greeting="salama")
    assert tf.plan() == {address: ["update"] for address in UPDATED}
    tf.apply()
    shared.wait_for(
        lambda: all(whole_lab.get(f"{web}/") == "salama\n" for _ in range(4)),
        60,
        "the refreshed instances",
    )
    tf.plan_is_empty()

    tf.destroy()
    whole_lab.wait_gone(lab, before)
