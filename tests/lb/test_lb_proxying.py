"""Requests through the load balancer, byte by byte."""

import json
import threading

import pytest

import conftest as shared
from lb_fixtures import backends, start_lb  # noqa: F401 (fixtures)
from lb_helpers import digest, fixed, group, forward, pattern, rule


def test_connection_is_kept_for_the_next_request(start_lb, backends):
    lb = start_lb(backends())
    with lb.wire() as wire:
        for _ in range(5):
            assert wire.get().body == b"b0"


def test_http_1_0_ends_unless_asked_to_stay(start_lb, backends):
    lb = start_lb(backends())
    with lb.wire() as wire:
        assert wire.get(version="1.0").status == 200
        assert wire.is_closed()
    with lb.wire() as wire:
        answer = wire.get("/", "Connection: keep-alive", version="1.0")
        assert answer.header("Connection").lower() == "keep-alive"
        assert wire.get("/", "Connection: keep-alive", version="1.0").status == 200


def test_connection_close_is_honoured(start_lb, backends):
    lb = start_lb(backends())
    with lb.wire() as wire:
        assert wire.get("/", "Connection: close").header("Connection") == "close"
        assert wire.is_closed()


def test_pipelined_requests_are_answered_in_order(start_lb, backends):
    lb = start_lb(backends())
    with lb.wire() as wire:
        for n in (1, 200_000, 3, 40):
            wire.send(f"GET /big/{n} HTTP/1.1\r\nHost: a\r\n\r\n")
        assert [len(wire.read().body) for _ in range(4)] == [1, 200_000, 3, 40]


def test_requests_take_turns_among_the_targets(start_lb, backends):
    two = backends(2)
    lb = start_lb(*two, settings={"Workers": 1})
    lb.wait_health({b: "healthy" for b in two})
    seen = [lb.get() for _ in range(6)]
    assert seen.count("b0") == seen.count("b1") == 3


@pytest.mark.parametrize("n", [0, 1, 5000, 3_000_000])
def test_body_with_a_length_goes_both_ways_unchanged(start_lb, backends, n):
    lb = start_lb(backends())
    body = pattern(n)
    with lb.wire() as wire:
        wire.send(f"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n\r\n")
        sender = threading.Thread(target=wire.send, args=(body,))
        sender.start()
        answer = wire.read()
        sender.join()
        assert answer.header("X-Sha256") == digest(body) == digest(answer.body)


