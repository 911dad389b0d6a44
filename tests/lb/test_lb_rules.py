"""Conditions, actions and transforms of rules as clients and targets see them, and the API's words about them."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request

import botocore.exceptions
import pytest

import conftest as shared
from lb_fixtures import backends, start_lb  # noqa: F401 (fixtures)
from lb_helpers import fixed, forward, group, rule


def condition(field, config, values, **more):
    return {"Field": field, config: {"Values": values, **more}}


HOST = ("host-header", "HostHeaderConfig")
PATH = ("path-pattern", "PathPatternConfig")
HEADER = ("http-header", "HttpHeaderConfig")
METHOD = ("http-request-method", "HttpRequestMethodConfig")
QUERY = ("query-string", "QueryStringConfig")
SOURCE = ("source-ip", "SourceIpConfig")


def when(priority, *conditions, status=None, actions=None, **more):
    """A rule that answers 200 + its priority, so that a test sees which one it was."""
    return {
        "Priority": priority,
        "Conditions": list(conditions),
        "Actions": actions or fixed(status or 200 + priority),
        **more,
    }


def regex(field, config, values, **more):
    return {"Field": field, config: {"RegexValues": values, **more}}


def rewrite(kind, expression, replace):
    config = {"host": "HostHeaderRewriteConfig", "url": "UrlRewriteConfig"}[kind]
    name = {"host": "host-header-rewrite", "url": "url-rewrite"}[kind]
    return {
        "Type": name,
        config: {"Rewrites": [{"Regex": expression, "Replace": replace}]},
    }


def explain(lb, url="/", *headers, **more):
    query = [("listener", more.pop("listener", lb.port)), ("url", url)]
    query += [("header", h) for h in headers] + [
        (k.replace("_", "-"), v) for k, v in more.items()
    ]
    with urllib.request.urlopen(
        f"{lb.api}/explain?{urllib.parse.urlencode(query)}", timeout=20
    ) as answer:
        return json.load(answer)


def test_c14_6_conditions_of_every_kind_choose_the_rule(start_lb):
    """Case, wildcards, any and all, the default."""
    lb = start_lb(
        actions=fixed(404),
        rules=[
            when(1, condition(*HOST, ["*.example.com", "a.test"])),
            when(2, condition(*PATH, ["/Img/*", "/x?z"])),
            when(3, condition(*HEADER, ["blue*"], HttpHeaderName="X-Team")),
            when(4, condition(*METHOD, ["PURGE", "PUT"])),
            when(
                5, condition(*QUERY, [{"Key": "v", "Value": "1*"}, {"Value": "a\\*b"}])
            ),
            when(6, condition(*SOURCE, ["127.0.0.2/32"])),
            when(
                7,
                condition(*PATH, ["/both"]),
                condition(*HEADER, ["1"], HttpHeaderName="A"),
            ),
        ],
    )
    cases = [
        (201, "/", {"host": "A.EXAMPLE.com:8080"}),
        (201, "/", {"host": "b.a.example.com"}),
        (404, "/", {"host": "example.com"}),
        (201, "/", {"host": "a.test"}),
        (202, "/Img/a/b.png", {}),
        (404, "/img/a", {}),
        (404, "/Img", {}),
        (202, "/xyz", {}),
        (202, "/a/../Img/%61", {}),
        (203, "/", {"headers": ["x-team: red", "X-TEAM: Blue 7"]}),
        (404, "/", {"headers": ["X-Team: red, blue"]}),
        (204, "/", {"method": "PUT"}),
        (404, "/", {"method": "GET"}),
        (205, "/?x=1&V=17", {}),
        (205, "/?q=A*b", {}),
        (404, "/?q=axb", {}),
        (207, "/both", {"headers": ["A: 1"]}),
        (404, "/both", {}),
    ]
    for status, path, more in cases:
        headers = more.pop("headers", [])
        with lb.wire() as wire:
            answer = wire.get(path, *headers, **{"host": "x.y", **more})
            assert answer.status == status, (path, headers, more)


def test_regular_expressions_match_anywhere_and_know_their_case(start_lb):
    lb = start_lb(
        actions=fixed(404),
        rules=[
            when(1, regex(*HOST, ["^api[0-9]+\\."])),
            when(2, regex(*PATH, ["^/v[0-9]+/", "/items/[a-f]{2}$"])),
            when(3, regex(*HEADER, ["(red|blue)-team"], HttpHeaderName="X-Team")),
        ],
    )
    with lb.wire() as wire:
        assert wire.get("/", host="API12.example").status == 201
        assert wire.get("/v12/x", host="a.b").status == 202
        assert wire.get("/V12/x", host="a.b").status == 404
        assert wire.get("/x/items/af?q", host="a.b").status == 202
        assert wire.get("/x", "X-Team: the BLUE-team", host="a.b").status == 203
        assert wire.get("/x", "X-Team: green-team", host="a.b").status == 404


def test_targets_see_the_rewritten_host_and_url(start_lb, backends):
    backend = backends()
    lb = start_lb(
        backend,
        rules=[
            when(
                1,
                condition(*PATH, ["/dp/*"]),
                actions=forward("web"),
                Transforms=[
                    rewrite("url", "^/dp/([A-Za-z0-9]+)/?$", "/headers/product?id=$1"),
                    rewrite("host", "^shop-(.+)\\.example$", "internal.$1.test"),
                ],
            ),
            when(
                2,
                condition(*PATH, ["/bad/*"]),
                actions=forward("web"),
                Transforms=[rewrite("url", "^/bad/(.*)", "$1")],
            ),
            when(
                3,
                condition(*PATH, ["/badhost"]),
                actions=forward("web"),
                Transforms=[rewrite("host", ".*", "a b")],
            ),
        ],
    )
    with lb.wire() as wire:
        answer = wire.get("/dp/B09G3", host="shop-a.example")
        assert answer.status == 200
        seen = dict(json.loads(answer.body))
        assert seen["Host"] == f"internal.a.test:{lb.port}"
        assert backend.requests[-1] == "GET /headers/product?id=B09G3"
        # No match: byte for byte what came, query and all.
        assert wire.get("/dp/a%3Ab?x=%7e", host="other.example").status == 200
        assert backend.requests[-1] == "GET /dp/a%3Ab?x=%7e"
        assert wire.get("/bad/thing").status == 500
        assert wire.get("/badhost").status == 500
        # The connection goes on, and so do bodies.
        assert wire.get("/dp/X1/", host="shop-b.example").status == 200
    assert backend.requests[-1] == "GET /headers/product?id=X1"


def test_transform_replaces_only_what_matched_and_survives_a_long_url(
    start_lb, backends
):
    backend = backends()
    lb = start_lb(
        backend,
        rules=[
            when(
                1,
                condition(*PATH, ["/api/*"]),
                actions=forward("web"),
                Transforms=[rewrite("url", "^/api/", "/")],
            ),
            when(
                2,
                condition(*PATH, ["/grow/*"]),
                actions=forward("web"),
                Transforms=[rewrite("url", "^/grow(/.*)$", "$1$1$1")],
            ),
        ],
    )
    with lb.wire() as wire:
        long = "/x" * 3000
        assert wire.get(f"/api{long}?a=%2Fapi%2F").status == 200
        assert backend.requests[-1] == f"GET {long}?a=%2Fapi%2F"
        assert wire.get("/grow/" + "y" * 4000).status == 200
        assert len(backend.requests[-1]) == 4 + 3 * 4001
        assert wire.get("/grow/" + "y" * 7000).status == 500


def test_c14_7_redirect_fills_in_the_keywords(start_lb):
    def to(**config):
        return [
            {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", **config}}
        ]

    lb = start_lb(
        actions=fixed(404),
        rules=[
            rule(1, "/https/*", to(Protocol="HTTPS", Port="443")),
            rule(
                2,
                "/moved/*",
                to(
                    Host="new.#{host}",
                    Path="/at/#{port}/#{path}",
                    Query="h=#{host}&#{query}",
                ),
            ),
            rule(3, "/bare", to(Path="/b", Query="")),
        ],
    )
    with lb.wire() as wire:
        answer = wire.get("/https/a?b=c", host="www.example.com")
        assert answer.status == 301
        assert answer.header("Location") == "https://www.example.com:443/https/a?b=c"
        answer = wire.get("/moved/a?b=c", host="www.example.com")
        assert (
            answer.header("Location")
            == f"http://new.www.example.com:{lb.port}/at/{lb.port}/moved/a?h=www.example.com&b=c"
        )
        answer = wire.get("/bare?x=1", host="a.b")
        assert answer.header("Location") == f"http://a.b:{lb.port}/b"
        assert wire.get("/moved/" + "a" * 8200, host="a.b").status == 507


def test_c14_9_weighted_groups_share_and_zero_gets_nothing(start_lb, backends):
    one, two, three = backends(3)
    config = {
        "TargetGroups": [
            {"TargetGroupArn": name, "Weight": weight}
            for name, weight in (("one", 3), ("two", 1), ("three", 0))
        ]
    }
    lb = start_lb(
        groups=[group("one", one), group("two", two), group("three", three)],
        rules=[rule(1, "/w", [{"Type": "forward", "ForwardConfig": config}])],
    )
    for name, backend in (("one", one), ("two", two)):
        lb.wait_health({backend: "healthy"}, name)
    with lb.wire() as wire:
        for _ in range(200):
            assert wire.get("/w").status == 200
    assert len(one.requests) + len(two.requests) == 200
    assert 110 <= len(one.requests) <= 190
    assert three.requests == []


def test_priorities_swap_in_one_step_or_not_at_all(start_lb):
    lb = start_lb(
        actions=fixed(404), rules=[rule(n, "/p", fixed(200 + n)) for n in (1, 2, 3)]
    )
    elb = lb.client()
    listener = elb.describe_listeners(
        LoadBalancerArn=elb.describe_load_balancers()["LoadBalancers"][0][
            "LoadBalancerArn"
        ]
    )["Listeners"][0]["ListenerArn"]

    def rules():
        return elb.describe_rules(ListenerArn=listener)["Rules"]

    arns = {r["Priority"]: r["RuleArn"] for r in rules()}
    elb.set_rule_priorities(
        RulePriorities=[
            {"RuleArn": arns["1"], "Priority": 2},
            {"RuleArn": arns["2"], "Priority": 1},
        ]
    )
    assert [r["RuleArn"] for r in rules()[:2]] == [arns["2"], arns["1"]]
    shared.wait_for(lambda: lb.status("/p") == 202, what="the new order")
    for pairs in (
        [(arns["1"], 50), (arns["2"], 3)],
        [(arns["1"], 60), (arns["2"], 60)],
    ):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            elb.set_rule_priorities(
                RulePriorities=[{"RuleArn": a, "Priority": p} for a, p in pairs]
            )
        assert error.value.response["Error"]["Code"] == "PriorityInUse"
    assert [r["Priority"] for r in rules()] == ["1", "2", "3", "default"]
    for call in (
        lambda: elb.set_rule_priorities(
            RulePriorities=[{"RuleArn": arns["default"], "Priority": 9}]
        ),
        lambda: elb.delete_rule(RuleArn=arns["default"]),
    ):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            call()
        assert error.value.response["Error"]["Code"] == "OperationNotPermitted"
    # The priority that was given up is free, the others are not.
    where = {"ListenerArn": listener, "Actions": fixed(299)}
    where["Conditions"] = [{"Field": "path-pattern", "Values": ["/q"]}]
    with pytest.raises(botocore.exceptions.ClientError):
        elb.create_rule(Priority=3, **where)
    elb.delete_rule(RuleArn=arns["3"])
    assert elb.create_rule(Priority=3, **where)["Rules"][0]["Priority"] == "3"


BAD = [
    (
        [condition(*PATH, [f"/{n}" for n in range(6)])],
        "A rule can only have '5' condition values",
    ),
    ([condition(*PATH, ["/*a*b*c*d", "/*e*f*g"])], "condition wildcards"),
    ([condition(*PATH, ["/" + "a" * 128])], "1 to 128 characters"),
    ([condition(*PATH, ["/a b"])], "character"),
    (
        [condition(*PATH, ["/a"]), condition(*PATH, ["/b"])],
        "only have one 'path-pattern'",
    ),
    ([condition(*HOST, ["localhost"])], "must contain a '.'"),
    ([condition(*HEADER, ["x"], HttpHeaderName="Host")], "header name"),
    ([condition(*METHOD, ["get"])], "character"),
    ([condition(*SOURCE, ["255.255.255.255/32"])], "CIDR"),
    ([condition(*SOURCE, ["10.0.0.1"])], "CIDR"),
    ([{"Field": "path-pattern"}], "must be specified"),
    ([{"Field": "no-such"}], "must be one of"),
    ([], "conditions"),
]


def test_conditions_that_alb_refuses_are_refused(start_lb):
    lb = start_lb(actions=fixed(404))
    elb = lb.client()
    balancer = elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
    listener = elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"][0]
    for conditions, words in BAD:
        with pytest.raises(botocore.exceptions.ClientError) as error:
            elb.create_rule(
                ListenerArn=listener["ListenerArn"],
                Priority=1,
                Conditions=conditions,
                Actions=fixed(200),
            )
        found = error.value.response["Error"]
        assert found["Code"] == "ValidationError", conditions
        assert words in found["Message"], (conditions, found)
    assert len(elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]) == 1


def post(lb, **parameters):
    """What older clients' models do not know of; the answer's or the error's text."""
    body = urllib.parse.urlencode({"Version": "2015-12-01", **parameters}).encode()
    try:
        with urllib.request.urlopen(lb.api, body, timeout=20) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def test_expressions_and_transforms_through_the_api(start_lb):
    lb = start_lb(actions=fixed(404))
    elb = lb.client()
    balancer = elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
    listener = elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"][0]
    base = {
        "Action": "CreateRule",
        "ListenerArn": listener["ListenerArn"],
        "Priority": 7,
        "Conditions.member.1.Field": "path-pattern",
        "Actions.member.1.Type": "fixed-response",
        "Actions.member.1.FixedResponseConfig.StatusCode": "207",
    }
    values = "Conditions.member.1.PathPatternConfig.RegexValues.member.1"
    transform = {
        "Transforms.member.1.Type": "url-rewrite",
        "Transforms.member.1.UrlRewriteConfig.Rewrites.member.1.Regex": "^/(a)",
        "Transforms.member.1.UrlRewriteConfig.Rewrites.member.1.Replace": "/$1b",
    }
    assert "look-ahead" in post(lb, **base, **{values: "a(?=b)"})
    assert "possessive" in post(lb, **base, **{values: "a++"})
    assert "1 to 128 characters" in post(lb, **base, **{values: "a" * 129})
    both = {values: "a", "Conditions.member.1.PathPatternConfig.Values.member.1": "/a"}
    assert "not both" in post(lb, **base, **both)
    bad = dict(transform)
    bad["Transforms.member.1.UrlRewriteConfig.Rewrites.member.1.Replace"] = "/$2"
    assert "has 1 groups" in post(lb, **base, **{values: "^/a"}, **bad)
    answer = post(lb, **base, **{values: "^/a+$"}, **transform)
    assert "<RegexValues><member>^/a+$</member></RegexValues>" in answer
    assert "<Replace>/$1b</Replace>" in answer
    shared.wait_for(lambda: lb.status("/aaa") == 207, what="the rule")
    arn = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"][0]["RuleArn"]
    again = {"Action": "ModifyRule", "RuleArn": arn}
    assert "cannot specify both" in post(
        lb, **again, ResetTransforms="true", **transform
    )
    answer = post(lb, **again, ResetTransforms="true")
    assert "<Replace>" not in answer and "<RegexValues><member>" in answer


