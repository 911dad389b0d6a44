"""What real clients rely on, call by call: boto3 with its waiters and paginators, the aws command as the course types it."""

import re

import botocore.exceptions
import pytest

import conftest as shared
from lb_fixtures import Lb, backends, start_lb  # noqa: F401 (fixtures)
from lb_helpers import fixed
from test_lb_api import code_of, make

ARN = r"arn:aws:elasticloadbalancing:us-east-1:000000000000:"


@pytest.fixture
def elb(programs):
    return Lb(programs, {}, {"AutoAddress": "127.0.78.0/24"}).start().client()


def test_ids_arns_and_times_have_awss_formats(elb):
    balancer, group, listener = make(elb)
    rule = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"][0]
    for text, form in (
        (balancer["LoadBalancerArn"], r"loadbalancer/app/api/[0-9a-f]{16}"),
        (group["TargetGroupArn"], r"targetgroup/api-group/[0-9a-f]{16}"),
        (listener["ListenerArn"], r"listener/app/api/[0-9a-f]{16}/[0-9a-f]{16}"),
        (rule["RuleArn"], r"listener-rule/app/api/[0-9a-f]{16}(/[0-9a-f]{16}){2}"),
    ):
        assert re.fullmatch(ARN + form, text), text
    assert balancer["CreatedTime"].tzinfo is not None
    assert rule["Priority"] == "default" and rule["IsDefault"] is True


def test_same_create_answers_with_what_is_there_and_another_fails(elb):
    balancer, group, listener = make(elb)
    again = elb.create_load_balancer(Name="api")["LoadBalancers"][0]
    assert again["LoadBalancerArn"] == balancer["LoadBalancerArn"]
    assert again["State"]["Code"] == "active"
    assert code_of(elb.create_load_balancer, Name="api", Scheme="internal") == (
        "DuplicateLoadBalancerName"
    )
    settings = {
        "Name": "api-group",
        "Protocol": "HTTP",
        "Port": 80,
        "TargetType": "ip",
        "HealthCheckIntervalSeconds": 5,
        "HealthyThresholdCount": 2,
    }
    again = elb.create_target_group(**settings)["TargetGroups"][0]
    assert again["TargetGroupArn"] == group["TargetGroupArn"]
    settings["Port"] = 81
    assert code_of(elb.create_target_group, **settings) == "DuplicateTargetGroupName"
    create = {
        "LoadBalancerArn": balancer["LoadBalancerArn"],
        "Protocol": "HTTP",
        "Port": listener["Port"],
    }
    actions = [{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}]
    again = elb.create_listener(DefaultActions=actions, **create)["Listeners"][0]
    assert again["ListenerArn"] == listener["ListenerArn"]
    assert (
        code_of(elb.create_listener, DefaultActions=fixed(404), **create)
        == "DuplicateListener"
    )


def test_every_list_comes_in_pages_and_in_one_order(elb):
    _, group, listener = make(elb)
    for i in range(1, 8):
        elb.create_target_group(Name=f"g{i}", Protocol="HTTP", Port=80)
        elb.create_rule(
            ListenerArn=listener["ListenerArn"],
            Priority=8 - i,
            Conditions=[{"Field": "path-pattern", "Values": [f"/{i}"]}],
            Actions=fixed(404),
        )

    def pages(action, member, **arguments):
        config = {"PageSize": 3}
        found = list(
            elb.get_paginator(action).paginate(PaginationConfig=config, **arguments)
        )
        assert all(len(page[member]) <= 3 for page in found)
        return [item for page in found for item in page[member]]

    groups = pages("describe_target_groups", "TargetGroups")
    assert [g["TargetGroupName"] for g in groups] == sorted(
        ["api-group"] + [f"g{i}" for i in range(1, 8)]
    )
    names = ["g5", "g1", "g3", "g2"]
    found = pages("describe_target_groups", "TargetGroups", Names=names)
    assert [g["TargetGroupName"] for g in found] == names
    rules = pages("describe_rules", "Rules", ListenerArn=listener["ListenerArn"])
    assert [r["Priority"] for r in rules] == [str(i) for i in range(1, 8)] + ["default"]
    policies = pages("describe_ssl_policies", "SslPolicies")
    assert len(policies) > 20
    limits = pages("describe_account_limits", "Limits")
    assert {"Name": "target-groups", "Max": "3000"} in limits
    assert code_of(elb.describe_target_groups, Marker="nonsense") == "ValidationError"


def test_rules_of_two_listeners_with_one_priority_come_in_pages(elb):
    _, _, one = make(elb)
    _, _, other = make(elb, "other")
    arns = [
        elb.create_rule(
            ListenerArn=listener["ListenerArn"],
            Priority=7,
            Conditions=[{"Field": "path-pattern", "Values": ["/x"]}],
            Actions=fixed(404),
        )["Rules"][0]["RuleArn"]
        for listener in (one, other)
    ]
    seen, marker = [], {}
    for _ in range(2):
        page = elb.describe_rules(RuleArns=arns, PageSize=1, **marker)
        seen += [r["RuleArn"] for r in page["Rules"]]
        marker = {"Marker": page.get("NextMarker", "")}
    assert sorted(seen) == sorted(arns)


