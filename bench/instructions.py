#!/usr/bin/python3
"""make bench-instructions: user instructions of albatross-lb per request, under callgrind.

Where time is noisy, instructions for fixed traffic are not: this is the gate against creeping cost. Each traffic
is sent over one connection (or one connection a request), one request at a time. Fails when a figure is more than 3 %
above the one stored in bench/instructions.txt; one that is more than 3 % below is told, to be stored with --store. They hold
for Debian 12's compiler and libraries. --keep FOLDER leaves callgrind's files there for callgrind_annotate.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import peers
import run
from peers import Failed, Setup

STORED = pathlib.Path(__file__).resolve().parent / "instructions.txt"
TOLERANCE = 0.03
WARM, COUNTED = 500, 3000

# name: options of bench/load, setup
TRAFFIC = {
    "keep-alive": ((), Setup()),
    "connection": (("-C",), Setup()),
    "rules": ((), Setup(rules=1000)),
    "access-log": ((), Setup(access_log=True)),
}


class Callgrind(peers.Peer):
    """albatross-lb under callgrind, which counts between count(True) and count(False)."""

    def prepare_albatross_lb(self):
        self.out = self.dir / "callgrind.out"
        return [
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={self.out}",
            *super().prepare_albatross_lb(),
        ]

    def count(self, is_on):
        words = ["callgrind_control", "-i", "on" if is_on else "off"]
        done = subprocess.run(
            [*words, str(self.process.pid)], capture_output=True, text=True, timeout=30
        )
        if done.returncode != 0 or "OK" not in done.stdout:
            raise Failed(f"callgrind_control: {done.stdout}{done.stderr}")

    def counted(self):
        """Ends it, and reads what it has counted."""
        self.process.terminate()
        self.process.wait(30)
        found = re.search(r"^totals: (\d+)", self.out.read_text(), re.M)
        if not found:
            raise Failed(f"no total in {self.out}")
        return int(found.group(1))


def send(bench, peer, options, n):
    words = [bench.bin / "bench" / "load", "-c", 1, "-n", n, *options]
    words += ["-p", peer.last_path(), "127.0.0.1", peer.port]
    out = bench.run_pinned(words, peer.name, 60)
    if f'"done": {n},' not in out:
        raise Failed(f"{peer.name}: {out}")


def measure(bench, name, keep):
    options, setup = TRAFFIC[name]
    target = peers.Target(bench, 64)
    program = bench.lbs[0][1]
    peer = Callgrind(bench, name, "albatross-lb", program, setup, target.port)
    try:
        peer.start()
        send(bench, peer, options, WARM)
        peer.count(True)
        send(bench, peer, options, COUNTED)
        peer.count(False)
        total = peer.counted()
        if keep:
            pathlib.Path(keep).mkdir(parents=True, exist_ok=True)
            peer.out.rename(pathlib.Path(keep) / f"callgrind.{name}")
        return total / COUNTED
    finally:
        peer.stop()
        target.stop()


def stored():
    pairs = re.findall(r"^(\S+)\s+(\d+)$", STORED.read_text(), re.M)
    return {name: int(n) for name, n in pairs}


def store(found):
    kept = stored() | {name: round(n) for name, n in found.items()}
    STORED.write_text(
        "# User instructions of albatross-lb per request; see bench/instructions.py.\n"
        + "".join(f"{name:<12} {n}\n" for name, n in kept.items())
    )


def compare(found):
    """Prints each figure beside the stored one; False when one has grown too much."""
    before, good = stored(), True
    for name, n in found.items():
        was = before.get(name)
        change = n / was - 1 if was else 0
        note = "" if was else "not stored yet"
        if change > TOLERANCE:
            note, good = f"GROWN by more than {TOLERANCE:.0%}", False
        elif change < -TOLERANCE:
            note = "less: store it (--store)"
        print(f"{name:<12} {n:8.0f}  stored {was or '-':>6}  {change:+.1%}  {note}")
    return good


def main(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--traffic", action="append", choices=list(TRAFFIC))
    parser.add_argument("--store", action="store_true", help="these are the figures")
    parser.add_argument("--keep", metavar="FOLDER")
    parser.add_argument("--lb", metavar="PATH", help="another build")
    parser.add_argument("--bin", default=run.ROOT / "build")
    options = parser.parse_args(argv)
    base = ["--bin", str(options.bin)] + (["--lb", options.lb] if options.lb else [])
    bench = None
    try:
        bench = run.Bench(run.parse([*base, "--nginx", "true", "--haproxy", "true"]))
        begun = time.monotonic()
        found = {
            name: measure(bench, name, options.keep)
            for name in options.traffic or TRAFFIC
        }
    except Failed as e:
        run.say(f"FAILED to measure: {e}")
        return 1
    finally:
        if bench:
            bench.close()
    is_good = compare(found)
    print(f"{COUNTED} requests each, {time.monotonic() - begun:.0f} s")
    if options.store:
        store(found)
    return 0 if is_good or options.store else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
