#!/usr/bin/python3
"""make bench: albatross-lb, nginx, HAProxy and the bare relay side by side, in rotation.

Each proxy is pinned to the first core, load and target to the last. A row of bench/rows.py is one load: its contestants
are all started, take turns (each round starts with another one), and are stopped. Prints a table of medians and ranges and
how each target is met; writes build/bench/bench.json and bench.svg. A missed target is a result; not being able to
measure (a failed request, too few samples, a peer that does not start) ends the command with status 1.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import peers
import report
import rows
import specials
from peers import Failed

ROOT = pathlib.Path(__file__).resolve().parent.parent
LATENCY_SHARE = 0.5  # of the slowest peer's capacity
STOLEN_SHARE = (
    0.03  # of the proxy's core, by the hypervisor: a sample with more is taken again
)
TRIES = 4
QUANTILES = ("p50", "p99", "p99.9")


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Bench:
    """The machine, the programs, and the means to measure one sample."""

    def __init__(self, options):
        self.options = options
        self.bin = pathlib.Path(options.bin).resolve()
        self.cores = peers.Cores()
        try:
            os.nice(options.nice)
        except OSError as e:
            raise Failed(f"--nice {options.nice}: {e.strerror}") from None
        self.files = peers.raise_file_limit()
        self.n_again = 0  # samples taken again
        self.dir = tempfile.mkdtemp(prefix="albatross-bench-")
        self.lbs = options.lb or [(rows.LB, self.bin / "albatross-lb")]
        self.programs = {
            rows.NGINX: options.nginx,
            rows.HAPROXY: options.haproxy,
            rows.RELAY: self.bin / "bench" / "relay",
        }
        for _, program in [*self.lbs, *self.programs.items()]:
            if shutil.which(program) is None:
                raise Failed(f"{program} is not there (make bench installs and builds)")

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def contestants(self, wanted):
        """(name, kind, program, setup) of each, ours once for each build, without those left out."""
        found = []
        for kind, setup in wanted:
            if self.options.only and kind not in self.options.only:
                continue
            if kind == rows.LB:
                found += [
                    (rows.name_of(label, setup), kind, path, setup)
                    for label, path in self.lbs
                ]
            else:
                found.append(
                    (rows.name_of(kind, setup), kind, self.programs[kind], setup)
                )
        return found

    def started(self, wanted, target):
        """Starts each; the caller stops what is in the list, even when this raises."""
        for name, kind, program, setup in self.contestants(wanted):
            peer = peers.Peer(self, name, kind, program, setup, target.port)
            yield peer
            peer.start()

    def run_pinned(self, words, what, seconds):
        try:
            done = subprocess.run(
                [str(w) for w in words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds + 90,
                preexec_fn=lambda: os.sched_setaffinity(0, self.cores.load),
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"{what}: {words[0]} did not end") from None
        if done.returncode != 0:
            raise Failed(f"{what}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def load(self, row, peer, seconds, warm=0.1, rate=0, least=None):
        """One run of bench/load through peer; again when the machine was elsewhere meanwhile."""
        what = f"{row.name}: {peer.name}"
        least = row.least if least is None else least
        for _ in range(TRIES):
            before = peers.stolen_ns(self.cores.one[0])
            sample = self.load_once(row, peer, what, (seconds, warm, rate))
            stolen = peers.stolen_ns(self.cores.one[0]) - before
            is_enough = sample["requests"] >= least
            if is_enough and stolen <= STOLEN_SHARE * (seconds + warm) * 1e9:
                break
            self.n_again += 1
        if not is_enough:
            raise Failed(f"{what}: {sample['requests']} requests, {least} are needed")
        return sample

    def load_once(self, row, peer, what, times):
        seconds, warm, rate = times
        words = [self.bin / "bench" / "load", *row.load, "-d", seconds, "-w", warm]
        for pid in peer.pids():
            words += ["-P", pid]
        if rate:
            words += ["-r", f"{rate:.1f}"]
        words += ["-p", peer.last_path(), "127.0.0.1", peer.port]
        sample = json.loads(self.run_pinned(words, what, seconds + warm))
        peer.check_alive()
        failures = {k: n for k, n in sample["failures"].items() if n}
        if failures:
            raise Failed(f"{what}: failed requests: {failures}\n{peer.tail()}")
        return sample

    def ab(self, row, peer, n):
        """One run of ab; the CPU is that of the whole run, which starts and ends with no connection."""
        what = f"{row.name}: {peer.name}"
        before = peers.cpu_ns(peer.pids())
        url = f"http://127.0.0.1:{peer.port}{peer.last_path()}"
        text = self.run_pinned(["ab", "-q", "-n", n, *row.ab, url], what, 60)
        after = peers.cpu_ns(peer.pids())
        peer.check_alive()
        figures = dict(re.findall(r"^([A-Z][^:\n]+): +([\d.]+)", text, re.M))
        if (
            figures.get("Failed requests") != "0"
            or "Non-2xx responses" in figures
            or figures.get("Complete requests") != str(n)
        ):
            raise Failed(f"{what}: failed requests\n{text}")
        return {
            "rate": float(figures["Requests per second"]),
            "cpu_us": (after - before) / 1e3 / n,
        }


def in_turns(entries, n):
    """Each round starts with another one, so that none always follows the same."""
    for i in range(n):
        shift = i % len(entries)
        for entry in entries[shift:] + entries[:shift]:
            yield i, entry


def measure_capacity(bench, row, entries, figures):
    options = bench.options
    n_ab = {}
    for peer in entries:  # warm, and how many requests ab is to send
        if row.ab:
            rate = bench.ab(row, peer, 3000)["rate"]
            n_ab[peer.name] = max(int(rate * options.seconds), row.least)
        else:
            bench.load(row, peer, 0.3, least=1)
    for i, peer in in_turns(entries, options.rounds):
        if peer is entries[i % len(entries)]:
            say(f"{row.name}: round {i + 1} of {options.rounds}")
        if row.ab:
            sample = bench.ab(row, peer, n_ab[peer.name])
        else:
            sample = bench.load(row, peer, options.seconds)
        for figure in ("rate", "cpu_us"):
            figures[peer.name].setdefault(figure, []).append(sample[figure])


def measure_latency(bench, row, entries, figures):
    """At one rate for all: half of what the slowest does, the relay left out (it is no peer)."""
    options = bench.options
    capacity = min(
        statistics.median(figures[p.name]["rate"])
        for p in entries
        if p.kind != rows.RELAY or len(entries) == 1
    )
    rate = capacity * LATENCY_SHARE
    rounds = max(3, options.rounds // 2)
    for i, peer in in_turns(entries, rounds):
        if peer is entries[i % len(entries)]:
            say(f"{row.name}: latency at {rate:.0f}/s, round {i + 1} of {rounds}")
        sample = bench.load(row, peer, options.seconds * 2, rate=rate)
        count = sample["latency_us"]["count"]
        for quantile in QUANTILES:
            if count * (1 - float(quantile[1:]) / 100) >= 1:
                figures[peer.name].setdefault(quantile, []).append(
                    sample["latency_us"][quantile]
                )
        figures[peer.name].setdefault("cpu_even", []).append(sample["cpu_us"])
        figures[peer.name].setdefault("late_p99", []).append(sample["late_us"]["p99"])
    return rate


def measure(bench, row):
    """The row's result: what the report prints and bench.json holds."""
    if row.special:
        return getattr(specials, row.special)(bench, row, say)
    entries = []
    target = peers.Target(bench, row.body)
    result = {"name": row.name, "title": row.title}
    try:
        for peer in bench.started(row.contestants, target):
            entries.append(peer)
        if not entries:
            return result | {"not_measured": "no contestant is left"}
        result["figures"] = figures = {p.name: {} for p in entries}
        measure_capacity(bench, row, entries, figures)
        if row.is_latency:
            result["latency_rate"] = measure_latency(bench, row, entries, figures)
    finally:
        for peer in entries:
            peer.stop()
        target.stop()
    result["checks"] = [
        found
        for check in row.checks
        for label, _ in bench.lbs
        if (found := report.judge(check, label, figures))
    ]
    return result


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [r.name for r in rows.ROWS]
    parser.add_argument(
        "--row",
        action="append",
        metavar="NAME",
        choices=names,
        help=f"only this one (may be repeated): {', '.join(names)}",
    )
    parser.add_argument("--rounds", type=int, default=15, help="rotations (15)")
    parser.add_argument(
        "--seconds", type=float, default=0.4, help="of one sample (0.4)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="the first row, 10 rounds of 0.25 s"
    )
    parser.add_argument(
        "--lb",
        action="append",
        metavar="LABEL=PATH",
        help="a build of albatross-lb; repeated: all of them in one rotation",
    )
    parser.add_argument(
        "--only", action="append", metavar="KIND", help="only such: " + rows.LB + ", …"
    )
    parser.add_argument(
        "--nice",
        type=int,
        default=0,
        help="priority of all that is measured: below 0 (as root) where others use the machine",
    )
    parser.add_argument("--nginx", default=os.environ.get("NGINX") or "nginx")
    parser.add_argument("--haproxy", default=os.environ.get("HAPROXY") or "haproxy")
    parser.add_argument("--bin", default=ROOT / "build", help="where make built")
    parser.add_argument("--out", help="folder of bench.json and bench.svg (BIN/bench)")
    options = parser.parse_args(argv)
    if options.quick:
        options.row = options.row or [names[0]]
        options.rounds, options.seconds = 10, 0.25
    options.lb = [
        (label if path else rows.LB, pathlib.Path(path or label).resolve())
        for label, _, path in (text.partition("=") for text in options.lb or [])
    ]
    if len({label for label, _ in options.lb}) < len(options.lb):
        parser.error("each --lb needs a LABEL of its own")
    # Debian keeps its daemons where a user's PATH does not look.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    return options


def main(argv):
    options = parse(argv)
    results, status = [], 0
    try:
        bench = Bench(options)
    except Failed as e:
        say(e)
        return 1
    try:
        machine = report.machine(bench)
        for row in rows.ROWS:
            if options.row and row.name not in options.row:
                continue
            try:
                results.append(measure(bench, row))
            except Failed as e:  # the others may be measured
                say(f"FAILED to measure: {e}")
                results.append(report.special(row, {}, [], f"FAILED: {e}"))
                status = 1
            report.print_row(results[-1])
    except KeyboardInterrupt:
        return 130
    finally:
        bench.close()
    machine["samples_again"] = bench.n_again
    report.finish(options.out or bench.bin / "bench", machine, options, results)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
