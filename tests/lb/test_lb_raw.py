"""Hostile and odd requests, each a file in raw/: what is answered, that no second request is read
out of the first, and that the load balancer goes on."""

import pathlib
import re

import pytest

import conftest as shared
from lb_fixtures import backends, start_lb  # noqa: F401 (fixtures)
from lb_helpers import read_case

CASES = sorted((pathlib.Path(__file__).parent / "raw").glob("*.raw"))


# One program for each part of the cases: a start for each would be most of the time.
@pytest.mark.parametrize("part", range(4))
def test_odd_requests_are_answered_as_the_file_says(start_lb, backends, part):
    backend = backends()
    lb = start_lb(backend)
    lb.wait_health({backend: "healthy"})
    wrong = []
    for path in CASES[part::4]:
        expect, data = read_case(path)
        del backend.requests[:]
        with lb.wire() as wire:
            status, closed = answer_to(wire, data, "closed" in expect)
        if str(status) not in expect[0].split("|"):
            wrong.append(f"{path.stem}: {status} instead of {expect[0]}")
        if not closed:
            wrong.append(f"{path.stem}: the connection stays open")
        if len(backend.requests) > (status == 200):
            wrong.append(f"{path.stem}: the target saw {backend.requests}")
    assert not wrong, "\n".join(wrong)
    assert lb.get() == backend.name


def answer_to(wire, data, must_close):
    method = re.match(rb"\w*", data)[0].decode()
    wire.send(data)
    try:
        status = wire.read(method).status
    except TimeoutError:
        status = "silence"
    except OSError:
        status = "closed"
    return status, not must_close or wire.is_closed()


@pytest.mark.parametrize("access_log", [False, True])
def test_request_line_without_a_version_is_refused_however_it_comes(
    start_lb, backends, programs, access_log
):
    path = programs.folder / "access.log"
    settings = {"AccessLog": str(path)} if access_log else {}
    lb = start_lb(backends(), settings=settings)
    lines = ["GET /", "GET / ", "GET", "GET ", "GET http://a/", "POST /", "HEAD /"]
    n = 0
    for line in lines:
        for before in (
            False,
            True,
        ):  # the first request of a connection, or a later one
            for pieces in (["{}\r\n\r\n"], ["{}", "\r\n\r\n"], ["{}\r", "\n\r", "\n"]):
                n += 1
                with lb.wire() as wire:
                    if before:
                        assert wire.get("/first").status == 200
                    for piece in pieces:
                        wire.send(piece.format(line))
                    assert wire.read(line.split()[0]).status == 400, line
                    assert wire.is_closed(), line
    for data in ("GET /\r\n", "GET /", "GET", "\r\n\r\n"):  # and then nothing more
        with lb.wire() as wire:
            wire.send(data)
    assert lb.get() == "b0"
    if access_log:
        shared.wait_for(lambda: path.read_text().count(" 400 - ") == n, what="lines")


def test_second_request_hidden_in_a_body_stays_a_body(start_lb, backends):
    backend = backends()
    lb = start_lb(backend)
    hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    with lb.wire() as wire:
        wire.send(
            f"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {len(hidden)}\r\n\r\n{hidden}"
        )
        assert wire.read().body == hidden.encode()
        assert wire.get("/after").status == 200
    assert backend.requests == ["POST /echo", "GET /after"]


def test_client_that_goes_away_in_the_middle_hurts_nobody(start_lb, backends):
    backend = backends()
    lb = start_lb(backend)
    for data in (
        "GET",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "GET /big/5000000 HTTP/1.1\r\nHost: a\r\n\r\n",
    ):
        with lb.wire() as wire:
            wire.send(data)
    assert lb.get() == "b0"
