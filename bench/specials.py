"""The benchmark's rows that are no plain load: a reload, memory, more than one worker."""

import dataclasses
import json
import os
import statistics
import subprocess
import time

import peers
import report
import rows
from peers import Failed, Setup
from rows import HAPROXY, LB, NGINX, Check

IDLE_CONNECTIONS = 10000
TARGETS = 1000
RELOAD_SECONDS = 8.0  # the reload has to end within them


def reload(bench, row, say):
    """Rounds with and without a SIGHUP in the middle, at a quarter of what it does (it has one core for both threads), in turns."""
    row = dataclasses.replace(row, load=("-c", "64"))
    target = peers.Target(bench, row.body)
    started, figures, checks = [], {}, []
    try:
        for peer in bench.started([(LB, Setup(rules=10000, targets=TARGETS))], target):
            started.append(peer)
        for peer in started:
            rate = bench.load(row, peer, 1)["rate"] / 4
            names = peer.name, f"{peer.name}, reload"
            figures |= {name: {} for name in names}
            for i in range(max(3, bench.options.rounds // 4)):
                say(f"{row.name}: {peer.name} at {rate:.0f}/s, round {i + 1}")
                for is_reload, name in enumerate(names):
                    sample = reload_sample(bench, row, peer, rate, is_reload)
                    for figure in ("p50", "p99", "p99.9", "max"):
                        figures[name].setdefault(figure, []).append(
                            sample["latency_us"][figure]
                        )
                    figures[name].setdefault("failed", []).append(
                        sum(sample["failures"].values())
                    )
                    if is_reload:
                        figures[name].setdefault("reload_s", []).append(
                            sample["reload_s"]
                        )
            failed = sum(figures[names[1]]["failed"])
            checks += [
                report.verdict("no failed request", failed, failed == 0, "{:.0f}"),
                report.judge(
                    Check(
                        "p99 with a reload ≤ 2 × without", "p99", names[1], names[0], 2
                    ),
                    None,
                    figures,
                ),
            ]
    finally:
        for peer in started:
            peer.stop()
        target.stop()
    return report.special(row, figures, checks)


def reload_sample(bench, row, peer, rate, is_reload):
    """Failures of requests are a figure here; that the reload does not come about is a failure."""
    words = [bench.bin / "bench" / "load", *row.load, "-d", RELOAD_SECONDS, "-w", 0.2]
    words += ["-r", rate, "127.0.0.1", peer.port]
    load = subprocess.Popen(
        [str(w) for w in words],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, bench.cores.load),
    )
    reload_s = 0
    try:
        if is_reload:
            time.sleep(1)
            change(peer)
            reload_s = hang_up(row, peer)
        still_runs = load.poll() is None
        out = load.communicate(timeout=RELOAD_SECONDS + 60)[0]
    finally:
        load.kill()
        load.wait()
    peer.check_alive()
    if load.returncode != 0:
        raise Failed(f"{row.name}: {peer.name}: bench/load failed")
    if not still_runs:
        raise Failed(f"{row.name}: {peer.name}: the reload outlasted the load")
    return json.loads(out) | {"reload_s": reload_s}


def hang_up(row, peer):
    """Seconds until the log says that it has reloaded."""
    n_before = peer.log.read_text().count(" info reload ")
    begun = time.monotonic()
    peer.hangup()
    while peer.log.read_text().count(" info reload ") == n_before:
        if time.monotonic() > begun + 60:
            raise Failed(f"{row.name}: {peer.name}: no reload\n{peer.tail()}")
        time.sleep(0.05)
    return time.monotonic() - begun


def change(peer):
    """Another path in 100 of the rules, ten targets gone or back."""
    path = peer.dir / "lb.json"
    document = json.loads(path.read_text())
    listener = document["LoadBalancers"][0]["Listeners"][0]
    for rule in listener["Rules"][50:10000:100]:
        values = rule["Conditions"][0]["PathPatternConfig"]["Values"]
        path_was, new = values[0], "/new/*"
        values[0] = (
            path_was[: -len(new)] + "/*" if new in path_was else path_was[:-2] + new
        )
    targets = document["TargetGroups"][0]["Targets"]
    more = [{"Id": peers.target_address(i)} for i in range(TARGETS - 10, TARGETS)]
    gone = [t for t in targets if t not in more]
    document["TargetGroups"][0]["Targets"] = (
        gone if len(gone) < len(targets) else targets + more
    )
    path.write_text(json.dumps(document))


def idle(bench, row, say):
    """Own memory of connections that have been served once and wait."""
    n = min(IDLE_CONNECTIONS, bench.files // 2 - 1000)
    if n < IDLE_CONNECTIONS // 2:
        return report.special(row, {}, [], f"{bench.files} descriptors a process")
    row = dataclasses.replace(row, load=("-c", "64"))
    target = peers.Target(bench, row.body)
    started, figures = [], {}
    try:
        for peer in bench.started([(k, Setup()) for k in (LB, NGINX, HAPROXY)], target):
            started.append(peer)
        for peer in started:
            say(f"{row.name}: {n} connections of {peer.name}")
            bench.load(row, peer, 0.5)
            before = peer.memory()
            after = memory_with_idle(bench, row, peer, n)
            figures[peer.name] = {"bytes": [(after - before) / n]}
    finally:
        for peer in started:
            peer.stop()
        target.stop()
    checks = [
        report.verdict(
            f"{label}: an idle client connection ≤ 512 bytes",
            bytes_ := figures[label]["bytes"][0],
            bytes_ <= 512,
            "{:.0f} bytes",
        )
        for label, _ in bench.lbs
    ]
    return report.special(row, figures, checks)


def memory_with_idle(bench, row, peer, n):
    words = [bench.bin / "bench" / "load", "-i", "-c", n, "127.0.0.1", peer.port]
    load = subprocess.Popen(
        [str(w) for w in words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, bench.cores.load),
    )
    try:
        line = load.stdout.readline()
        if not line:
            raise Failed(f"{row.name}: {peer.name}: bench/load failed")
        failures = json.loads(line)["failures"]
        if any(failures.values()):
            raise Failed(f"{row.name}: {peer.name}: {failures}")
        time.sleep(0.3)
        return peer.memory()
    finally:
        load.kill()
        load.communicate()


def target_memory(bench, row, say):
    """1,000 targets against one, no traffic."""
    target = peers.Target(bench, row.body)
    figures, memory = {}, {}
    try:
        for n in (1, TARGETS):
            wanted = [(k, Setup(targets=n)) for k in (LB, NGINX, HAPROXY)]
            for name, kind, program, setup in bench.contestants(wanted):
                say(f"{row.name}: {name}")
                peer = peers.Peer(bench, name, kind, program, setup, target.port)
                try:
                    memory[name] = peer.start().memory()
                finally:
                    peer.stop()
    finally:
        target.stop()
    for name in [n for n in memory if not n.endswith(" targets")]:
        grown = memory[f"{name} {TARGETS} targets"] - memory[name]
        figures[name] = {"bytes": [grown / (TARGETS - 1)]}
    return report.special(row, figures, [])


def workers(bench, row, say):
    """Two workers on two cores against one on one; load and target have a core each."""
    n = len(bench.cores.all)
    if n < 4:
        return report.special(row, {}, [], f"{n} cores; two workers need four")
    row = dataclasses.replace(row, load=("-c", "128"))
    target = peers.Target(bench, row.body)
    started, figures = [], {}
    try:
        for peer in bench.started([(LB, Setup()), (LB, Setup(workers=2))], target):
            started.append(peer)
        figures = {p.name: {"rate": []} for p in started}
        for i in range(bench.options.rounds):
            say(f"{row.name}: round {i + 1} of {bench.options.rounds}")
            for peer in started:
                sample = bench.load(row, peer, bench.options.seconds)
                figures[peer.name]["rate"].append(sample["rate"])
    finally:
        for peer in started:
            peer.stop()
        target.stop()
    checks = []
    for label, _ in bench.lbs:
        two = rows.name_of(label, Setup(workers=2))
        ratio = statistics.median(figures[two]["rate"]) / statistics.median(
            figures[label]["rate"]
        )
        checks.append(
            report.verdict(
                f"{label}: two workers ≥ 1.8 × one", ratio, ratio >= 1.8, "{:.2f}"
            )
        )
    return report.special(row, figures, checks)
