#!/usr/bin/env python3
"""Runs the unit test programs, then pytest, and ends in one line: "N passed, N failed"."""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

ROOT = pathlib.Path(__file__).resolve().parent.parent
SANITIZERS = {
    "ASAN_OPTIONS": "handle_segv=2:detect_leaks=1:abort_on_error=0:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=0:second_deadlock_stack=1:exitcode=99",
}


def run_unit(folder, env):
    """Each program is one cmocka group; it fails as a whole when it crashes."""
    passed = failed = 0
    for program in sorted(
        p for p in folder.rglob("test_*") if os.access(p, os.X_OK) and p.is_file()
    ):
        if program.suffix:
            continue
        name = program.relative_to(folder)
        try:
            done = subprocess.run(
                [program],
                env=env,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=300,
            )
            out, code = done.stdout + done.stderr, done.returncode
        except subprocess.TimeoutExpired as e:
            out, code = f"{e.stdout or ''}\ntimed out after 300 s", -1
        ok = len(re.findall(r"^\[\s+OK \]", out, re.M))
        bad = len(set(re.findall(r"^\[\s+FAILED\s+\] (\w+)$", out, re.M)))
        if code != 0 and bad == 0:
            bad = 1
        if bad or ok == 0:
            print(f"--- {name} (exit {code})\n{out}")
            bad = max(bad, 1)
        passed += ok
        failed += bad
    print(f"unit: {passed} passed, {failed} failed")
    return passed, failed


def run_pytest(paths, args, env):
    """What can share the machine, in parallel, beside it what mostly waits; then, one by one, what can not."""

    def start(marks, parallel, hidden=False):
        return start_pytest(paths, marks, parallel, args.mode, env, hidden)

    if args.long:
        return finish_pytest(*start("long", args.parallel))
    unhurried = start("unhurried and not long", "4", hidden=True)
    busy = start("not alone and not unhurried and not long", args.parallel)
    results = [finish_pytest(*busy), finish_pytest(*unhurried)]
    results.append(finish_pytest(*start("alone", "0")))
    return tuple(sum(column) for column in zip(*results))


def start_pytest(paths, marks, parallel, mode, env, hidden):
    """hidden: its output is kept until it has ended. Returns what finish_pytest() takes."""
    report = ROOT / "build" / f"pytest-{mode}-{marks.replace(' ', '-')}.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-m", marks, f"--junitxml={report}", "-n", parallel, "--durations=8"]
    if hidden:  # long ones stand in files of their own: never two behind each other
        command += ["--dist", "loadfile"]
    output = tempfile.TemporaryFile() if hidden else None
    process = subprocess.Popen(
        command + paths, cwd=ROOT, env=env, stdout=output, stderr=output
    )
    return process, report, output


def finish_pytest(process, report, output):
    code = process.wait()
    if output:
        output.seek(0)
        sys.stdout.write(output.read().decode(errors="replace"))
        sys.stdout.flush()
    if code == 5:  # nothing carries this mark below these paths
        return 0, 0
    if not report.exists():
        return 0, 1
    passed = failed = 0
    for suite in ET.parse(report).getroot().iter("testsuite"):
        bad = int(suite.get("failures")) + int(suite.get("errors"))
        failed += bad
        passed += int(suite.get("tests")) - bad - int(suite.get("skipped"))
    if code not in (0, 1) and failed == 0:
        failed = 1
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", default="release")
    parser.add_argument("--bin", default="build")
    parser.add_argument("--unit", help="folder of unit test programs")
    parser.add_argument("--pytest", nargs="*", default=[], help="paths for pytest")
    parser.add_argument("--long", action="store_true", help="those marked long, only")
    parser.add_argument("--parallel", default="4", help="pytest processes")
    args = parser.parse_args()
    started = time.monotonic()
    env = dict(os.environ, ALBATROSS_BIN=str(ROOT / args.bin), ALBATROSS_MODE=args.mode)
    for name, value in SANITIZERS.items():
        env.setdefault(name, value)
    passed = failed = 0
    if args.unit:
        p, f = run_unit(ROOT / args.unit, env)
        passed, failed = passed + p, failed + f
    if args.pytest:
        p, f = run_pytest(args.pytest, args, env)
        passed, failed = passed + p, failed + f
    print(f"took {time.monotonic() - started:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
