"""Rows of the checklist (docs/load-balancer.md) that no other file holds: what is not there yet is
refused cleanly, trailers, and connections and listeners that end."""

import json
import socket
import ssl
import threading

import botocore.exceptions
import pytest

import conftest as shared
from lb_fixtures import backends, start_lb  # noqa: F401 (fixtures)
from lb_helpers import Wire, fixed, forward, pattern
from raw_target import RawTarget

# ---- not there yet, and refused cleanly ----

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


def test_c14_17_websocket_client_gets_the_targets_ordinary_answer(start_lb, backends):
    lb = start_lb(backends())
    with lb.wire() as wire:
        answer = wire.get("/headers", *UPGRADE)
        assert answer.status == 200 and answer.header("Upgrade") is None
        names = {name.lower() for name, _ in json.loads(answer.body)}
        assert not names & {"upgrade", "connection"}
        assert wire.get("/").status == 200  # it stays an HTTP connection


def test_c14_17_what_follows_an_upgrade_is_read_as_http(start_lb):
    with RawTarget() as target:
        lb = start_lb(target)
        lb.wait_health({target: "healthy"})
        with lb.wire() as wire:
            assert wire.get("/", *UPGRADE).status == 200
            wire.send(b"\x81\x85\x01\x02\x03\x04hello\r\n\r\n")
            assert wire.read().status == 400 and wire.is_closed()
        assert [line for line, _ in target.requests()] == ["GET / HTTP/1.1"]


def test_c14_17_target_that_switches_protocols_unasked_is_502(start_lb):
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    with RawTarget(lambda request: switch) as target:
        lb = start_lb(target)
        lb.wait_health({target: "healthy"})
        with lb.wire() as wire:
            assert wire.get("/", *UPGRADE).status == 502


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")


def test_c14_18_http2_without_tls_is_505(start_lb, backends):
    """An HTTP/2 preface on an HTTP/1 connection."""
    backend = backends()
    lb = start_lb(backend)
    with lb.wire() as wire:
        answer = wire.send(PREFACE).read()
        assert (answer.status, answer.header("Connection")) == (505, "close")
        assert wire.is_closed()
    assert backend.requests == []


def test_c14_18_upgrade_to_h2c_is_not_heard(start_lb, backends):
    lb = start_lb(backends())
    with lb.wire() as wire:
        answer = wire.get(
            "/headers",
            "Connection: Upgrade, HTTP2-Settings",
            "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABkAAQAAP__",
        )
    assert answer.status == 200 and answer.line.startswith("HTTP/1.1")
    names = {name.lower() for name, _ in json.loads(answer.body)}
    assert not names & {"upgrade", "http2-settings"}


@pytest.mark.parametrize("version", ["HTTP2", "GRPC"])
def test_c14_18_groups_of_http2_and_grpc_are_refused(start_lb, version):
    lb = start_lb()
    with pytest.raises(botocore.exceptions.ClientError, match="not supported"):
        lb.client().create_target_group(
            Name="two", Protocol="HTTP", Port=80, ProtocolVersion=version
        )


def test_c14_19_tls_on_an_http_port_is_400_and_closed(start_lb, backends, programs):
    log = programs.folder / "access.log"
    backend = backends()
    lb = start_lb(backend, settings={"AccessLog": str(log)})
    context = ssl.create_default_context()
    with socket.create_connection(("127.0.0.1", lb.port), 20) as plain:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname="a.example")
    shared.wait_for(lambda: " 400 - 0 272 " in log.read_text(), what="the line")
    hello = bytes.fromhex("16030100050100000100")
    with lb.wire() as wire:
        assert wire.send(hello + b"\r\n\r\n").read().status == 400
        assert wire.is_closed()
    assert backend.requests == []


def test_c14_19_https_listeners_are_refused(start_lb, backends):
    lb = start_lb(backends())
    client = lb.client()
    arn = client.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
    with pytest.raises(botocore.exceptions.ClientError, match="not supported"):
        client.create_listener(
            LoadBalancerArn=arn,
            Protocol="HTTPS",
            Port=shared.free_port(),
            DefaultActions=[
                {"Type": "forward", "TargetGroupArn": lb.group_arn()},
            ],
        )


# ---- fixed responses ----


def fixed_response(**config):
    return [{"Type": "fixed-response", "FixedResponseConfig": config}]


def test_c14_8_fixed_responses_are_held_to_their_limits(start_lb):
    lb = start_lb(actions=fixed(404))
    client = lb.client()
    balancer = client.describe_load_balancers()["LoadBalancers"][0]
    listener = client.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])[
        "Listeners"
    ][0]["ListenerArn"]

    def modify(**config):
        client.modify_listener(
            ListenerArn=listener, DefaultActions=fixed_response(**config)
        )

    for bad in (
        {"StatusCode": "301"},
        {"StatusCode": "600"},
        {"StatusCode": "20"},
        {"StatusCode": "200", "MessageBody": "x" * 1025},
        {"StatusCode": "200", "ContentType": "image/png"},
    ):
        with pytest.raises(botocore.exceptions.ClientError):
            modify(**bad)
    with lb.wire() as wire:
        assert wire.get().status == 404
        modify(StatusCode="599", ContentType="text/css", MessageBody="x" * 1024)
        answer = shared.wait_for(
            lambda: (a := wire.get()).status == 599 and a, what="the change"
        )
        assert (answer.header("Content-Type"), answer.body) == (
            "text/css",
            b"x" * 1024,
        )
        modify(StatusCode="200")
        answer = shared.wait_for(
            lambda: (a := wire.get()).status == 200 and a, what="the change"
        )
        assert (answer.header("Content-Length"), answer.body) == ("0", b"")
        assert answer.header("Content-Type") == "text/plain; charset=utf-8"