def test_nothing_that_is_asked_for_and_absent_is_an_empty_answer(elb):
    balancer, group, listener = make(elb)
    rule = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"][0]

    def gone(arn):
        return arn[:-4] + ("0000" if arn[-4:] != "0000" else "1111")

    for call, arguments, code in (
        (elb.describe_load_balancers, {"Names": ["no"]}, "LoadBalancerNotFound"),
        (
            elb.describe_load_balancers,
            {"LoadBalancerArns": [gone(balancer["LoadBalancerArn"])]},
            "LoadBalancerNotFound",
        ),
        (elb.describe_target_groups, {"Names": ["no"]}, "TargetGroupNotFound"),
        (
            elb.describe_listeners,
            {"ListenerArns": [gone(listener["ListenerArn"])]},
            "ListenerNotFound",
        ),
        (elb.describe_rules, {"RuleArns": [gone(rule["RuleArn"])]}, "RuleNotFound"),
        (
            elb.describe_tags,
            {"ResourceArns": [gone(group["TargetGroupArn"])]},
            "TargetGroupNotFound",
        ),
        (elb.describe_ssl_policies, {"Names": ["no"]}, "SSLPolicyNotFound"),
        (
            elb.describe_listener_certificates,
            {"ListenerArn": gone(listener["ListenerArn"])},
            "ListenerNotFound",
        ),
    ):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            call(**arguments)
        answer = error.value.response
        assert answer["Error"]["Code"] == code
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_deletion_waits_for_what_is_in_the_way(elb):
    balancer, group, _ = make(elb)
    arn = balancer["LoadBalancerArn"]
    protect = {"Key": "deletion_protection.enabled", "Value": "true"}
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[protect])
    assert (
        code_of(elb.delete_load_balancer, LoadBalancerArn=arn)
        == "OperationNotPermitted"
    )
    group_arn = {"TargetGroupArn": group["TargetGroupArn"]}
    assert code_of(elb.delete_target_group, **group_arn) == "ResourceInUse"
    protect["Value"] = "false"
    elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[protect])
    for _ in range(2):  # what is gone can be deleted again
        elb.delete_load_balancer(LoadBalancerArn=arn)
        elb.delete_target_group(**group_arn)
    elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[arn])


def test_tags_come_with_the_create_call_and_are_told_for_each_arn(elb):
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    balancer = elb.create_load_balancer(Name="tagged", Tags=tags)["LoadBalancers"][0]
    plain = elb.create_target_group(Name="plain", Protocol="HTTP", Port=80)
    arns = [
        balancer["LoadBalancerArn"],
        plain["TargetGroups"][0]["TargetGroupArn"],
    ]
    told = elb.describe_tags(ResourceArns=arns)["TagDescriptions"]
    assert [t["ResourceArn"] for t in told] == arns
    assert [t["Tags"] for t in told] == [tags, []]
    elb.remove_tags(ResourceArns=arns, TagKeys=["a"])
    told = elb.describe_tags(ResourceArns=arns)["TagDescriptions"]
    assert [t["Tags"] for t in told] == [tags[1:], []]


def test_subnets_are_one_a_zone(elb):
    same = {"Subnets": ["subnet-0a1ba705500000001"] * 2}
    assert (
        code_of(elb.create_load_balancer, Name="twice", **same)
        == "InvalidConfigurationRequest"
    )
    balancer = elb.create_load_balancer(Name="once", Subnets=same["Subnets"][:1])
    assert (
        code_of(
            elb.set_subnets,
            LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
            **same,
        )
        == "InvalidConfigurationRequest"
    )


def test_ids_of_the_network_are_looked_at(elb):
    subnet = "subnet-0a1ba705500000001"
    address = {"SubnetId": subnet, "AllocationId": "eipalloc-0123456789abcdef0"}
    for more, code in (
        ({"Subnets": ["here"]}, "ValidationError"),
        ({"SubnetMappings": [{"SubnetId": "there"}]}, "ValidationError"),
        ({"SubnetMappings": [address]}, "ValidationError"),
        ({"SecurityGroups": ["web"]}, "InvalidSecurityGroup"),
    ):
        assert code_of(elb.create_load_balancer, Name="bad", **more) == code
    made = elb.create_load_balancer(
        Name="good",
        SubnetMappings=[{"SubnetId": subnet}],
        SecurityGroups=["sg-01234567"],
    )["LoadBalancers"][0]
    assert [z["SubnetId"] for z in made["AvailabilityZones"]] == [subnet]
    assert made["SecurityGroups"] == ["sg-01234567"]
    set_groups = {"LoadBalancerArn": made["LoadBalancerArn"], "SecurityGroups": ["no"]}
    assert code_of(elb.set_security_groups, **set_groups) == "InvalidSecurityGroup"


