"""The access log and the connection log, line by line."""

import json
import re
import shlex
import socket

import pytest

import conftest as shared
from lb_fixtures import backends, start_lb  # noqa: F401
from lb_helpers import Wire, fixed, forward, group, rule

REDIRECT = [
    {
        "Type": "redirect",
        "RedirectConfig": {"StatusCode": "HTTP_301", "Path": "/new", "Port": "8443"},
    }
]
FIELDS = """type time elb client target request_time target_time response_time elb_status target_status
received sent request agent cipher protocol group trace domain cert priority created actions redirect
error targets statuses class class_reason conn t_host t_uri t_status node""".split()


@pytest.fixture
def logged(start_lb, backends, programs):
    """(lb, lines()): lines gives the access log's lines as dictionaries, once there are n."""
    path = programs.folder / "access.log"
    backend = backends()
    lb = start_lb(
        backend,
        rules=[
            rule(10, "/fixed", fixed(404, "gone")),
            rule(20, "/redirect", REDIRECT),
            rule(30, "/none", forward("none")),
        ],
        groups=[group("none")],
        settings={"AccessLog": str(path), "Workers": 1},  # in order
    )

    def lines(n):
        def there():
            found = path.read_text().splitlines()
            return found if len(found) >= n else None

        found = shared.wait_for(there, what=f"{n} lines", timeout=5)
        return [dict(zip(FIELDS, shlex.split(line), strict=True)) for line in found]

    lb.backend = backend
    return lb, lines


def test_c14_20_forwarded_request_fills_every_field(logged):
    lb, lines = logged
    with lb.wire() as wire:
        answer = wire.get("/headers?x=1", "User-Agent: t", "traceparent: 00-a-b-01")
        local = "%s:%d" % wire.socket.getsockname()
    line = lines(1)[0]
    headers = dict(json.loads(answer.body))
    assert headers["traceparent"] == "00-a-b-01"  # W3C's header is not touched
    assert line["type"] == "http" and line["client"] == local
    assert line["elb"].startswith("app/main/")
    assert line["target"] == line["targets"] == f"127.0.0.1:{lb.backend.port}"
    for name in ("request_time", "target_time", "response_time"):
        assert re.fullmatch(r"\d+\.\d{3}", line[name])
    assert line["elb_status"] == line["target_status"] == line["statuses"] == "200"
    assert line["request"] == f"GET http://a.example:{lb.port}/headers?x=1 HTTP/1.1"
    assert line["agent"] == "t" and line["trace"] == headers["X-Amzn-Trace-Id"]
    assert ":targetgroup/web/" in line["group"] and line["actions"] == "forward"
    assert line["priority"] == "0" and line["node"] == "127.0.0.1"
    assert re.fullmatch(r"TID_[0-9a-f]{32}", line["conn"])
    assert int(line["received"]) > 60 and int(line["sent"]) > len(answer.body)
    for name in (
        "cipher",
        "protocol",
        "domain",
        "cert",
        "redirect",
        "error",
        "t_host",
        "t_uri",
    ):
        assert line[name] == "-", name


def test_c14_20_dashes_are_where_alb_writes_them(logged):
    lb, lines = logged
    with lb.wire() as wire:
        for path in ("/fixed", "/redirect?q", "/none"):
            wire.get(path)
        wire.send("nonsense\r\n\r\n").read()
    fixed_line, redirect, none, bad = lines(4)
    for line in (fixed_line, redirect, none, bad):
        assert [line[f"{x}_time"] for x in ("request", "target", "response")] == [
            "-1"
        ] * 3
        assert line["target"] == line["targets"] == line["target_status"] == "-"
    assert (fixed_line["actions"], fixed_line["group"], fixed_line["priority"]) == (
        "fixed-response",
        "-",
        "10",
    )
    assert redirect["redirect"] == "http://a.example:8443/new?q"
    assert (redirect["actions"], redirect["elb_status"]) == ("redirect", "301")
    assert (none["elb_status"], none["actions"]) == ("503", "forward")
    assert ":targetgroup/none/" in none["group"]
    assert none["sent"] == "337"
    assert (bad["elb_status"], bad["received"], bad["sent"]) == ("400", "0", "272")
    assert bad["request"].startswith("- http://") and bad["request"].endswith("- -")
    assert (bad["trace"], bad["priority"], bad["actions"]) == ("-", "-", "-")


def test_c14_15_what_went_wrong_shows_in_the_times(logged):
    lb, lines = logged
    with lb.wire() as wire:
        assert wire.get("/close").status == 502
    wire = lb.wire()
    wire.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
    assert lb.backend.holding.acquire(timeout=20)
    wire.close()
    lines(2)
    with lb.wire() as wire:
        wire.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        shared.wait_for(
            lambda: lb.metric("albatross_lb_target_requests_in_flight") == 1,
            what="the request",
        )
    broken, gone, half = lines(3)
    assert broken["elb_status"] == "502" and broken["target_status"] == "-"
    assert broken["target"] != "-" and broken["response_time"] == "-1"
    assert re.fullmatch(r"\d+\.\d{3}", broken["target_time"])
    assert (gone["elb_status"], gone["target_time"], gone["sent"]) == ("460", "-1", "0")
    assert gone["target"] != "-" and re.fullmatch(r"\d+\.\d{3}", gone["request_time"])
    assert half["elb_status"] == "400"


