"""The ELBv2 API as boto3 and the aws command see it, against a running load balancer."""

import botocore.exceptions
import pytest

import conftest as shared
from lb_fixtures import Lb, backends, start_lb  # noqa: F401 (fixtures)
from lb_helpers import Wire, fixed, forward


@pytest.fixture
def empty_lb(programs):
    """No load balancer yet; those made through the API get addresses of their own."""
    return Lb(programs, {}, {"AutoAddress": "127.0.77.0/24"}).start()


def code_of(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"]


def make(elb, name="api", port=None):
    """(load balancer, group, listener)"""
    balancer = elb.create_load_balancer(Name=name)["LoadBalancers"][0]
    group = elb.create_target_group(
        Name=f"{name}-group",
        Protocol="HTTP",
        Port=80,
        TargetType="ip",
        HealthCheckIntervalSeconds=5,
        HealthyThresholdCount=2,
    )["TargetGroups"][0]
    listener = elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTP",
        Port=port or shared.free_port(),
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}],
    )["Listeners"][0]
    return balancer, group, listener


def test_everything_made_through_the_api_serves_at_once(empty_lb, backends):
    elb, backend = empty_lb.client(), backends()
    balancer, group, listener = make(elb)
    assert balancer["State"]["Code"] == "provisioning"
    with Wire(listener["Port"], balancer["DNSName"]) as wire:
        assert wire.get().status == 503
    arn = group["TargetGroupArn"]
    elb.register_targets(TargetGroupArn=arn, Targets=[backend.target])
    with Wire(listener["Port"], balancer["DNSName"]) as wire:
        assert wire.get().body == b"b0"
    empty_lb.wait_health({backend: "healthy"}, "api-group")
    elb.create_rule(
        ListenerArn=listener["ListenerArn"],
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/teapot"]}],
        Actions=fixed(418, "short"),
    )
    with Wire(listener["Port"], balancer["DNSName"]) as wire:
        assert wire.get("/teapot").status == 418


def test_load_balancers_have_addresses_of_their_own(empty_lb):
    elb, port = empty_lb.client(), shared.free_port()
    one, _, _ = make(elb, "one", port)
    two, _, _ = make(elb, "two", port)
    assert one["DNSName"] != two["DNSName"]
    for balancer in (one, two):
        with Wire(port, balancer["DNSName"]) as wire:
            assert wire.get().status == 503


def test_deleted_listener_stops_listening(empty_lb):
    elb = empty_lb.client()
    balancer, _, listener = make(elb)
    elb.delete_listener(ListenerArn=listener["ListenerArn"])

    def refused():
        try:
            Wire(listener["Port"], balancer["DNSName"]).close()
        except ConnectionRefusedError:
            return True

    shared.wait_for(refused, what="the port to close")


def test_waiters_and_pages_of_boto3_end(empty_lb):
    elb = empty_lb.client()
    for name in ("a", "b", "c"):
        elb.create_load_balancer(Name=name)
    elb.get_waiter("load_balancer_available").wait(Names=["a", "b", "c"])
    pages = elb.get_paginator("describe_load_balancers").paginate(PageSize=2)
    assert [len(p["LoadBalancers"]) for p in pages] == [2, 1]
    arn = elb.describe_load_balancers(Names=["a"])["LoadBalancers"][0]
    elb.delete_load_balancer(LoadBalancerArn=arn["LoadBalancerArn"])
    elb.get_waiter("load_balancers_deleted").wait(Names=["a"])


def test_errors_carry_the_codes_that_clients_branch_on(empty_lb):
    elb = empty_lb.client()
    balancer, group, listener = make(elb)
    where = {
        "ListenerArn": listener["ListenerArn"],
        "Conditions": [{"Field": "path-pattern", "Values": ["/x"]}],
        "Actions": fixed(404),
    }
    elb.create_rule(Priority=5, **where)
    assert code_of(elb.create_rule, Priority=5, **where) == "PriorityInUse"
    nobody = group["TargetGroupArn"].replace("api-group", "nobody")
    assert (
        code_of(elb.describe_target_health, TargetGroupArn=nobody)
        == "TargetGroupNotFound"
    )
    assert (
        code_of(elb.delete_target_group, TargetGroupArn=group["TargetGroupArn"])
        == "ResourceInUse"
    )
    assert (
        code_of(
            elb.create_listener,
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Protocol="HTTPS",
            Port=443,
            DefaultActions=fixed(200),
        )
        == "UnsupportedProtocol"
    )
    assert (
        code_of(elb.describe_load_balancers, Names=["nobody"]) == "LoadBalancerNotFound"
    )
    assert code_of(elb.create_target_group, Name="x", Protocol="HTTP", Port=70000) in (
        "ValidationError",
        "InvalidParameterValue",
    )


