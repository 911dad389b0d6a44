"""raw_requests.txt against the load balancer in its three modes: what is answered, what a target that
records every byte gets, and what the log says.  AWS's table of desync mitigation; RFC 9112."""

import pathlib
import re
import time

import pytest

import conftest as shared
from lb_fixtures import start_lb  # noqa: F401 (fixture)
from raw_target import RawTarget

MODES = ("monitor", "defensive", "strictest")


def read_cases():
    cases = []
    path = pathlib.Path(__file__).parent / "raw_requests.txt"
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            continue
        name, tier, statuses, data = line.split(" | ", 3)
        data = data.encode("latin-1").decode("unicode_escape").encode("latin-1")
        data = re.sub(rb"<(.)\*(\d+)>", lambda m: m[1] * int(m[2]), data, flags=re.S)
        cases.append((name, tier, dict(zip(MODES, statuses.split())), data))
    return cases


CASES = read_cases()


def answers_to(wire, data):
    """(status of the first answer, is the connection closed after what was sent)"""
    wire.send(data)
    wire.socket.settimeout(5 * shared.SLOW)
    status = wire.read().status
    if status == 400 or b"smuggled" in data:
        return status, wire.is_closed()
    try:
        wire.send("GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return status, wire.read().status != 200
    except (OSError, ConnectionError):
        return status, True


def fields_of(line):
    return re.findall(r'"[^"]*"|\S+', line)


@pytest.mark.parametrize("mode", MODES)
def test_c14_5_odd_requests_fare_as_the_mode_says(start_lb, programs, mode):
    log = programs.folder / "access.log"
    with RawTarget() as target:
        lb = start_lb(
            target,
            attributes={"routing.http.desync_mitigation_mode": mode},
            settings={"AccessLog": str(log), "Workers": 1},
        )
        lb.wait_health({target: "healthy"})
        wrong = []
        for name, _, statuses, data in CASES:
            expected = statuses[mode]
            closes = expected.endswith("c") or expected in ("400", "505")
            before = len(target.requests())
            with lb.wire() as wire:
                try:
                    status, closed = answers_to(wire, data)
                except (OSError, ConnectionError) as e:
                    status, closed = repr(e), True
            if (str(status), closed) != (expected.rstrip("c"), closes):
                wrong.append(f"{name}: {status} {'closed' if closed else 'stays'}")
            seen = [line for line, _ in target.requests()[before:]]
            # A body that goes wrong on its way leaves a request that never ends.
            forwarded = [x for x in seen if "/after" not in x and x != "unfinished"]
            if len(forwarded) != (expected.startswith("200")):
                wrong.append(f"{name}: the target saw {seen}")
        assert not wrong, "\n".join(wrong)
        check_log(lb, target, log)
        check_count(lb)


def check_log(lb, target, log):
    """Every request that the target saw is in the log, once, and the other way round."""
    lb.get("/after/all")
    seen = target.requests()

    def lines():
        found = [fields_of(x) for x in log.read_text().splitlines()]
        return found if any("/after/all " in f[12] for f in found) else None

    found = shared.wait_for(lines, what="the log")
    assert len([f for f in found if f[4] != "-"]) == len(seen)
    odd = [f for f in found if "/after" not in f[12]]
    tiers = [f"{f[27]} {f[28]}".replace('"', "") for f in odd]
    assert len(tiers) == len(CASES)
    wrong = [
        f"{name}: {got}"
        for (name, tier, _, _), got in zip(CASES, tiers)
        if got != (tier if tier != "-" else "- -")
    ]
    assert not wrong, "\n".join(wrong)


def check_count(lb):
    n = sum(tier != "-" for _, tier, _, _ in CASES)
    name = "DesyncMitigationMode_NonCompliant_Request_Count"
    text = shared.http_get(lb.api + "/metrics")
    values = [
        float(x.rsplit(" ", 1)[1])
        for x in text.splitlines()
        if "esync" in x and not x.startswith("#")
    ]
    assert values == [n], (name, values)


@pytest.mark.parametrize("part", range(2))
def test_odd_requests_may_come_byte_by_byte(start_lb, part):
    """However the bytes are cut, what the target gets is the same."""
    with RawTarget() as target:
        lb = start_lb(target, settings={"Workers": 1})
        lb.wait_health({target: "healthy"})
        wrong = []
        for name, _, statuses, data in CASES[part::2]:
            if len(data) > 300:
                continue
            cut = [data[i : i + 1] for i in range(len(data))]
            with lb.wire() as wire:
                try:
                    for piece in cut:
                        wire.send(piece)
                except OSError:
                    pass  # refused early
                try:
                    status = str(wire.read().status)
                except OSError:
                    status = "reset"
            expected = statuses["defensive"].rstrip("c")
            if status not in (expected, "reset" if expected != "200" else expected):
                wrong.append(f"{name}: {status}")
            assert target.requests() is not None
        assert not wrong, "\n".join(wrong)


def test_head_that_trickles_in_is_408_however_odd(start_lb):
    with RawTarget() as target:
        lb = start_lb(target, attributes={"idle_timeout.timeout_seconds": "1"})
        for start in (
            "GET / HTTP/1.1\r\nHost: a\r\nX: ",
            "GET / HTTP/1.1\nHost: a\nnonsense\n",
        ):
            with lb.wire() as wire:
                before = time.monotonic()
                wire.send(start)
                while not wire.has_answer(0.3):
                    wire.send("a")
                    assert time.monotonic() - before < 4 * shared.SLOW
                assert wire.read().status == 408
                assert time.monotonic() - before < 4 * shared.SLOW
        assert target.connections == []


def test_body_that_stops_is_408_and_the_target_is_freed(start_lb):
    with RawTarget() as target:
        lb = start_lb(target, attributes={"idle_timeout.timeout_seconds": "1"})
        with lb.wire() as wire:
            wire.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            assert wire.read().status == 408
            assert wire.is_closed()
        assert target.requests()[0][0] == "unfinished"
        assert lb.get() == "ok"


def test_connection_that_says_nothing_is_closed_silently(start_lb):
    with RawTarget() as target:
        lb = start_lb(target, attributes={"idle_timeout.timeout_seconds": "1"})
        with lb.wire() as wire:
            assert wire.is_closed()
