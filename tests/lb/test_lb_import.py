"""albatross-lb import and diff: a live load balancer as a configuration file, and what differs between the two."""

import contextlib
import http.server
import json
import os
import socket
import subprocess
import threading
import time

import pytest

import conftest as shared
from lb_fixtures import Lb, backends, start_lb  # noqa: F401 (fixtures)
from lb_helpers import fixed, forward, group, rule
from lb_services import Recorder

ENV = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def run(folder, *words, env=None):
    done = subprocess.run(
        [str(shared.BIN / "albatross-lb"), *map(str, words)],
        cwd=folder,
        env={**os.environ, **ENV, **(env or {})},
        capture_output=True,
        text=True,
        timeout=60 * shared.SLOW,
    )
    assert not shared.REPORTS.search(done.stderr), done.stderr
    return done


def document(port, second):
    """Every kind of condition and action, attributes, tags, weights."""
    conditions = [
        {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.a.example"]}},
        {
            "Field": "http-header",
            "HttpHeaderConfig": {"HttpHeaderName": "X-A", "Values": ["b*"]},
        },
        {
            "Field": "query-string",
            "QueryStringConfig": {"Values": [{"Key": "v", "Value": "2"}]},
        },
        {"Field": "source-ip", "SourceIpConfig": {"Values": ["127.0.0.0/8"]}},
        {
            "Field": "http-request-method",
            "HttpRequestMethodConfig": {"Values": ["GET"]},
        },
    ]
    weighted = {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [
                {"TargetGroupArn": "web", "Weight": 3},
                {"TargetGroupArn": "api", "Weight": 1},
            ],
            "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60},
        },
    }
    rewrite = {
        "Type": "url-rewrite",
        "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/a/", "Replace": "/b/"}]},
    }
    redirect = {"Host": "other.example", "StatusCode": "HTTP_301"}
    return {
        "LoadBalancers": [
            {
                "LoadBalancerName": "web",
                "ListenAddress": "127.0.0.1",
                "Scheme": "internal",
                "Subnets": ["subnet-0a1ba705500000001"],
                "Attributes": {"idle_timeout.timeout_seconds": "20"},
                "Tags": [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}],
                "Listeners": [
                    {
                        "Protocol": "HTTP",
                        "Port": port,
                        "DefaultActions": forward("web"),
                        "Attributes": {"routing.http.response.server.enabled": "false"},
                        "Tags": [{"Key": "l", "Value": ""}],
                        "Rules": [
                            rule(20, "/api/*", forward("api")),
                            {
                                "Priority": 5,
                                "Conditions": conditions,
                                "Actions": [weighted],
                                "Tags": [{"Key": "r", "Value": "x"}],
                            },
                            {
                                **rule(7, "/a/*", forward("web")),
                                "Transforms": [rewrite],
                            },
                            rule(9, "/old", fixed(410, "gone")),
                            {
                                "Priority": 11,
                                "Conditions": [
                                    {
                                        "Field": "path-pattern",
                                        "PathPatternConfig": {
                                            "RegexValues": ["^/x[0-9]+$"]
                                        },
                                    }
                                ],
                                "Actions": [
                                    {"Type": "redirect", "RedirectConfig": redirect}
                                ],
                            },
                        ],
                    },
                    {"Protocol": "HTTP", "Port": second, "DefaultActions": fixed(404)},
                ],
            }
        ],
        "TargetGroups": [
            group("web", Targets=[{"Id": "127.0.0.2", "Port": 9}, {"Id": "127.0.0.1"}]),
            group(
                "api",
                HealthCheckPath="/up",
                Matcher={"HttpCode": "200-299"},
                HealthCheckIntervalSeconds=30,
                HealthCheckTimeoutSeconds=7,
                Attributes={
                    "deregistration_delay.timeout_seconds": "1",
                    "stickiness.type": "app_cookie",
                    "stickiness.app_cookie.cookie_name": "S",
                },
                Tags=[{"Key": "t", "Value": "y"}],
            ),
        ],
    }