def test_explain_of_many_rules_tells_of_some(start_lb, backends):
    target = backends(1)
    lb = start_lb(
        target,
        rules=[
            when(n, condition(*PATH, [f"/{n}"]), actions=forward("web"))
            for n in range(1, 251)
        ],
    )
    told = explain(lb, "/240")
    assert told["Priority"] == "240"
    listed = [int(rule["Priority"]) for rule in told["Rules"]]
    assert listed == [*range(1, 100), 240], "the one that matches, and the first"
    assert told["LeftOut"]["Rules"] == 150 and told["LeftOut"]["Matching"] == 0
    (one,) = explain(lb, "/240", rule="130")["Rules"]
    assert one["Priority"] == "130" and one["FailedConditions"][0]["Compared"] == [
        "/240"
    ]
    everything = explain(lb, "/240", all="true")
    assert len(everything["Rules"]) == 250 and "LeftOut" not in everything


def test_explain_says_why_and_which_targets(start_lb, backends):
    good, bad = backends(2)
    bad.health = 500
    lb = start_lb(
        good,
        bad,
        rules=[
            when(1, condition(*HOST, ["a.test"]), condition(*METHOD, ["PUT"])),
            when(2, condition(*HEADER, ["blue"], HttpHeaderName="X-Team")),
            when(
                3,
                condition(*PATH, ["/x/*"]),
                actions=forward("web"),
                Transforms=[rewrite("url", "^/x", "/y")],
            ),
            when(
                4,
                condition(*PATH, ["/go"]),
                actions=[
                    {
                        "Type": "redirect",
                        "RedirectConfig": {
                            "StatusCode": "HTTP_302",
                            "Protocol": "HTTPS",
                            "Port": "443",
                        },
                    }
                ],
            ),
            when(5, condition(*SOURCE, ["10.0.0.0/8"])),
        ],
    )
    lb.wait_health({good: "healthy", bad: "unhealthy"})
    told = explain(lb, "/b/../x/1?q=2", "Host: A.test", "X-Team: red", "X-Team: green")
    assert told["Priority"] == "3"
    assert told["Request"]["Path"] == "/x/1"
    assert [r["Matches"] for r in told["Rules"]] == [False, False, True, False, False]
    first, second = told["Rules"][:2]
    assert first["FailedConditions"] == [
        {
            "Field": "http-request-method",
            "HttpRequestMethodConfig": {"Values": ["PUT"]},
            "Compared": ["GET"],
        }
    ]
    assert second["FailedConditions"][0]["Compared"] == ["red", "green"]
    assert told["TransformedUrl"] == "/b/../x/1?q=2"  # what is sent is not normalised
    targets = told["TargetGroups"][0]["Targets"]
    assert {t["Target"]["Port"]: t["CouldGetIt"] for t in targets} == {
        good.port: True,
        bad.port: False,
    }
    unhealthy = next(t for t in targets if not t["CouldGetIt"])
    assert unhealthy["TargetHealth"]["Reason"] == "Target.ResponseCodeMismatch"
    assert explain(lb, "/x/1")["TransformedUrl"] == "/y/1"
    assert explain(lb, "http://a.test/", method="PUT")["Priority"] == "1"
    assert explain(lb, "/go", "Host: b.c")["Location"] == "https://b.c:443/go"
    assert explain(lb, "/", source_ip="10.1.2.3")["Priority"] == "5"
    assert explain(lb, "/")["Priority"] == "default"
    assert explain(lb, "/", listener=told["ListenerArn"])["Priority"] == "default"
    for wrong in ({"listener": "nobody"}, {"source_ip": "x"}):
        with pytest.raises(urllib.error.HTTPError) as error:
            explain(lb, "/", **wrong)
        assert error.value.code in (400, 404)
        assert "Error" in json.load(error.value)


