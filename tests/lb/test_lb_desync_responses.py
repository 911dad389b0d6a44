"""Hostile and odd targets: what a client sees of them, and that their connections are not used again."""

import signal
import socket
import time

import pytest

import conftest as shared
from lb_fixtures import backends, start_lb  # noqa: F401 (fixtures)
from lb_helpers import pattern
from raw_target import OK, RawTarget

HEAD = b"HTTP/1.1 200 OK\r\n"

# What cannot be understood in one way only never reaches the client.
REFUSED = {
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "one length twice": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "list of lengths": HEAD + b"Content-Length: 2, 2\r\n\r\nab",
    "signed length": HEAD + b"Content-Length: +2\r\n\r\nab",
    "length and chunked": HEAD
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "coding after chunked": HEAD
    + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "bare CR in a value": HEAD + b"X: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": HEAD + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "folded header": HEAD + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "space before the colon": HEAD + b"Content-Length : 2\r\n\r\nab",
    "line without colon": HEAD + b"nonsense\r\nContent-Length: 0\r\n\r\n",
    "empty name": HEAD + b": x\r\nContent-Length: 0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare LF in the middle": HEAD + b"X: a\nContent-Length: 0\r\n\r\n",
    "no HTTP": b"220 mail.example ESMTP\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "status below 100": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "status of letters": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "control byte in the reason": b"HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n",
    "bare CR in the reason": b"HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n",
    "version 2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "another protocol": b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a switch nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "flood of interim answers": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000 + OK,
    "head too large": HEAD + b"X: " + b"a" * 15000 + b"\r\n" + b"Y: b\r\n" * 6000,
    "line too long": HEAD + b"X: " + b"a" * 20000 + b"\r\n\r\n",
    "endless head": [HEAD] + [b"X: " + b"a" * 10000 + b"\r\n"] * 300,
    "chunk without size": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "half a head": [HEAD + b"Content-Le", None],
    "nothing": [None],
}


def test_answers_that_can_be_read_in_two_ways_become_502(start_lb):
    wanted = iter(())
    with RawTarget(lambda request: next(wanted)) as target:
        lb = start_lb(target, settings={"Workers": 1})
        lb.wait_health({target: "healthy"})
        wrong = []
        for name, answer in REFUSED.items():
            wanted = iter([answer, OK])
            with lb.wire() as wire:
                got = wire.get("/", method="POST")
                if got.status != 502 or got.header("Server") != "awselb/2.0":
                    wrong.append(f"{name}: {got.line}")
                if wire.get("/after", method="POST").body != b"ok":
                    wrong.append(f"{name}: the next one fared badly")
        assert not wrong, "\n".join(wrong)
        # A connection whose answer was refused has had its last request.
        assert all(len(c.split(b"POST ")) <= 3 for c in target.connections)


# The head is gone already: the client must see that the rest is missing.
CUT = {
    "bad chunk size": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"
    + b"x" * 70000,
    "chunk longer than said": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
    "closed in a chunked body": [
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        None,
    ],
    "closed in a body": [HEAD + b"Content-Length: 10\r\n\r\nhello", None],
}


@pytest.mark.parametrize("name", CUT)
def test_answer_that_breaks_off_is_cut_for_the_client_too(start_lb, name):
    with RawTarget(lambda request: CUT[name]) as target:
        lb = start_lb(target)
        with lb.wire() as wire:
            try:
                answer = wire.get()
                whole = answer.status == 200 and not answer.body.endswith(b"lo")
            except (OSError, ValueError):
                whole = False
            assert not whole


# Bytes after the answer belong to nobody.
SURPLUS = {
    "length": HEAD + b"Content-Length: 2\r\n\r\nok",
    "chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", SURPLUS)
def test_connection_with_bytes_after_the_answer_is_not_used_again(start_lb, name):
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    with RawTarget(lambda request: SURPLUS[name] + forged) as target:
        lb = start_lb(target, settings={"Workers": 1})
        with lb.wire() as wire:
            assert [wire.get(f"/{i}").body for i in range(5)] == [b"ok"] * 5
        assert len(target.connections) == 5


def test_answer_of_http_1_0_with_chunks_is_passed_on_but_not_trusted(start_lb):
    odd = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    with RawTarget(lambda request: odd) as target:
        lb = start_lb(target, settings={"Workers": 1})
        with lb.wire() as wire:
            assert [wire.get().body for _ in range(3)] == [b"ok"] * 3
        assert len(target.connections) == 3


def test_target_that_speaks_first_and_hangs_up_is_heard(start_lb):
    """No other event comes after the one of its connection."""
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy"
    with RawTarget(banner=busy) as target:
        lb = start_lb(target)
        before = time.monotonic()
        for _ in range(10):
            assert lb.status() in (502, 503)
        assert time.monotonic() - before < 10


def is_taken(lb, wire, n):
    """Asks for n bytes, reads none: does the load balancer get rid of them all?"""
    flying = lambda: lb.metric("albatross_lb_target_requests_in_flight{")
    wire.send(f"GET /big/{n} HTTP/1.1\r\nHost: a\r\n\r\n")
    assert wire.has_answer(20 * shared.SLOW)
    try:
        return shared.wait_for(lambda: not flying(), timeout=0.4, what="the end")
    except AssertionError:
        wire.close()
        shared.wait_for(lambda: not flying(), what="the target to be free")
        return False


def test_slow_reader_gets_all_though_the_load_balancer_ends(start_lb, backends):
    """The end of the answer waits in our memory, the exchange is over: draining must not drop it."""
    lb = start_lb(backends(), settings={"Workers": 1})
    idle = lb.wire()
    idle.get()
    # The longest answer that goes without being read fills the kernel's memory, and then ours.
    least, most, best = 0, 12_000_000, None
    while most - least > 12_000:
        n, wire = (least + most) // 2, lb.wire()
        if is_taken(lb, wire, n):
            least, best = n, wire
        else:
            most = n
    lb.program.send(signal.SIGTERM)
    assert idle.is_closed(), "the worker drains"
    assert best.read().body == pattern(least)


def test_c14_14_answer_that_outlives_the_deregistration_delay_is_502(
    start_lb, backends
):
    leaving, staying = backends(2)
    lb = start_lb(leaving, staying)
    elb, arn = lb.client(), lb.group_arn()
    elb.modify_target_group_attributes(
        TargetGroupArn=arn,
        Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "1"}],
    )
    elb.deregister_targets(TargetGroupArn=arn, Targets=[staying.target])
    with lb.wire() as wire:
        wire.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        assert leaving.holding.acquire(timeout=20 * shared.SLOW)
        elb.register_targets(TargetGroupArn=arn, Targets=[staying.target])
        elb.deregister_targets(TargetGroupArn=arn, Targets=[leaving.target])
        before = time.monotonic()
        assert wire.read().status == 502
        assert time.monotonic() - before > 0.5
        assert wire.get().body == b"b1"
    shared.wait_for(lambda: leaving.port not in lb.health(), what="the end of draining")