def api_of(lb):
    return ["--endpoint", lb.api]


def imported(folder, endpoint, *more):
    done = run(
        folder, "import", "--load-balancer", "web", "--endpoint", endpoint, *more
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def lb(programs):
    lb = Lb(programs, document(shared.free_port(), shared.free_port()))
    return lb.start()


def test_an_import_loads_and_an_import_of_it_is_the_same_file(programs, lb):
    first = imported(programs.folder, lb.api).stdout
    (programs.folder / "first.json").write_text(first)
    checked = run(programs.folder, "-c", "first.json", "-t")
    assert (checked.returncode, checked.stdout) == (0, "first.json: good\n")
    lb.program.stop()
    again = Lb(programs, json.loads(first), name="again.json").start()
    done = imported(programs.folder, again.api, "-o", "second.json")
    assert done.stdout == ""
    assert (programs.folder / "second.json").read_text() == first


def test_an_import_says_the_same_as_the_file_that_was_loaded(programs, lb):
    config = json.loads(imported(programs.folder, lb.api).stdout)
    balancer = config["LoadBalancers"][0]
    assert balancer["ListenAddress"] == "127.0.0.1"
    assert balancer["Attributes"]["idle_timeout.timeout_seconds"] == "20"
    assert [t["Key"] for t in balancer["Tags"]] == ["a", "b"]
    assert [g["TargetGroupName"] for g in config["TargetGroups"]] == ["api", "web"]
    rules = [x for x in balancer["Listeners"] if "Rules" in x][0]["Rules"]
    assert [r["Priority"] for r in rules] == [5, 7, 9, 11, 20]
    assert rules[0]["Actions"] == [
        document(0, 0)["LoadBalancers"][0]["Listeners"][0]["Rules"][1]["Actions"][0]
    ]
    assert rules[4]["Actions"] == forward("api")
    assert config["TargetGroups"][1]["Targets"] == [
        {"Id": "127.0.0.1", "Port": 80},
        {"Id": "127.0.0.2", "Port": 9},
    ]


def test_notes_name_what_is_kept_without_effect(programs, lb):
    notes = imported(programs.folder, lb.api).stderr
    assert "note: LoadBalancers[web]: Scheme is kept, but has no effect" in notes
    assert "note: LoadBalancers[web]: Subnets is kept, but has no effect" in notes


def test_diff_is_silent_where_nothing_differs(programs, lb):
    path = programs.folder / "lb.json"
    done = run(programs.folder, "diff", "-c", path, *api_of(lb), "--no-auto-scaling")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_diff_shows_what_the_api_changed(programs, lb):
    elb, port = lb.client(), lb.port
    arn = elb.describe_target_groups(Names=["api"])["TargetGroups"][0]["TargetGroupArn"]
    elb.modify_target_group(TargetGroupArn=arn, HealthCheckPath="/other")
    elb.modify_target_group_attributes(
        TargetGroupArn=arn,
        Attributes=[{"Key": "slow_start.duration_seconds", "Value": "40"}],
    )
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "127.0.0.9", "Port": 1}])
    balancer = elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
    listener = [x for x in listeners if x["Port"] == port][0]["ListenerArn"]
    rules = elb.describe_rules(ListenerArn=listener)["Rules"]
    elb.delete_rule(RuleArn=[r for r in rules if r["Priority"] == "9"][0]["RuleArn"])
    elb.create_rule(
        ListenerArn=listener,
        Priority=30,
        Conditions=[{"Field": "path-pattern", "Values": ["/new"]}],
        Actions=fixed(200),
    )
    elb.add_tags(ResourceArns=[balancer], Tags=[{"Key": "a", "Value": "other"}])
    words = ("diff", "-c", "lb.json", *api_of(lb), "--no-auto-scaling")
    done = run(programs.folder, *words)
    assert done.returncode == 1
    assert done.stdout == (
        f"""LoadBalancers[web].Tags[a].Value
  file: "1"
  live: "other"
LoadBalancers[web].Listeners[{port}].Rules[9]
  only in the file
LoadBalancers[web].Listeners[{port}].Rules[30]
  only live
TargetGroups[api].HealthCheckPath
  file: "/up"
  live: "/other"
TargetGroups[api].Attributes.slow_start.duration_seconds
  file: (default)
  live: "40"
TargetGroups[api].Targets[127.0.0.9,1]
  only live
"""
    )
    assert run(programs.folder, *words).stdout == done.stdout