def test_ten_thousand_rules_load_serve_and_reload_quickly(start_lb, backends):
    backend = backends()
    n = 10000
    rules = [
        when(
            i,
            condition(*HOST, [f"tenant-{i % 100}.example.com"]),
            condition(*PATH, [f"/service-{i // 100}/*"]),
            actions=forward(f"g{i % 1000}"),
        )
        for i in range(1, n + 1)
    ]
    lb = start_lb(
        backend,
        actions=fixed(404),
        rules=rules,
        groups=[
            group(f"g{i}", backend, HealthCheckIntervalSeconds=300) for i in range(1000)
        ],
        ready=False,
    )
    began = time.monotonic()
    lb.start()
    assert time.monotonic() - began < 30 * shared.SLOW
    with lb.wire() as wire:
        assert wire.get("/service-99/x", host="tenant-99.example.com").status == 200
        assert wire.get("/service-100/x", host="tenant-0.example.com").status == 200
        assert wire.get("/service-100/x", host="tenant-1.example.com").status == 404
    last = lb.document["LoadBalancers"][0]["Listeners"][0]["Rules"][-1]
    last["Actions"] = fixed(222)
    began = time.monotonic()
    assert " reload file=" in lb.reload(lb.document)
    assert time.monotonic() - began < 20 * shared.SLOW
    with lb.wire() as wire:
        assert wire.get("/service-100/x", host="tenant-0.example.com").status == 222
    assert (
        explain(lb, "/service-99/x", "Host: tenant-99.example.com")["Priority"]
        == "9999"
    )