@pytest.mark.parametrize("size", [1, 997, 70_000])
def test_chunked_request_arrives_whole(start_lb, backends, size):
    lb = start_lb(backends())
    body = pattern(size * 5)
    with lb.wire() as wire:
        wire.send(
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for i in range(0, len(body), size):
            wire.send(b"%x;ext=1\r\n%s\r\n" % (size, body[i : i + size]))
        wire.send("0\r\n\r\n")
        answer = wire.read()
        assert answer.header("X-Sha256") == digest(body)
        assert answer.header("X-Framing").lower() == "transfer-encoding=chunked"
        assert wire.get().status == 200


def test_chunked_answer_arrives_whole(start_lb, backends):
    lb = start_lb(backends())
    with lb.wire() as wire:
        answer = wire.get("/chunked/500000")
        assert answer.header("Transfer-Encoding") == "chunked"
        assert answer.body == pattern(500_000)
        assert wire.get().body == b"b0"


def test_chunked_answer_to_http_1_0_ends_with_the_connection(start_lb, backends):
    lb = start_lb(backends())
    with lb.wire() as wire:
        answer = wire.get("/chunked/5000", version="1.0")
        assert answer.header("Transfer-Encoding") is None
        assert answer.body == pattern(5000)


def test_reader_that_waits_holds_up_nobody_and_gets_all(start_lb, backends):
    backend = backends()
    lb = start_lb(backend, settings={"Workers": 1})
    with lb.wire() as wire:
        wire.send("GET /big/20000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        shared.wait_for(lambda: backend.requests, what="the request")
        assert [lb.get() for _ in range(20)] == ["b0"] * 20
        assert digest(wire.read().body) == digest(pattern(20_000_000))


def test_head_has_a_length_and_no_body(start_lb, backends):
    lb = start_lb(backends())
    with lb.wire() as wire:
        answer = wire.get("/big/1234", method="HEAD")
        assert answer.header("Content-Length") == "1234"
        assert wire.get().body == b"b0"


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_body_keep_the_connection(start_lb, backends, status):
    lb = start_lb(backends())
    with lb.wire() as wire:
        assert wire.get(f"/status/{status}").status == status


def test_expectation_is_met_at_once_and_not_passed_on(start_lb, backends):
    lb = start_lb(backends())
    with lb.wire() as wire:
        wire.send(
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
        assert wire.read().status == 100
        answer = wire.send("12345").read()
        assert answer.body == b"12345"
        assert "expect" not in answer.header("X-Framing").lower()


def received(lb, *headers, port=None):
    with lb.wire() as wire:
        return [
            (k.lower(), v) for k, v in json.loads(wire.get("/headers", *headers).body)
        ]


def test_forwarding_headers_say_who_asked(start_lb, backends):
    lb = start_lb(backends())
    headers = dict(received(lb))
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-port"] == str(lb.port)
    assert headers["x-amzn-trace-id"].startswith("Root=1-")


def test_forwarded_for_grows_and_the_others_are_replaced(start_lb, backends):
    lb = start_lb(backends())
    headers = received(
        lb,
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Port: 1",
    )
    assert [v for k, v in headers if k == "x-forwarded-for"] == ["192.0.2.1, 127.0.0.1"]
    assert [v for k, v in headers if k == "x-forwarded-proto"] == ["http"]
    assert [v for k, v in headers if k == "x-forwarded-port"] == [str(lb.port)]


@pytest.mark.parametrize(
    "mode, expected", [("preserve", "192.0.2.1"), ("remove", None)]
)
def test_forwarded_for_follows_the_attribute(start_lb, backends, mode, expected):
    attributes = {"routing.http.xff_header_processing.mode": mode}
    lb = start_lb(backends(), attributes=attributes)
    headers = dict(received(lb, "X-Forwarded-For: 192.0.2.1"))
    assert headers.get("x-forwarded-for") == expected


def test_host_gets_the_port_unless_preserved(start_lb, backends):
    lb = start_lb(backends())
    assert dict(received(lb))["host"] == f"a.example:{lb.port}"


def test_host_is_preserved_where_asked(start_lb, backends):
    attributes = {"routing.http.preserve_host_header.enabled": "true"}
    lb = start_lb(backends(), attributes=attributes)
    assert dict(received(lb))["host"] == "a.example"


def test_hop_by_hop_headers_stay_on_their_hop(start_lb, backends):
    lb = start_lb(backends())
    headers = dict(
        received(
            lb, "Connection: keep-alive, X-Mine", "X-Mine: 1", "Keep-Alive: timeout=5"
        )
    )
    assert "x-mine" not in headers and "keep-alive" not in headers


def test_rules_are_tried_in_order_of_priority(start_lb, backends):
    web, api = backends(2)
    lb = start_lb(
        web,
        groups=[group("api", api)],
        rules=[
            rule(20, "/api/*", forward("api")),
            rule(10, "/api/down", fixed(503, "later")),
        ],
    )
    assert lb.get("/") == "b0"
    assert lb.get("/api/x") == "b1"
    assert lb.status("/api/down") == 503


def test_no_targets_is_503(start_lb):
    lb = start_lb()
    with lb.wire() as wire:
        answer = wire.get()
        assert answer.line == "HTTP/1.1 503 Service Temporarily Unavailable"
        assert answer.header("Server") == "awselb/2.0"
        assert len(answer.body) == 162
        assert wire.get().status == 503


@pytest.mark.parametrize("path", ["/close", "/garbage"])
def test_target_that_breaks_off_is_502(start_lb, backends, path):
    lb = start_lb(backends())
    with lb.wire() as wire:
        answer = wire.get(path)
        assert (answer.status, len(answer.body)) == (502, 122)
        assert wire.get().status == 200


def test_target_that_refuses_is_502(start_lb, backends):
    gone = backends()
    lb = start_lb(gone)
    lb.wait_health({gone: "healthy"})
    gone.stop()
    assert lb.status() == 502


def test_target_that_does_not_answer_is_504(start_lb, backends):
    backend = backends()
    lb = start_lb(backend, attributes={"idle_timeout.timeout_seconds": "1"})
    assert lb.status("/hold") == 504


def test_kept_connection_that_the_target_closed_is_not_the_client_s_trouble(
    start_lb, backends
):
    backend = backends()
    lb = start_lb(backend, settings={"Workers": 1})
    for _ in range(20):
        with lb.wire() as wire:
            assert wire.get().status == 200
            assert wire.get("/close").status == 502
            assert wire.get().status == 200


def test_unhealthy_target_gets_nothing_until_it_recovers(start_lb, backends):
    good, bad = backends(2)
    lb = start_lb(good, bad)
    lb.wait_health({good: "healthy", bad: "healthy"})
    bad.health = 500
    lb.wait_health({good: "healthy", bad: "unhealthy"})
    assert {lb.get() for _ in range(8)} == {"b0"}
    reason = lb.health()[bad.port][1]
    assert reason == "Target.ResponseCodeMismatch"
    bad.health = 200
    lb.wait_health({good: "healthy", bad: "healthy"})
    assert {lb.get() for _ in range(16)} == {"b0", "b1"}


def test_all_unhealthy_serves_all(start_lb, backends):
    backend = backends()
    backend.health = 500
    lb = start_lb(backend)
    lb.wait_health({backend: "unhealthy"})
    assert lb.get() == "b0"


def test_c14_13_probe_says_what_it_is(start_lb, backends):
    backend = backends()
    lb = start_lb(backend)
    lb.wait_health({backend: "healthy"})
    headers = dict(backend.probes[0])
    assert headers["User-Agent"] == "ELB-HealthChecker/2.0"
    assert headers["Host"] == f"127.0.0.1:{backend.port}"
    assert headers["Connection"] == "close"
    assert "X-Forwarded-For" not in headers and "Accept" not in headers


def test_numbers_add_up(start_lb, backends):
    backend = backends()
    lb = start_lb(backend)
    for _ in range(7):
        lb.get()
    lb.status("/status/404")
    assert lb.metric("albatross_lb_request_count_total") == 8
    assert lb.metric("albatross_lb_http_code_target_2xx_count_total") == 7
    assert lb.metric("albatross_lb_http_code_target_4xx_count_total") == 1
    assert lb.metric("albatross_lb_target_response_time_seconds_count") == 8
    assert shared.http_get(lb.api + "/healthz") == "ok\n"