def test_diff_tells_what_is_not_live_at_all(programs, lb):
    other = {
        "LoadBalancers": [{"Name": "elsewhere"}],
        "TargetGroups": [group("nowhere")],
    }
    programs.config(other, "other.json")
    done = run(
        programs.folder, "diff", "-c", "other.json", *api_of(lb), "--no-auto-scaling"
    )
    assert done.returncode == 1
    assert done.stdout == (
        "LoadBalancers[elsewhere]\n  only in the file\n"
        "TargetGroups[nowhere]\n  only in the file\n"
    )


def test_pages_are_followed(programs):
    port = shared.free_port()
    rules = [rule(i, f"/{i}", fixed(200, str(i))) for i in range(1, 901)]
    listener = {"Port": port, "DefaultActions": fixed(404), "Rules": rules}
    lb = Lb(
        programs, {"LoadBalancers": [{"Name": "web", "Listeners": [listener]}]}
    ).start()
    config = json.loads(imported(programs.folder, lb.api).stdout)
    assert len(config["LoadBalancers"][0]["Listeners"][0]["Rules"]) == 900


@pytest.mark.parametrize(
    "words, status, text",
    [
        (["import"], 2, "which load balancer?"),
        (["diff"], 2, "which configuration file?"),
        (["import", "--load-balancer", "a", "b"], 2, "one too many"),
        (["import", "--load-balancer", "a", "--timeout", "x"], 2, "0.1 to 600"),
        (["import", "--load-balancer", "a", "--endpoint", "x:y"], 1, "not an endpoint"),
        (["import", "-c", "x", "--load-balancer", "a"], 2, "-o is for import"),
        (["diff", "-c", "absent.json"], 2, "absent.json: No such file"),
    ],
)
def test_wrong_command_lines_are_told(programs, words, status, text):
    done = run(programs.folder, *words)
    assert done.returncode == status
    assert text in done.stderr


def test_help_is_what_the_manual_says(programs):
    manual = (shared.ROOT / "docs/import.md").read_text()
    for command in ("import", "diff"):
        done = run(programs.folder, command, "--help")
        assert done.returncode == 0
        for line in done.stdout.splitlines():
            assert line in manual, line


def test_a_load_balancer_that_is_not_there_is_told(programs, lb):
    done = run(programs.folder, "import", "--load-balancer", "nobody", *api_of(lb))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "LoadBalancerNotFound" in done.stderr


def test_the_file_is_whole_its_owners_or_as_it_was(programs, lb):
    kept = programs.folder / "kept.json"
    kept.write_text("old")
    words = ("import", "--load-balancer", "nobody", *api_of(lb), "-o", "kept.json")
    assert run(programs.folder, *words).returncode == 1
    assert kept.read_text() == "old"
    imported(programs.folder, lb.api, "-o", "kept.json")
    assert json.loads(kept.read_text())["TargetGroups"]
    imported(programs.folder, lb.api, "-o", "made.json")
    assert (programs.folder / "made.json").stat().st_mode & 0o777 == 0o600
    assert json.loads(imported(programs.folder, lb.api, "-o", "/dev/stdout").stdout)
    words = ("import", "--load-balancer", "web", *api_of(lb), "-o", "no/where.json")
    done = run(programs.folder, *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no/where.json: No such file or directory" in done.stderr
    assert not list(programs.folder.glob("*.new"))


class Hostile(Recorder):
    """An endpoint that answers every call with what reply(form, n) gives: (status, body), or None for silence."""

    def __init__(self, reply):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one segment an answer

            def log_message(self, *args):
                pass

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                owner.n += 1
                answer = reply(owner.n)
                if answer is None:
                    owner.stopping.wait(60)
                    self.close_connection = True
                    return
                status, body = answer
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body.encode())

        self.n = 0
        self.stopping = threading.Event()
        super().__init__(handler=Handler)

    def __exit__(self, *_):
        self.stopping.set()
        super().__exit__()


