"""Attributes of load balancers, listeners and groups, as clients and targets see them."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

import conftest as shared
from lb_fixtures import backends, start_lb  # noqa: F401
from lb_helpers import fixed, forward, group, rule
from raw_target import Target

AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/elasticloadbalancing/aws4_request, "
    "SignedHeaders=host, Signature=0"
)


def listener_arn(lb):
    client = lb.client()
    balancer = client.describe_load_balancers()["LoadBalancers"][0]
    listeners = client.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])
    return listeners["Listeners"][0]["ListenerArn"]


def set_listener(lb, attributes):
    """(status, answer): Debian's boto3 is too old to know the action."""
    form = {
        "Action": "ModifyListenerAttributes",
        "Version": "2015-12-01",
        "ListenerArn": listener_arn(lb),
    }
    for i, (key, value) in enumerate(attributes.items(), 1):
        form[f"Attributes.member.{i}.Key"] = key
        form[f"Attributes.member.{i}.Value"] = value
    request = urllib.request.Request(
        lb.api, urllib.parse.urlencode(form).encode(), {"Authorization": AUTHORIZATION}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def with_listener(start_lb, *backends, listener, **more):
    lb = start_lb(*backends, ready=False, **more)
    lb.document["LoadBalancers"][0]["Listeners"][0]["Attributes"] = listener
    return lb.start()


def test_response_headers_are_inserted_into_every_answer(start_lb, backends):
    lb = with_listener(
        start_lb,
        backends(),
        rules=[rule(1, "/fixed", fixed(404, "x")), rule(2, "/none", forward("none"))],
        groups=[group("none")],
        listener={
            "routing.http.response.strict_transport_security.header_value": "max-age=1; preload",
            "routing.http.response.access_control_allow_origin.header_value": "*",
            "routing.http.response.x_frame_options.header_value": "DENY",
        },
    )
    with lb.wire() as wire:
        for path, status in (
            ("/", 200),
            ("/status/500", 500),
            ("/fixed", 404),
            ("/none", 503),
        ):
            answer = wire.get(path)
            assert answer.status == status
            assert answer.header("Strict-Transport-Security") == "max-age=1; preload"
            assert answer.header("Access-Control-Allow-Origin") == "*"
            assert answer.header("X-Frame-Options") == "DENY"
            assert answer.header("X-Content-Type-Options") is None


def test_c14_1_server_header_can_be_switched_off(start_lb, backends):
    lb = with_listener(
        start_lb,
        backends(),
        rules=[rule(1, "/fixed", fixed(200))],
        listener={"routing.http.response.server.enabled": "false"},
    )
    with lb.wire() as wire:
        assert wire.get("/fixed").header("Server") is None
        assert wire.get("/").header("Server").startswith("BaseHTTP")  # the target's own
        done = set_listener(lb, {"routing.http.response.server.enabled": "true"})
        assert done[0] == 200, done
        shared.wait_for(
            lambda: wire.get("/fixed").header("Server") == "awselb/2.0",
            what="the header",
        )


def test_request_and_response_headers_are_edited_by_the_extension(start_lb, backends):
    lb = with_listener(
        start_lb,
        backends(),
        listener={
            "routing.http.request.headers.insert": "X-Env: prod\nX-Tier: a, b",
            "routing.http.request.headers.rename": "X-Old: X-New",
            "routing.http.request.headers.remove": "X-Debug",
            "routing.http.response.headers.remove": "Server, Date",
            "routing.http.response.headers.rename": "Content-Type: X-Type",
            "routing.http.response.headers.insert": "X-By: albatross",
        },
    )
    with lb.wire() as wire:
        answer = wire.get("/headers", "x-old: 1", "X-Env: forged", "X-Debug: 1")
    headers = json.loads(answer.body)
    assert ["X-New", "1"] in headers and ["X-Env", "prod"] in headers
    assert ["X-Tier", "a, b"] in headers
    assert not [
        k for k, v in headers if k.lower() in ("x-old", "x-debug") or v == "forged"
    ]
    assert answer.header("Server") is None and answer.header("Date") is None
    assert answer.header("X-By") == "albatross"


@pytest.mark.parametrize(
    "key, value, code",
    [
        ("routing.http.request.headers.insert", "Content-Length: 1", "ValidationError"),
        ("routing.http.response.headers.rename", "Host: X", "ValidationError"),
        ("routing.http.response.x_frame_options.header_value", "é", "ValidationError"),
        (
            "routing.http.response.x_frame_options.header_value",
            "a\r\nb: c",
            "ValidationError",
        ),
        ("routing.http.response.server.enabled", "maybe", "ValidationError"),
        (
            "routing.http.request.x_amzn_tls_version.header_name",
            "X-T",
            "InvalidConfigurationRequest",
        ),
        (
            "routing.http.request.x_amzn_mtls_clientcert_leaf.header_name",
            "X-L",
            "InvalidConfigurationRequest",
        ),
        ("no.such.key", "1", "ValidationError"),
    ],
)
def test_bad_listener_attributes_are_refused(start_lb, backends, key, value, code):
    lb = start_lb(backends())
    status, answer = set_listener(lb, {key: value})
    assert status == 400 and f"<Code>{code}</Code>" in answer
    assert lb.status() == 200


def test_deletion_protection_keeps_the_load_balancer(start_lb, backends):
    lb = start_lb(backends(), attributes={"deletion_protection.enabled": "true"})
    client = lb.client()
    arn = client.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
    with pytest.raises(client.exceptions.OperationNotPermittedException):
        client.delete_load_balancer(LoadBalancerArn=arn)
    client.modify_load_balancer_attributes(
        LoadBalancerArn=arn,
        Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}],
    )
    client.delete_load_balancer(LoadBalancerArn=arn)