# ---- trailers: of one hop ----


def test_trailers_end_at_the_load_balancer_both_ways(start_lb):
    """RFC 9110 6.5.1: whoever passes a message on may drop them; what they mean differs by reader."""
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"3\r\nabc\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n"
    )
    with RawTarget(lambda request: answer) as target:
        lb = start_lb(target)
        lb.wait_health({target: "healthy"})
        with lb.wire() as wire:
            wire.send(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n"
                "TE: trailers\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 2\r\nHost: b\r\n\r\n"
            )
            got = wire.read()
            assert (got.body, got.header("Trailer")) == (b"abc", None)
            assert wire.get("/again").body == b"abc"  # nothing was left on the way
        requests = [request for _, request in target.requests()]
    assert len(requests) == 2
    assert b"X-Sum" not in requests[0] and b"Host: b" not in requests[0]
    assert requests[0].endswith(b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")


# ---- connections that end ----


def test_what_follows_connection_close_is_not_a_request(start_lb, backends, programs):
    log = programs.folder / "access.log"
    backend = backends()
    lb = start_lb(backend, settings={"AccessLog": str(log), "Workers": 1})
    with lb.wire() as wire:
        first = "GET /one HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        wire.send(first + "GET /two HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.read().header("Connection") == "close"
        assert wire.is_closed()
    assert lb.get("/three") == backend.name
    assert backend.requests == ["GET /one", "GET /three"]
    lines = shared.wait_for(
        lambda: "/three " in (text := log.read_text()) and text.splitlines(),
        what="the log",
    )
    assert len(lines) == 2


def test_answer_before_the_close_arrives_whole_whatever_the_client_still_sends(
    start_lb, backends
):
    """Bytes that nobody reads make the kernel reset the connection, and drop what is not sent."""
    lb = start_lb(backends())
    n = 3_000_000
    with lb.wire() as wire:
        wire.send(f"GET /big/{n} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        wire.send("x" * 5000)
        assert wire.read().body == pattern(n)
        assert wire.is_closed()


def test_connection_that_the_target_wants_closed_is_not_used_again(start_lb):
    bye = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    with RawTarget(lambda request: bye) as target:
        lb = start_lb(target, settings={"Workers": 1})
        lb.wait_health({target: "healthy"})
        with lb.wire() as wire:
            for _ in range(3):
                answer = wire.get()
                assert answer.status == 200
                assert answer.header("Connection") == "keep-alive"
        assert len(target.connections) == 3


class Callers:
    """Open connection after connection to a port, each with one request."""

    def __init__(self, port, n):
        self.port = port
        self.is_over = threading.Event()
        self.statuses, self.refused = [], 0
        self.threads = [threading.Thread(target=self.run) for _ in range(n)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def run(self):
        while not self.is_over.is_set():
            try:
                with Wire(self.port, timeout=20 * shared.SLOW) as wire:
                    self.statuses.append(wire.get("/", "Connection: close").status)
            except OSError:
                self.refused += 1


def test_listener_dropped_while_it_accepts_leaves_the_others_alone(start_lb, backends):
    """Connections that were accepted a moment before the listener goes are the dangerous ones."""
    lb = start_lb(backends(), settings={"Workers": 4})
    listeners = lb.document["LoadBalancers"][0]["Listeners"]
    passing = {
        "Protocol": "HTTP",
        "Port": shared.free_port(),
        "DefaultActions": forward("web"),
        "Rules": [],
    }
    with Callers(lb.port, 1) as steady, Callers(passing["Port"], 4) as callers:
        for _ in range(15):
            lb.document["LoadBalancers"][0]["Listeners"] = [*listeners, passing]
            assert " reload file=" in lb.reload(lb.document)
            before = len(callers.statuses)
            shared.wait_for(
                lambda: len(callers.statuses) > before + 4, what="it accepts"
            )
            lb.document["LoadBalancers"][0]["Listeners"] = listeners
            assert " reload file=" in lb.reload(lb.document)
            before = callers.refused
            shared.wait_for(lambda: callers.refused > before, what="it is closed")
    assert steady.refused == 0 and set(steady.statuses) == {200}
    assert set(callers.statuses) == {200}


def test_c14_7_a_file_with_a_redirect_loop_is_refused(start_lb, programs):
    lb = start_lb(ready=False, actions=fixed(404))
    listener = lb.document["LoadBalancers"][0]["Listeners"][0]
    config = {"StatusCode": "HTTP_302", "Port": str(listener["Port"]), "Query": "x=1"}
    listener["DefaultActions"] = [{"Type": "redirect", "RedirectConfig": config}]
    for more in ((), ("-t",)):
        path = programs.config(lb.document)
        status, output = programs.run("albatross-lb", *more, "-c", path)
        assert status == 1
        assert "LoadBalancers[0].Listeners[0]" in output and "a loop" in output
