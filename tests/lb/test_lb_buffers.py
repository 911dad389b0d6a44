"""The limit on what buffers take: new work is refused, what is in flight waits and arrives whole."""

import concurrent.futures
import contextlib

import conftest as shared
from lb_fixtures import start_lb  # noqa: F401 (fixture)
from lb_helpers import digest, pattern
from raw_target import OK, RawTarget

SETTINGS = {"Workers": 1, "BufferMemoryInMiB": 2}
LIMIT = 2 << 20
BODY = pattern(5 << 20)  # more than the kernel takes for a client that does not read
CHUNK = b"10000\r\n"


def chunked(body):
    """Not of known length, so that it is not spliced."""
    pieces = [body[at : at + 65536] for at in range(0, len(body), 65536)]
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(CHUNK + p + b"\r\n" for p in pieces) + b"0\r\n\r\n"


def test_slow_readers_take_no_more_than_the_limit_and_get_all(start_lb):
    large = chunked(BODY)

    def answer(request):
        return large if request.startswith(b"GET /large") else OK

    with RawTarget(answer) as target, contextlib.ExitStack() as stack:
        lb = start_lb(target, settings=SETTINGS)
        # Each holds two small buffers at least: its head, and what was not taken yet.
        slow = [stack.enter_context(lb.wire()) for _ in range(60)]

        def refused():
            assert lb.metric("albatross_lb_buffer_bytes") <= LIMIT
            return lb.status() == 503

        for wire in slow:
            wire.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        # What comes before that may wait for the target, which has 300 MB to send.
        shared.wait_for(refused, 60, "a request to be refused")
        assert lb.metric("albatross_lb_short_of_buffers_request_count_total") >= 1
        assert "buffers-short worker=0" in lb.program.log()
        with concurrent.futures.ThreadPoolExecutor(len(slow)) as pool:
            replies = list(pool.map(lambda wire: wire.read(), slow))
        whole = 0
        for reply in replies:  # some of them were refused too
            assert reply.status in (200, 503)
            if reply.status == 200:
                assert digest(reply.body) == digest(BODY)
                whole += 1
        assert whole >= 10
        assert lb.metric("albatross_lb_buffer_bytes") < LIMIT / 2
        assert lb.status() == 200
