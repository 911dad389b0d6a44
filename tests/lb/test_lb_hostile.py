"""Bodies cut where a connection breaks, answers that must be empty, clients that do not wait at all."""

import contextlib
import socket
import struct
import threading

import conftest as shared
from lb_fixtures import start_lb  # noqa: F401 (fixture)
from lb_helpers import fixed, rule
from raw_target import OK, RawTarget


class Breaker(RawTarget):
    """The connection that brought /first is reset by the next request, when the test says so."""

    def __init__(self):
        self.came, self.go = threading.Event(), threading.Event()
        super().__init__()

    def talk(self, connection):
        first = connection.recv(65536)
        if not first.startswith(b"GET /first"):
            return self.talk_on(connection, first)
        connection.sendall(OK)
        self.connections.append(bytearray(connection.recv(65536)))
        self.came.set()
        self.go.wait(20 * shared.SLOW)
        connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )

    def talk_on(self, connection, data):
        if b"ELB-HealthChecker" not in data:
            self.connections.append(bytearray(data))
        connection.sendall(OK)


def broken_put(start_lb, *pieces):
    """The status of a PUT in pieces; after the first its pooled connection has got that, after the
    second it breaks."""
    with Breaker() as target:
        lb = start_lb(target, settings={"Workers": 1})
        lb.wait_health({target: "healthy"})
        with lb.wire() as wire:
            # Nagle would keep the second piece back until the first is acknowledged.
            wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            assert wire.get("/first").status == 200
            wire.send(
                "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                + pieces[0]
            )
            assert target.came.wait(20 * shared.SLOW)
            if pieces[1]:
                wire.send(pieces[1])
                # It is read when a request that came later was answered.
                with lb.wire() as other:
                    assert other.get("/other").status == 200
            target.go.set()
            if pieces[2]:
                resends = "albatross_lb_stale_connection_resend_count_total"
                shared.wait_for(
                    lambda: wire.has_answer(0) or lb.metric(resends), what="the break"
                )
                with contextlib.suppress(OSError):  # it may be closed by now
                    wire.send(pieces[2])
            status = wire.read().status
        seen = [bytes(c).partition(b"\r\n\r\n")[2] for c in target.connections]
        return status, seen


def test_request_whose_first_chunk_is_forgotten_is_not_sent_again(start_lb):
    status, seen = broken_put(start_lb, "5\r\nhello\r\n", "5\r\n", "world\r\n0\r\n\r\n")
    assert status == 502
    assert not any(b"world" in body for body in seen)


def test_request_whose_body_is_still_there_is_sent_again(start_lb):
    status, seen = broken_put(start_lb, "5\r\nhello\r\n0\r\n\r\n", "", "")
    assert status == 200
    assert seen == [b"5\r\nhello\r\n0\r\n\r\n"] * 2


def test_fixed_response_204_has_nothing_after_its_head(start_lb):
    rules = [rule(1, "/none", fixed(204, "surprise"))]
    with RawTarget() as target:
        lb = start_lb(target, rules=rules)
        lb.wait_health({target: "healthy"})
        with lb.wire() as wire:
            answer = wire.get("/none")
            assert answer.status == 204
            assert answer.header("Content-Length") is None
            assert wire.get("/next").body == b"ok"


def test_client_that_leaves_right_after_its_request_frees_the_target(start_lb):
    go = threading.Event()

    def never(_):
        go.wait(60 * shared.SLOW)
        return OK

    with RawTarget(never) as target:
        lb = start_lb(target, settings={"Workers": 1})
        lb.wait_health({target: "healthy"})
        for _ in range(20):  # the hang-up comes along with the request, mostly
            with lb.wire() as wire:
                wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        shared.wait_for(
            lambda: lb.metric("albatross_lb_request_count_total") == 20
            and lb.metric("albatross_lb_target_requests_in_flight") == 0,
            what="nothing in flight",
        )
        go.set()
