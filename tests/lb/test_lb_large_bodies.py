"""Bodies that go through a pipe in the kernel: whole, or seen to be broken, and nothing left behind."""

import os
import re

import pytest

import conftest as shared
from lb_fixtures import backends, start_lb  # noqa: F401 (fixtures)
from lb_helpers import digest, pattern
from raw_target import RawTarget

ONE = {"Workers": 1}
MB = 1 << 20
# Around the least that a pipe is worth, with and without what comes with the head, and around a pipe's size.
SIZES = [
    65535,
    65536,
    65537,
    65536 + 16384,
    100_000,
    MB - 1,
    MB,
    MB + 16384,
    5 * MB + 3,
]


def answer(body, length=None):
    n = len(body) if length is None else length
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (n, body)


def upload(body, path="/echo"):
    head = f"POST {path} HTTP/1.1\r\nHost: a.example\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def sockets(lb):
    """How many sockets the program has open; workers have descriptors of their own."""
    tasks = f"/proc/{lb.program.process.pid}/task"
    return len(
        {
            name
            for task in os.listdir(tasks)
            for name in links(f"{tasks}/{task}/fd")
            if name.startswith("socket:")
        }
    )


def links(folder):
    for name in os.listdir(folder):
        try:
            yield os.readlink(f"{folder}/{name}")
        except FileNotFoundError:  # closed meanwhile
            pass


def test_answers_of_any_size_arrive_whole_over_one_connection(start_lb):
    bodies = iter([pattern(n) for n in SIZES] + [b"small"] * len(SIZES))
    with RawTarget(lambda _: answer(next(bodies))) as target:
        lb = start_lb(target, settings=ONE)
        with lb.wire() as wire:
            for n in SIZES:
                assert digest(wire.get("/").body) == digest(pattern(n)), n
            assert wire.get("/").body == b"small"
        assert len(target.connections) == 1


def test_uploads_of_any_size_arrive_whole_over_one_connection(start_lb):
    seen = []

    def take(request):
        seen.append(digest(request.partition(b"\r\n\r\n")[2]))
        return answer(b"ok")

    with RawTarget(take) as target:
        lb = start_lb(target, settings=ONE)
        with lb.wire() as wire:
            for n in SIZES:
                assert wire.send(upload(pattern(n))).read().body == b"ok"
        assert seen == [digest(pattern(n)) for n in SIZES]
        assert len(target.connections) == 1


def test_request_right_behind_a_large_upload_is_answered(start_lb, backends):
    lb = start_lb(backends(), settings=ONE)
    body = pattern(2 * MB)
    with lb.wire() as wire:
        wire.send(upload(body) + b"GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n")
        assert digest(wire.read().body) == digest(body)
        assert wire.read().body == b"b0"


def test_bytes_behind_a_large_answer_are_nobodys(start_lb):
    body = pattern(MB)
    with RawTarget(
        lambda _: answer(body + b"HTTP/1.1 200 Forged\r\n\r\n", MB)
    ) as target:
        lb = start_lb(target, settings=ONE)
        with lb.wire() as wire:
            for _ in range(2):
                first = wire.get("/")
                assert (first.line, digest(first.body)) == (
                    "HTTP/1.1 200 OK",
                    digest(body),
                )
        assert len(target.connections) == 2


@pytest.mark.parametrize("sent", [16, 300_000, 2 * MB])
def test_target_that_dies_in_a_large_body_breaks_the_clients_connection(start_lb, sent):
    with RawTarget(lambda _: [answer(pattern(sent), 3 * MB), None]) as target:
        lb = start_lb(target, settings=ONE)
        with lb.wire() as wire:
            wire.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            try:
                got = wire.read().body
            except ConnectionError:
                got = b""
            assert got == pattern(sent)[: len(got)]
            assert len(got) < 3 * MB
            assert wire.is_closed()
        with lb.wire() as wire:
            assert wire.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").read_head()


def test_client_that_dies_in_a_large_body_leaves_nothing_behind(start_lb, backends):
    lb = start_lb(backends(), settings=ONE)
    assert lb.status("/big/200000") == 200
    before = sockets(lb)
    for i in range(12):
        wire = lb.wire()
        if i % 2:
            wire.send(f"GET /big/{8 * MB} HTTP/1.1\r\nHost: a.example\r\n\r\n")
            wire.socket.recv(100_000)
        else:
            wire.send(upload(pattern(8 * MB))[: 3 * MB])
        wire.close()
    shared.wait_for(lambda: sockets(lb) <= before, what="sockets to be closed")
    with lb.wire() as wire:
        for _ in range(5):  # a pipe with a dead client's bytes in it would show
            assert digest(wire.get(f"/big/{5 * MB}").body) == digest(pattern(5 * MB))


def test_slow_reader_holds_up_nobody_and_gets_all(start_lb, backends):
    lb = start_lb(backends(), settings=ONE)
    with lb.wire() as slow, lb.wire() as other:
        slow.send(f"GET /big/{6 * MB} HTTP/1.1\r\nHost: a.example\r\n\r\n")
        for _ in range(20):
            assert other.get("/").body == b"b0"
        assert digest(slow.read().body) == digest(pattern(6 * MB))
        assert slow.get("/").body == b"b0"


def test_body_that_comes_in_pieces_does_not_wait_for_more(start_lb):
    """What has come goes on at once, however much of the body is still to come."""
    body = pattern(MB)
    with RawTarget() as target:
        lb = start_lb(target, settings=ONE)
        with lb.wire() as wire:
            wire.send(upload(body)[: -len(body)])
            for n in range(0, 400_000, 100_000):
                wire.send(body[n : n + 100_000])
                shared.wait_for(
                    lambda: target.connections
                    and target.connections[0].endswith(body[n + 99_900 : n + 100_000]),
                    what=f"the piece at {n}",
                )
            assert wire.send(body[400_000:]).read().body == b"ok"


def test_log_and_metrics_count_the_bytes(start_lb, backends, tmp_path):
    log = tmp_path / "access.log"
    lb = start_lb(backends(), settings={**ONE, "AccessLog": str(log)})
    with lb.wire() as wire:
        head = len(
            wire.send(f"GET /big/{3 * MB} HTTP/1.1\r\nHost: a\r\n\r\n").read_head()
        )
        assert len(wire.file.read(3 * MB)) == 3 * MB
        wire.send(upload(pattern(3 * MB), "/x")).read()
    shared.wait_for(
        lambda: log.exists() and log.read_text().count("\n") == 2, what="lines"
    )
    lines = log.read_text().splitlines()
    counts = [re.search(r" 200 200 (\d+) (\d+) ", line).groups() for line in lines]
    assert int(counts[0][1]) == head + 4 + 3 * MB
    assert 3 * MB < int(counts[1][0]) < 3 * MB + 200
