"""Real Terraform makes, changes and removes a load balancer with all that belongs to it."""

import json
import pathlib
import sys

import pytest

import conftest as shared
import terraform

sys.path.insert(0, str(shared.ROOT / "tests/lb"))
from lb_helpers import Backend, Wire  # noqa: E402

pytestmark = pytest.mark.long

SOURCE = shared.ROOT / "tests/data/terraform/elb.tf"
# What "changed" changes; all else stays as it is.
UPDATED = {
    "aws_lb.web",
    "aws_lb_target_group.web",
    "aws_lb_listener.http",
    "aws_lb_listener.second",
    "aws_lb_listener_rule.path",
    "aws_lb_listener_rule.host",
    "aws_lb_listener_rule.weighted",
}


def nothing_of_its_own(document):
    for section in (
        "LoadBalancers",
        "TargetGroups",
        "AutoScalingGroups",
        "LaunchTemplates",
        "ScalingPolicies",
        "MetricAlarms",
    ):
        document[section] = []


def names(elb):
    return [
        x["TargetGroupName"] for x in elb.describe_target_groups()["TargetGroups"]
    ] + [x["LoadBalancerName"] for x in elb.describe_load_balancers()["LoadBalancers"]]


def imported_file_is_good(programs, lab):
    """What Terraform made can be taken along."""
    words = ("--load-balancer", "tf-web", "--endpoint", lab.aws, "-o", "tf.json")
    env = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    made = programs.start("albatross-lb", "import", *words, env=env)
    assert made.process.wait(60 * shared.SLOW) == 0, made.log()
    assert "not kept" not in made.log()
    status, log = programs.run("albatross-lb", "-t", "-c", "tf.json")
    assert status == 0, log
    config = json.loads((programs.folder / "tf.json").read_text())
    listeners = config["LoadBalancers"][0]["Listeners"]
    assert [len(x.get("Rules", [])) for x in listeners if "Rules" in x] == [4]


def serves(dns, port, backends):
    with Wire(port, dns) as wire:
        answer = wire.get("/")
        return answer.status == 200 and answer.body.decode() in backends


@pytest.mark.timeout(900)
def test_terraform_applies_changes_and_destroys_a_load_balancer(start_lab, programs):
    terraform.require()
    lab = start_lab(edit=nothing_of_its_own, ready=False)
    lab.program.wait_log(r"^ready ")  # with no address for the web
    elb = lab.client("elbv2")
    own = names(elb)
    backends = [Backend("one"), Backend("two")]
    try:
        tf = terraform.Terraform(pathlib.Path(programs.folder) / "tf", lab.aws)
        tf.write(SOURCE.read_text())
        port, second = shared.free_port(), shared.free_port()
        tf.variables(
            target_ports=[b.port for b in backends], port=port, second_port=second
        )
        tf.init().apply()
        tf.plan_is_empty()
        dns = tf.outputs()["dns"]
        shared.wait_for(lambda: serves(dns, port, ("one", "two")), what="traffic")
        with Wire(port, dns) as wire:
            answer = wire.get("/teapot")
            assert (answer.body, answer.header("Server")) == (b"teapot", None)
        imported_file_is_good(programs, lab)
        tf.variables(changed=True)
        assert tf.plan() == {address: ["update"] for address in UPDATED}
        tf.apply_plan()
        tf.plan_is_empty()
        with Wire(port, dns) as wire:
            assert wire.get("/teapot").body == b"kettle"
            moved = wire.get("/x", host="a.older.example")
            assert moved.status == 302
            assert "//other.example" in moved.header("Location")
        with Wire(second, dns) as wire:
            assert wire.get("/").status == 302
        tf.destroy()
        assert names(elb) == own
    finally:
        for backend in backends:
            backend.stop()