def test_what_belongs_to_tls_is_refused_in_words(elb):
    _, _, listener = make(elb)
    arn = {"ListenerArn": listener["ListenerArn"]}
    certificate = {"CertificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/x"}
    for call, more, word in (
        (elb.modify_listener, {"Protocol": "HTTPS"}, "end TLS in front"),
        (elb.modify_listener, {"Certificates": [certificate]}, "Certificates"),
        (elb.modify_listener, {"SslPolicy": "ELBSecurityPolicy-2016-08"}, "SSL policy"),
        (elb.add_listener_certificates, {"Certificates": [certificate]}, "HTTPS"),
    ):
        with pytest.raises(botocore.exceptions.ClientError, match=word) as error:
            call(**arn, **more)
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    elb.modify_listener(SslPolicy="", **arn)  # as Terraform sends what it read
    assert elb.describe_listener_certificates(**arn)["Certificates"] == []
    elb.remove_listener_certificates(Certificates=[certificate], **arn)


def test_internal_load_balancers_deny_the_internet_gateway(elb):
    for scheme, denies in (("internal", "true"), ("internet-facing", "false")):
        balancer = elb.create_load_balancer(Name=scheme[:8], Scheme=scheme)
        told = elb.describe_load_balancer_attributes(
            LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"]
        )["Attributes"]
        values = {a["Key"]: a["Value"] for a in told}
        assert values["ipv6.deny_all_igw_traffic"] == denies


def test_listeners_have_a_limit(elb):
    balancer = elb.create_load_balancer(Name="many")["LoadBalancers"][0]
    create = {
        "LoadBalancerArn": balancer["LoadBalancerArn"],
        "Protocol": "HTTP",
        "DefaultActions": fixed(200),
    }
    base = shared.free_port(balancer["DNSName"])
    for i in range(50):
        elb.create_listener(Port=base + i, **create)
    assert code_of(elb.create_listener, Port=base + 50, **create) == "TooManyListeners"


def test_the_courses_commands_work_as_typed(programs, backends):
    lb = Lb(programs, {}, {"AutoAddress": "127.0.79.0/24"}).start()
    backend, port = backends(), shared.free_port()

    def elbv2(line, *more):
        return shared.aws_cli(lb.api, "elbv2", *line.split(), *more)

    group = elbv2(
        "create-target-group --name web --protocol HTTP --port 80 --target-type ip"
        " --vpc-id vpc-0a1ba705500000001 --health-check-path / --health-check-interval-seconds 5"
        " --health-check-timeout-seconds 2 --healthy-threshold-count 2"
    )["TargetGroups"][0]["TargetGroupArn"]
    balancer = elbv2(
        "create-load-balancer --name web --subnets subnet-0a1ba705500000001 subnet-0a1ba705500000002"
        " --security-groups sg-0a1ba705500000001"
    )["LoadBalancers"][0]["LoadBalancerArn"]
    assert (
        elbv2(f"wait load-balancer-available --load-balancer-arns {balancer}") is None
    )
    listener = elbv2(
        f"create-listener --load-balancer-arn {balancer} --protocol HTTP --port {port}"
        f" --default-actions Type=forward,TargetGroupArn={group}"
    )["Listeners"][0]["ListenerArn"]
    elbv2(
        f"register-targets --target-group-arn {group} --targets Id=127.0.0.1,Port={backend.port}"
    )
    elbv2(f"wait target-in-service --target-group-arn {group}")
    health = elbv2(f"describe-target-health --target-group-arn {group}")
    states = [h["TargetHealth"]["State"] for h in health["TargetHealthDescriptions"]]
    assert states == ["healthy"]
    dns = elbv2("describe-load-balancers --names web --query LoadBalancers[0].DNSName")
    assert shared.http_get(f"http://{dns}:{port}/") == "b0"
    assert elbv2("describe-account-limits")["Limits"]
    assert elbv2("describe-ssl-policies --names ELBSecurityPolicy-2016-08")
    elbv2(
        f"deregister-targets --target-group-arn {group} --targets Id=127.0.0.1,Port={backend.port}"
    )
    elbv2(
        f"wait target-deregistered --target-group-arn {group} --targets Id=127.0.0.1,Port={backend.port}"
    )
    elbv2(f"delete-listener --listener-arn {listener}")
    elbv2(f"delete-load-balancer --load-balancer-arn {balancer}")
    elbv2(f"wait load-balancers-deleted --load-balancer-arns {balancer}")
    elbv2(f"delete-target-group --target-group-arn {group}")