def test_json_lines_have_the_same_facts(start_lb, backends, programs):
    path = programs.folder / "access.json"
    lb = start_lb(
        backends(), settings={"AccessLog": str(path), "AccessLogFormat": "json"}
    )
    with lb.wire() as wire:
        wire.get("/x?y", 'User-Agent: say "hi"')
    shared.wait_for(lambda: path.read_text().endswith("\n"), what="the line", timeout=5)
    line = json.loads(path.read_text())
    assert line["elb_status_code"] == line["target_status_code"] == 200
    assert line["request_url"] == f"http://a.example:{lb.port}/x?y"
    assert line["user_agent"] == 'say "hi"' and line["redirect_url"] is None
    assert line["matched_rule_priority"] == 0


def test_connection_log_has_a_line_a_connection_that_joins_the_access_log(
    start_lb, backends, programs
):
    access, connections = programs.folder / "a.log", programs.folder / "c.log"
    lb = start_lb(
        backends(),
        settings={"AccessLog": str(access), "ConnectionLog": str(connections)},
    )
    with lb.wire() as wire:
        wire.get()
        wire.get()
        ip, port = wire.socket.getsockname()
    shared.wait_for(
        lambda: access.read_text().count("\n") == 2, what="the lines", timeout=5
    )
    shared.wait_for(
        lambda: connections.read_text().endswith("\n"), what="its line", timeout=5
    )
    (line,) = connections.read_text().splitlines()
    fields = shlex.split(line)
    assert len(fields) == 15
    assert fields[1:4] == [ip, str(port), str(lb.port)]
    assert fields[4:11] == ["-"] * 7 and fields[12] == "-" and fields[14] == "127.0.0.1"
    assert fields[13].startswith("app/main/")
    assert {x.split()[-5] for x in access.read_text().splitlines()} == {fields[11]}


def test_c14_3_ipv6_client_is_named_as_albs_are(start_lb, backends):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    lb = start_lb(
        backends(),
        attributes={"routing.http.xff_client_port.enabled": "true"},
        ready=False,
    )
    lb.document["LoadBalancers"][0]["ListenAddress"] = "::1"
    lb.start()
    with Wire(lb.port, "::1") as wire:
        headers = dict(
            json.loads(wire.get("/headers", "X-Forwarded-For: 2001:db8::1").body)
        )
        port = wire.socket.getsockname()[1]
    assert headers["X-Forwarded-For"] == f"2001:db8::1, [::1]:{port}"
    assert lb.metric("albatross_lb_ipv6_request_count_total") == 1


@pytest.mark.parametrize(
    "mode, with_port, expected",
    [
        ("append", "false", "odd,, 1.1.1.1, 2.2.2.2, 127.0.0.1"),
        ("append", "true", "odd,, 1.1.1.1, 2.2.2.2, 127.0.0.1:PORT"),
        ("preserve", "true", "odd,, 1.1.1.1, 2.2.2.2"),
        ("remove", "true", None),
    ],
)
def test_c14_3_forwarded_for_in_three_modes(
    start_lb, backends, mode, with_port, expected
):
    lb = start_lb(
        backends(),
        attributes={
            "routing.http.xff_header_processing.mode": mode,
            "routing.http.xff_client_port.enabled": with_port,
        },
    )
    with lb.wire() as wire:
        answer = wire.get(
            "/headers", "X-Forwarded-For: odd,, 1.1.1.1", "x-forwarded-for: 2.2.2.2"
        )
        port = wire.socket.getsockname()[1]
    headers = dict(json.loads(answer.body))
    expected = expected and expected.replace("PORT", str(port))
    assert headers.get("X-Forwarded-For") == expected


def test_463_is_for_more_than_thirty_addresses(start_lb, backends):
    lb = start_lb(backends())
    with lb.wire() as wire:
        assert (
            wire.get("/", "X-Forwarded-For: " + ", ".join(["1.1.1.1"] * 30)).status
            == 200
        )
        answer = wire.get("/", "X-Forwarded-For: " + ", ".join(["1.1.1.1"] * 31))
    assert answer.line == "HTTP/1.1 463 " and b"<title>463</title>" in answer.body


def test_c14_20_group_cookie_that_is_not_ours_is_the_error_reason(
    start_lb, backends, programs
):
    path = programs.folder / "access.log"
    actions = [
        {
            "Type": "forward",
            "ForwardConfig": {
                "TargetGroups": [
                    {"TargetGroupArn": "web", "Weight": 1},
                    {"TargetGroupArn": "other", "Weight": 1},
                ],
                "TargetGroupStickinessConfig": {
                    "Enabled": True,
                    "DurationSeconds": 60,
                },
            },
        }
    ]
    lb = start_lb(
        backends(),
        groups=[group("other", backends())],
        actions=actions,
        settings={"AccessLog": str(path), "Workers": 1},
    )
    with lb.wire() as wire:
        good = wire.get().header("Set-Cookie").split(";")[0]
        assert good.startswith("AWSALBTG=")
        wire.get("/", f"Cookie: {good}")
        wire.get("/", "Cookie: AWSALB=forged")
        assert wire.get("/", f"Cookie: {good.replace('=', '=%2B')}").status == 200
    lines = shared.wait_for(
        lambda: len(found := path.read_text().splitlines()) == 4 and found,
        what="the lines",
    )
    reasons = [dict(zip(FIELDS, shlex.split(line)))["error"] for line in lines]
    assert reasons == ["-", "-", "-", "AWSALBTGCookieInvalid"]
