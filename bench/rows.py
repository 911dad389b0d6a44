"""What the benchmark measures: one Row a load, with the targets that its figures are held against.

A row names its contestants by kind and setup; bench/run.py turns each into a started peer (ours once for each
build that is compared) and takes them in turns.
"""

import dataclasses

from peers import Setup

LB, NGINX, HAPROXY, RELAY = "albatross-lb", "nginx", "haproxy", "relay"
KINDS = (LB, NGINX, HAPROXY, RELAY)
ALL = tuple((kind, Setup()) for kind in KINDS)
LARGE = tuple((kind, Setup(is_large=True)) for kind in KINDS)


@dataclasses.dataclass(frozen=True)
class Check:
    """A target: the ratio of two contestants' medians of one figure, at least or at most so much.

    of and to are names as name_of() makes them.
    """

    text: str
    figure: str
    of: str
    to: str
    limit: float
    is_least: bool = False
    is_strict: bool = False

    def is_met(self, ratio):
        if self.is_strict:
            return ratio < self.limit
        return ratio >= self.limit if self.is_least else ratio <= self.limit


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    title: str
    load: tuple = ()  # options of bench/load
    contestants: tuple = ALL
    body: int = 64  # bytes of the target's answers
    ab: tuple = None  # options of ab, which then takes load's place where throughput is measured
    is_latency: bool = True  # latency at equal offered load, too
    least: int = 500  # requests that a sample must have
    checks: tuple = ()
    special: str = None  # the method of bench/specials.py that measures it


def name_of(kind, setup):
    said = [
        text
        for is_said, text in (
            (setup.rules, f"{setup.rules} rules"),
            (setup.targets != 1, f"{setup.targets} targets"),
            (setup.access_log, "access log"),
            (setup.workers != 1, f"{setup.workers} workers"),
        )
        if is_said
    ]
    return " ".join([kind, *said])


def per_cpu(limit, peers=(NGINX, HAPROXY), what="requests"):
    """Ours do that many times more per CPU-second than the peers."""
    limits = limit if isinstance(limit, tuple) else (limit,) * len(peers)
    return tuple(
        Check(f"{what} per CPU-second ≥ {n} × {p}", "cpu_us", p, LB, n, is_least=True)
        for p, n in zip(peers, limits)
    )


P99 = tuple(
    Check(
        f"p99 at 50 % of the slowest's capacity lower than {p}'s",
        "p99",
        LB,
        p,
        1,
        is_strict=True,
    )
    for p in (NGINX, HAPROXY)
)
SMALL = (
    Check("CPU per request ≤ 1.1 × relay", "cpu_us", LB, RELAY, 1.1),
    *per_cpu((1.3, 1.6)),
    *P99,
)


def grown(than, small, *setups):
    """Many of something cost hardly more than few."""
    return tuple(
        Check(
            f"CPU per request with {name_of('', s).strip()} ≤ 1.2 × with {than}",
            "cpu_us",
            name_of(LB, s),
            name_of(LB, small),
            1.2,
        )
        for s in setups
    )


RULES = [Setup(rules=n) for n in (1, 100, 10000)]
MANY = Setup(targets=1000)
LOGGED = Setup(access_log=True)

ROWS = (
    Row(
        "keep-alive-64",
        "small answers, 64 kept connections",
        ("-c", "64"),
        checks=SMALL,
    ),
    Row(
        "keep-alive-1000",
        "small answers, 1,000 kept connections",
        ("-c", "1000"),
        checks=SMALL,
    ),
    Row(
        "connection",
        "a connection for each request (ab)",
        ("-c", "64", "-C"),
        ab=("-c", "64"),
        checks=(*per_cpu(1.3), *P99),
    ),
    Row(
        "ab-keep-alive",
        "small answers, 64 kept connections (ab -k)",
        ab=("-c", "64", "-k"),
        is_latency=False,
        checks=SMALL[:3],
    ),
    Row(
        "answers-10k",
        "answers of 10 KB, 64 kept connections",
        ("-c", "64"),
        body=10240,
        checks=P99,
    ),
    Row(
        "answers-1m",
        "answers of 1 MB, 16 kept connections",
        ("-c", "16"),
        contestants=LARGE,
        body=1 << 20,
        least=50,
        checks=(*per_cpu(1.2, what="bytes"), *P99),
    ),
    Row(
        "uploads-1m",
        "uploads of 1 MB, 16 kept connections",
        ("-c", "16", "-u", str(1 << 20)),
        contestants=LARGE,
        least=50,
        checks=P99,
    ),
    Row(
        "rules",
        "rules, the last one hit, 64 kept connections",
        ("-c", "64"),
        contestants=(
            *((LB, s) for s in RULES),
            *((p, s) for p in (NGINX, HAPROXY) for s in (RULES[0], RULES[2])),
        ),
        is_latency=False,
        checks=grown("one rule", RULES[0], *RULES[1:]),
    ),
    Row(
        "targets",
        "1,000 targets, 64 kept connections",
        ("-c", "64"),
        contestants=((LB, Setup()), (LB, MANY), (NGINX, MANY), (HAPROXY, MANY)),
        is_latency=False,
        checks=grown("one target", Setup(), MANY),
    ),
    Row(
        "access-log",
        "access log on, 64 kept connections",
        ("-c", "64"),
        contestants=((LB, Setup()), (LB, LOGGED), (NGINX, LOGGED), (HAPROXY, LOGGED)),
        is_latency=False,
        checks=(
            Check(
                "CPU per request with the access log ≤ 1.05 × without",
                "cpu_us",
                name_of(LB, LOGGED),
                LB,
                1.05,
            ),
        ),
    ),
    Row(
        "reload",
        "reload with 10,000 rules and 1,000 targets under load",
        special="reload",
    ),
    Row("idle", "an idle client connection's memory", special="idle"),
    Row("target-memory", "a target's memory", special="target_memory"),
    Row("workers", "two workers", special="workers"),
)