def answer(action, result):
    return (
        200,
        f"<{action}Response><{action}Result>{result}</{action}Result></{action}Response>",
    )


BALANCER = (
    "<member><LoadBalancerArn>arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web/0123456789abcdef"
    "</LoadBalancerArn><LoadBalancerName>web</LoadBalancerName><Type>application</Type></member>"
)


# A billion of "lol", if entities were expanded.
BOMB = (
    '<!DOCTYPE r [<!ENTITY a0 "lol">'
    + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    + "]><DescribeLoadBalancersResponse><DescribeLoadBalancersResult><NextMarker>&a9;</NextMarker>"
    "</DescribeLoadBalancersResult></DescribeLoadBalancersResponse>"
)


def balancers(marker=""):
    return answer(
        "DescribeLoadBalancers",
        f"<LoadBalancers>{BALANCER}</LoadBalancers>{marker}",
    )


@pytest.mark.parametrize(
    "reply, text",
    [
        (lambda n: (200, "<html>no</html>"), "not the XML"),
        (lambda n: (200, "<DescribeLoadBalancersResponse><Describe"), "Load"),
        (lambda n: (200, "\0\1\2" * 1000), "not"),
        (lambda n: (200, BOMB), "DescribeLoadBalancers"),
        (lambda n: (200, "<a>" * 200000), "DescribeLoadBalancers"),
        (lambda n: (200, "x" * (17 << 20)), "larger than"),
        (lambda n: (403, "go away"), "403"),
        (lambda n: balancers("<NextMarker>same</NextMarker>"), "came twice"),
        (lambda n: balancers(f"<NextMarker>m{n}</NextMarker>"), "do not end"),
    ],
    ids=[
        "html",
        "cut",
        "bytes",
        "bomb",
        "deep",
        "huge",
        "forbidden",
        "same-page",
        "endless-pages",
    ],
)
def test_an_endpoint_that_lies_is_told(programs, reply, text):
    with Hostile(reply) as hostile:
        words = ("--load-balancer", "web", "--endpoint", hostile.url)
        done = run(programs.folder, "import", *words)
    assert done.returncode == 1
    assert done.stdout == ""
    assert text in done.stderr, done.stderr


def test_an_endpoint_that_hangs_ends_in_time(programs):
    with Hostile(lambda n: None) as hostile:
        started = time.monotonic()
        words = ("--endpoint", hostile.url, "--timeout", "0.3")
        done = run(programs.folder, "import", "--load-balancer", "web", *words)
    assert done.returncode == 1
    assert "RequestTimeout" in done.stderr
    assert time.monotonic() - started < 15 * shared.SLOW


def test_an_endpoint_that_is_not_there_is_told(programs):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{s.getsockname()[1]}"
        words = ("--load-balancer", "web", "--endpoint", url)
        done = run(programs.folder, "import", *words)
    assert done.returncode == 1
    assert "Connection refused" in done.stderr