@pytest.mark.parametrize(
    "drops, left", [("true", ["X-Good"]), ("false", ["X_Bad", "X.Dot", "X-Good"])]
)
def test_invalid_header_fields_are_dropped_where_asked(start_lb, backends, drops, left):
    lb = start_lb(
        backends(),
        attributes={"routing.http.drop_invalid_header_fields.enabled": drops},
    )
    with lb.wire() as wire:
        answer = wire.get("/headers", "X_Bad: 1", "X.Dot: 1", "X-Good: 1")
    assert [
        k for k, _ in json.loads(answer.body) if k in ("X_Bad", "X.Dot", "X-Good")
    ] == left
    name = "dropped" if drops == "true" else "forwarded"
    assert lb.metric(f"albatross_lb_{name}_invalid_header_request_count_total") == 1


def test_headers_that_no_target_could_read_are_counted_as_dropped(start_lb, backends):
    lb = start_lb(backends())
    with lb.wire() as wire:
        # Put in order, nothing lost: a bare LF, a blank before the version.
        wire.send("GET /headers HTTP/1.1\r\nHost: a\nX-A: 1\r\n\r\n").read()
        wire.send("GET /headers  HTTP/1.1\r\nHost: a\r\n\r\n").read()
    name = "albatross_lb_dropped_invalid_header_request_count_total"
    assert lb.metric(name) == 0
    with lb.wire() as wire:
        wire.send("GET /headers HTTP/1.1\r\nHost: a\r\nX Odd: 1\r\nX-A: 1\r\n\r\n")
        assert [h for h in json.loads(wire.read().body) if h[0].startswith("X-A")][-1:]
    with lb.wire() as wire:
        wire.send("GET /headers HTTP/1.1\r\nHost: a\r\nContent_Length: 0\r\n\r\n")
        assert not [h for h in json.loads(wire.read().body) if "_" in h[0]]
    assert lb.metric(name) == 2


def test_c14_16_client_keep_alive_ends_the_connection_after_one_more_answer(
    start_lb, backends
):
    lb = start_lb(backends(), attributes={"client_keep_alive.seconds": "1"})
    with lb.wire() as wire:
        began = time.monotonic()
        assert wire.get().header("Connection") == "keep-alive"
        shared.wait_for(
            lambda: wire.get().header("Connection") == "close", what="the last answer"
        )
        assert time.monotonic() - began > 0.8
        assert wire.is_closed()


# ---- timeouts ----


