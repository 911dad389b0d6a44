#!/usr/bin/python3
"""Writes docs/api.md from the action lists, so that it cannot name what is not there.

With --check it only says whether the file is current (exit 1 when it is not).
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LISTS = [
    (
        "Elastic Load Balancing v2",
        "2015-12-01",
        "albatross-lb",
        "lb/api/elasticloadbalancing.def",
    ),
    ("Auto Scaling", "2011-01-01", "albatross-scaler", "scaler/api/autoscaling.def"),
    ("CloudWatch", "2010-08-01", "albatross-scaler", "scaler/api/monitoring.def"),
    ("EC2", "2016-11-15", "albatross-lab", "lab/ec2/ec2.def"),
    ("STS", "2011-06-15", "albatross-lab", "lab/ec2/sts.def"),
]
HEAD = """# The API

The actions that each program answers, in AWS's Query protocol; generated from the action lists by `tools/api_doc.py`.
Any other action of these services answers 400 `InvalidAction`. CloudWatch is also spoken to in JSON 1.0 and in CBOR (Smithy RPC
v2), as newer SDKs and CLIs do.

Without `Credentials` in the program's section of the configuration an API listens on loopback only and takes every signature;
with them SigV4 is verified on every request.
"""


def page():
    parts = [HEAD]
    for title, version, program, path in LISTS:
        names = sorted(
            re.findall(r"^AWS_ACTION\((\w+)\)", (ROOT / path).read_text(), re.M)
        )
        parts.append(
            f"\n## {title} {version}, answered by `{program}` ({len(names)})\n\n"
        )
        parts.append("".join(f"* {name}\n" for name in names))
    return "".join(parts)


def main():
    target = ROOT / "docs/api.md"
    if "--check" in sys.argv[1:]:
        if not target.exists() or target.read_text() != page():
            print("docs/api.md is not current: run tools/api_doc.py")
            return 1
        return 0
    target.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
