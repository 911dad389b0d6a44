#!/usr/bin/python3
"""Writes docs/api.md from the action lists, so that it cannot name what is not there.

tools/api_wanted.json names the actions that the usual clients call, and the rare ones beside them:
it decides what is counted as missing and what is listed as refused.  With --check it only says whether the file is current (exit 1 when it is not).
"""

import json
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
EFFECTS = """
### What has an effect in a lab

Everything above is kept as AWS keeps it (ids, states, tags, filters, the order of deletion). What it does beyond that:

| resource | effect |
| --- | --- |
| instances | processes of this machine, with an address of their own and a metadata service; user data is run, protection from termination and stopping is obeyed. One whose processes end is terminated, whatever its shutdown behaviour |
| instance types | `RunInstances` takes those of `DescribeInstanceTypes`; their number of processors scales the CPU metric, memory is not limited |
| launch templates, tags, client tokens, zones, the console | as on AWS |
| images | none: an instance of any image runs on this machine's files. `CreateImage` copies nothing |
| VPCs, subnets | where an instance's address comes from. Subnets outside 127.0.0.0/8 are kept, but their instances get addresses of 127.31.128.0/17 |
| route tables, internet gateways, network ACLs, DHCP options | none: every instance reaches the network as this machine does |
| security groups and their rules | none: no packet is filtered |
| network interfaces | each instance has one; groups and attributes of it may be changed, without effect |
| Elastic IP addresses | none: they are shown as the instance's public address, but nothing listens on 127.30.0.0/24 |
| key pairs | real keys (2048 bit RSA, Ed25519), but nobody can log in to an instance |
| volumes, attachments, snapshots | none: an instance sees no disk of them, a snapshot holds no bytes |
| instance profiles | shown; an instance gets no credentials of theirs |
| monitoring, CPU credits, placement and the like | none: kept and shown; CPU is measured every second anyway |
"""


def service_of(path):
    return pathlib.Path(path).stem


def count_table(wanted, lists):
    """Service by service: how many actions, and how many of those that clients usually call."""
    rows = ["\n| service | answered | of those in common use |\n| --- | --- | --- |\n"]
    for title, _, _, path in LISTS:
        common = set(wanted[service_of(path)]["common"])
        done = len(common & set(lists[path]))
        rows.append(f"| {title} | {len(lists[path])} | {done} of {len(common)} |\n")
    return "".join(rows)


def missing(wanted, names):
    """What is refused, by name: the common ones first, since they are to come."""
    parts = []
    for kind, text in (
        ("common", "In common use, not answered yet"),
        ("rare", "Rare, and refused with `InvalidAction`"),
    ):
        refused = sorted(set(wanted[kind]) - set(names))
        if refused:
            parts.append(f"\n{text}: {', '.join(refused)}.\n")
    return "".join(parts)


def page():
    wanted = json.loads((ROOT / "tools/api_wanted.json").read_text())
    lists = {
        path: sorted(
            re.findall(r"^AWS_ACTION\((\w+)\)", (ROOT / path).read_text(), re.M)
        )
        for _, _, _, path in LISTS
    }
    parts = [HEAD, count_table(wanted, lists)]
    for title, version, program, path in LISTS:
        names = lists[path]
        parts.append(
            f"\n## {title} {version}, answered by `{program}` ({len(names)})\n\n"
        )
        parts.append("".join(f"* {name}\n" for name in names))
        parts.append(missing(wanted[service_of(path)], names))
        parts.append(EFFECTS if service_of(path) == "ec2" else "")
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