def test_port_that_another_program_has_is_refused_and_nothing_kept(empty_lb, backends):
    elb, other = empty_lb.client(), backends(host="127.0.0.1")
    balancer = elb.create_load_balancer(Name="one")["LoadBalancers"][0]
    taken = backends(host=balancer["DNSName"])
    arn = balancer["LoadBalancerArn"]
    code = code_of(
        elb.create_listener,
        LoadBalancerArn=arn,
        Protocol="HTTP",
        Port=taken.port,
        DefaultActions=fixed(200),
    )
    assert code == "InvalidConfigurationRequest"
    assert elb.describe_listeners(LoadBalancerArn=arn)["Listeners"] == []
    assert other.port


def test_the_aws_command_reads_what_the_file_made(start_lb, backends):
    backend = backends()
    lb = start_lb(backend)
    lb.wait_health({backend: "healthy"})
    found = shared.aws_cli(lb.api, "elbv2", "describe-target-groups", "--names", "web")
    group = found["TargetGroups"][0]
    assert group["HealthCheckIntervalSeconds"] == 1
    assert len(group["LoadBalancerArns"]) == 1
    arn = group["TargetGroupArn"]
    health = shared.aws_cli(
        lb.api, "elbv2", "describe-target-health", "--target-group-arn", arn
    )
    assert health["TargetHealthDescriptions"] == [
        {
            "Target": {"Id": "127.0.0.1", "Port": backend.port},
            "HealthCheckPort": str(backend.port),
            "TargetHealth": {"State": "healthy"},
        }
    ]


def test_group_without_a_rule_is_unused(start_lb, backends):
    backend = backends()
    lb = start_lb()
    elb = lb.client()
    arn = elb.create_target_group(
        Name="spare", Protocol="HTTP", Port=80, TargetType="ip"
    )["TargetGroups"][0]["TargetGroupArn"]
    elb.register_targets(TargetGroupArn=arn, Targets=[backend.target])
    assert lb.health("spare") == {backend.port: ("unused", "Target.NotInUse")}
    assert not backend.probes


def test_deregistered_target_finishes_what_it_has(start_lb, backends):
    leaving, staying = backends(2)
    lb = start_lb(leaving)
    elb, arn = lb.client(), lb.group_arn()
    with lb.wire() as wire:
        wire.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        assert leaving.holding.acquire(timeout=20 * shared.SLOW)
        elb.register_targets(TargetGroupArn=arn, Targets=[staying.target])
        elb.deregister_targets(TargetGroupArn=arn, Targets=[leaving.target])
        assert lb.health()[leaving.port] == (
            "draining",
            "Target.DeregistrationInProgress",
        )
        assert {lb.get() for _ in range(6)} == {"b1"}
        leaving.go.set()
        assert wire.read().body == b"held"
    shared.wait_for(lambda: leaving.port not in lb.health(), what="the end of draining")
    found = elb.describe_target_health(TargetGroupArn=arn, Targets=[leaving.target])
    health = found["TargetHealthDescriptions"][0]["TargetHealth"]
    assert (health["State"], health["Reason"]) == ("unused", "Target.NotRegistered")
    elb.get_waiter("target_deregistered").wait(
        TargetGroupArn=arn, Targets=[leaving.target]
    )


def test_attributes_change_what_the_load_balancer_does(start_lb, backends):
    lb = start_lb(backends())
    elb = lb.client()
    arn = elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
    assert lb.status("/headers") == 200
    elb.modify_load_balancer_attributes(
        LoadBalancerArn=arn,
        Attributes=[
            {"Key": "routing.http.xff_header_processing.mode", "Value": "remove"}
        ],
    )
    assert '"X-Forwarded-For"' not in lb.get("/headers")


def test_weights_split_the_traffic(empty_lb, backends):
    elb, backend = empty_lb.client(), backends()
    _, group, listener = make(elb)
    arn = elb.create_target_group(
        Name="second", Protocol="HTTP", Port=80, TargetType="ip"
    )["TargetGroups"][0]["TargetGroupArn"]
    for target_group in (group["TargetGroupArn"], arn):
        elb.register_targets(TargetGroupArn=target_group, Targets=[backend.target])
    changed = elb.modify_listener(
        ListenerArn=listener["ListenerArn"],
        DefaultActions=[
            {
                "Type": "forward",
                "ForwardConfig": {
                    "TargetGroups": [
                        {"TargetGroupArn": group["TargetGroupArn"], "Weight": 0},
                        {"TargetGroupArn": arn, "Weight": 10},
                    ]
                },
            }
        ],
    )["Listeners"][0]["DefaultActions"][0]
    assert "TargetGroupArn" not in changed
    rules = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    assert rules[0]["Actions"] == [changed] and rules[0]["IsDefault"]
    assert forward("x")
