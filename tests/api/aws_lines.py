"""Debian's aws command as one process for many lines: starting it anew for each would take most of the time.

Reads a JSON list of arguments a line, writes [exit status, stdout, stderr] a line.
"""

import contextlib
import io
import json
import sys

import awscli.clidriver


def run(words):
    out, err = (
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        for _ in range(2)
    )
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = awscli.clidriver.create_clidriver().main(words)
        except SystemExit as e:
            code = e.code
    return [code, *(f.buffer.getvalue().decode() for f in (out, err))]


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