def test_what_our_programs_refuse_is_left_out_and_named(programs):
    """An ALB as AWS has them: HTTPS, authentication, an attribute nobody knows here."""
    arn = "arn:aws:elasticloadbalancing:us-east-1:000000000000"
    http_arn = f"{arn}:listener/app/web/0123456789abcdef/1111111111111111"
    tls_arn = f"{arn}:listener/app/web/0123456789abcdef/2222222222222222"
    group_arn = f"{arn}:targetgroup/web/0123456789abcdef"
    action = f"<member><Type>forward</Type><TargetGroupArn>{group_arn}</TargetGroupArn></member>"
    login = (
        "<member><Type>authenticate-oidc</Type><Order>1</Order></member>"
        f"<member><Type>forward</Type><Order>2</Order><TargetGroupArn>{group_arn}</TargetGroupArn></member>"
    )

    def listener(arn, port, protocol):
        return (
            f"<member><ListenerArn>{arn}</ListenerArn><Port>{port}</Port><Protocol>{protocol}</Protocol>"
            f"<DefaultActions>{action}</DefaultActions></member>"
        )

    def rule_xml(n, actions):
        return (
            f"<member><RuleArn>{http_arn.replace('listener', 'listener-rule')}/{n:016x}</RuleArn>"
            f"<Priority>{n}</Priority><IsDefault>false</IsDefault><Actions>{actions}</Actions>"
            "<Conditions><member><Field>path-pattern</Field><Values>"
            f"<member>/{n}</member></Values></member></Conditions></member>"
        )

    def attribute(key, value):
        return f"<member><Key>{key}</Key><Value>{value}</Value></member>"

    results = {
        "DescribeLoadBalancers": f"<LoadBalancers>{BALANCER}</LoadBalancers>",
        "DescribeLoadBalancerAttributes": "<Attributes>"
        + attribute("access_logs.s3.enabled", "true")
        + attribute("idle_timeout.timeout_seconds", "61")
        + attribute("waf.fail_open.enabled", "true")
        + attribute("of.the.future", "1")
        + "</Attributes>",
        "DescribeListeners": f"<Listeners>{listener(http_arn, 80, 'HTTP')}{listener(tls_arn, 443, 'HTTPS')}</Listeners>",
        "DescribeListenerAttributes": "<Attributes/>",
        "DescribeRules": "<Rules>"
        + "".join(rule_xml(n, login if n == 3 else action) for n in range(1, 6))
        + "</Rules>",
        "DescribeTargetGroups": f"<TargetGroups><member><TargetGroupArn>{group_arn}</TargetGroupArn>"
        "<TargetGroupName>web</TargetGroupName><Protocol>HTTP</Protocol><Port>80</Port>"
        "<TargetType>instance</TargetType></member></TargetGroups>",
        "DescribeTargetGroupAttributes": "<Attributes/>",
        "DescribeTargetHealth": "<TargetHealthDescriptions/>",
        "DescribeTags": f"<TagDescriptions><member><ResourceArn>{group_arn}</ResourceArn><Tags>"
        + attribute("aws:cloudformation:stack-name", "s")
        + attribute("own", "v")
        + "</Tags></member></TagDescriptions>",
    }

    class Aws(Hostile):
        pass

    aws = Aws(lambda n: None)

    def do_POST(handler):
        form = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        name = dict(x.split("=", 1) for x in form.split("&"))["Action"]
        status, body = answer(name, results[name])
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body.encode())

    aws.server.RequestHandlerClass.do_POST = do_POST
    with aws:
        done = imported(programs.folder, aws.url)
    config = json.loads(done.stdout)
    assert [x["Port"] for x in config["LoadBalancers"][0]["Listeners"]] == [80]
    rules = config["LoadBalancers"][0]["Listeners"][0]["Rules"]
    assert [r["Priority"] for r in rules] == [1, 2, 4, 5]
    assert config["LoadBalancers"][0]["Attributes"] == {
        "idle_timeout.timeout_seconds": "61",
        "waf.fail_open.enabled": "true",
    }
    assert config["TargetGroups"][0]["Tags"] == [{"Key": "own", "Value": "v"}]
    for text in (
        "LoadBalancers[web].Listeners[443]: not kept: ",
        "HTTPS listeners are not supported yet",
        "LoadBalancers[web].Listeners[80].Rules[3]: not kept: ",
        "LoadBalancers[web]: the attribute waf.fail_open.enabled has no effect",
        "LoadBalancers[web]: the attribute access_logs.s3.enabled is not kept",
        "LoadBalancers[web]: the attribute of.the.future is not kept",
        "TargetGroups[web]: the tag 'aws:cloudformation:stack-name' is not kept",
    ):
        assert text in done.stderr, done.stderr