def test_c14_15_idle_connection_is_closed_without_a_word(start_lb, backends):
    lb = start_lb(backends(), attributes={"idle_timeout.timeout_seconds": "1"})
    with lb.wire() as wire:
        wire.get()
        started = time.monotonic()
        assert wire.is_closed()
        assert 0.8 < time.monotonic() - started < 3 * shared.SLOW


def test_c14_15_head_that_trickles_is_408(start_lb, backends):
    lb = start_lb(backends(), attributes={"idle_timeout.timeout_seconds": "1"})
    with lb.wire() as wire:
        started = time.monotonic()
        wire.send("GET /")
        while not wire.has_answer(0.05):
            wire.send("a")
        answer = wire.read()
        assert answer.status == 408 and answer.header("Connection") == "close"
        assert time.monotonic() - started < 3 * shared.SLOW
        assert wire.is_closed()


def test_c14_15_body_that_stops_is_408(start_lb, backends):
    lb = start_lb(backends(), attributes={"idle_timeout.timeout_seconds": "1"})
    with lb.wire() as wire:
        wire.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        answer = wire.read()
        assert answer.status == 408
        assert b"408 Request Time-out" in answer.body
        assert wire.is_closed()


def test_c14_15_body_that_trickles_is_408(start_lb, backends):
    lb = start_lb(backends(), attributes={"idle_timeout.timeout_seconds": "1"})
    with lb.wire() as wire:
        wire.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            wire.send("x")
            if wire.has_answer(within=0.1):
                break
        assert wire.read().status == 408
        assert wire.is_closed()


def test_c14_15_target_that_is_slow_is_504(start_lb, backends):
    backend = backends()
    lb = start_lb(backend, attributes={"idle_timeout.timeout_seconds": "1"})
    with lb.wire() as wire:
        started = time.monotonic()
        answer = wire.get("/hold")
        assert answer.status == 504 and b"504 Gateway Time-out" in answer.body
        assert 0.8 < time.monotonic() - started < 3 * shared.SLOW
        assert wire.get("/").status == 200  # the client's connection goes on


class Script(Target):
    """A target that does as told, request by request: bytes to send, or None to hang up."""

    def __init__(self, *steps):
        self.steps, self.seen = list(steps), []
        super().__init__()

    def serve(self, connection):
        with connection, connection.makefile("rb") as file:
            while True:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = file.readline()
                    if not line:
                        return
                    head += line
                if b"ELB-HealthChecker" in head:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    continue
                self.seen.append(head.split(b" HTTP")[0].decode())
                length = [
                    x
                    for x in head.split(b"\r\n")
                    if x.lower().startswith(b"content-length:")
                ]
                if length:
                    file.read(int(length[0].split(b":")[1]))
                step = (
                    self.steps.pop(0)
                    if self.steps
                    else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                )
                if step is None:
                    return
                connection.sendall(step)


@pytest.fixture
def script():
    made = []

    def make(*steps):
        made.append(Script(*steps))
        return made[-1]

    yield make
    for target in made:
        target.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SLOW_PROBES = {"HealthCheckIntervalSeconds": 300, "HealthCheckTimeoutSeconds": 5}


def one_worker(start_lb, *targets, probed=None, **more):
    lb = start_lb(ready=False, settings={"Workers": 1}, **more)
    lb.document["TargetGroups"][0] |= {
        "Targets": [t.target for t in targets],
        **SLOW_PROBES,
    }
    if probed:
        lb.document["TargetGroups"][0]["HealthCheckPort"] = str(probed.port)
    return lb.start()


def test_get_on_a_stale_connection_is_sent_again_on_a_fresh_one(start_lb, script):
    target = script(OK, None, OK)
    lb = one_worker(start_lb, target)
    with lb.wire() as wire:
        assert wire.get("/1").status == 200
        assert wire.get("/2").body == b"ok"
    assert target.seen == ["GET /1", "GET /2", "GET /2"]
    assert lb.metric("albatross_lb_stale_connection_resend_count_total") == 1


def test_post_that_a_target_may_have_seen_is_not_sent_again(start_lb, script):
    target = script(OK, None, OK)
    lb = one_worker(start_lb, target)
    with lb.wire() as wire:
        assert wire.get("/1").status == 200
        assert wire.get("/2", "Content-Length: 0", method="POST").status == 502
    assert target.seen == ["GET /1", "POST /2"]


def test_request_is_sent_again_only_once(start_lb, script):
    target = script(OK, None, None, OK)
    lb = one_worker(start_lb, target)
    with lb.wire() as wire:
        assert wire.get("/1").status == 200
        assert wire.get("/2").status == 502
    assert target.seen == ["GET /1", "GET /2", "GET /2"]


def test_answer_that_broke_off_is_not_asked_for_again(start_lb, script):
    target = script(OK, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", OK)
    lb = one_worker(start_lb, target, attributes={"idle_timeout.timeout_seconds": "1"})
    with lb.wire() as wire:
        assert wire.get("/1").status == 200
        wire.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200 OK" in wire.read_head()
        with pytest.raises(OSError):
            assert wire.file.read(100) == b"", "the answer ended as if it were whole"
            raise ConnectionResetError
    assert target.seen == ["GET /1", "GET /2"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_connect_that_fails_is_tried_at_another_target(start_lb, script, method):
    class Refuses:
        target = {"Id": "127.0.0.1", "Port": shared.free_port()}

    good = script()
    lb = one_worker(start_lb, Refuses, good, probed=good)
    with lb.wire() as wire:
        for _ in range(4):
            assert wire.get("/", "Content-Length: 0", method=method).status == 200
    assert lb.metric("albatross_lb_other_target_tried_count_total") >= 1
    assert len(good.seen) == 4


def in_flight(lb):
    return lb.metric("albatross_lb_target_requests_in_flight")


def test_client_that_goes_away_frees_its_target_at_once(start_lb, backends, programs):
    backend = backends()
    log = programs.folder / "access.log"
    lb = start_lb(backend, settings={"AccessLog": str(log)})
    wire = lb.wire()
    wire.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
    assert backend.holding.acquire(timeout=20)
    assert in_flight(lb) == 1
    wire.close()
    shared.wait_for(
        lambda: in_flight(lb) == 0,
        what="the target to be free",
        timeout=2 * shared.SLOW,
    )
    shared.wait_for(lambda: " 460 - " in log.read_text(), what="the 460")


# ---- waiting for a target ----


def holding(start_lb, seconds="5"):
    lb = start_lb(ready=False)
    lb.document["TargetGroups"][0]["Attributes"] = {
        "routing.http.hold_seconds": seconds
    }
    return lb.start()


def test_request_waits_for_the_first_target_where_asked(start_lb, backends):
    lb = holding(start_lb, "20")
    backend = backends()
    with lb.wire() as wire:
        wire.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
        shared.wait_for(
            lambda: lb.metric("albatross_lb_held_request_count") == 1, what="the wait"
        )
        lb.client().register_targets(
            TargetGroupArn=lb.group_arn(), Targets=[backend.target]
        )
        assert wire.read().status == 200
    assert backend.requests == ["GET /late"]


def test_request_that_waited_in_vain_is_503(start_lb):
    lb = holding(start_lb, "1")
    with lb.wire() as wire:
        started = time.monotonic()
        assert wire.get().status == 503
        assert 0.9 < time.monotonic() - started < 4 * shared.SLOW


def test_client_that_leaves_while_it_waits_is_forgotten(start_lb, backends):
    lb = holding(start_lb, "20")
    with lb.wire() as wire:
        wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        shared.wait_for(
            lambda: lb.metric("albatross_lb_held_request_count") == 1, what="the wait"
        )
    shared.wait_for(
        lambda: lb.metric("albatross_lb_client_abort_count") == 1, what="the end"
    )
    backend = backends()
    lb.client().register_targets(
        TargetGroupArn=lb.group_arn(), Targets=[backend.target]
    )
    shared.wait_for(lambda: lb.status() == 200, what="the target")
    assert backend.requests == ["GET /"]


def test_nothing_waits_unless_asked(start_lb):
    lb = start_lb()
    started = time.monotonic()
    assert lb.status() == 503
    assert time.monotonic() - started < 1 * shared.SLOW
