#!/usr/bin/python3
"""Writes docs/api.md from the action lists, so that it cannot name what is not there.

tools/api_priorities.json says which actions tools and courses need (1), which are commonly used (2),
and which others of the service AWS has (3; of EC2 and of the services beside only some).
With --check it only says whether the file is current (exit 1 when it is not).
"""

import json
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVICES = {  # scope name: title, version, program, list
    "elasticloadbalancing": (
        "Elastic Load Balancing v2",
        "2015-12-01",
        "albatross-lb",
        "lb/api/elasticloadbalancing.def",
    ),
    "autoscaling": (
        "Auto Scaling",
        "2011-01-01",
        "albatross-scaler",
        "scaler/api/autoscaling.def",
    ),
    "monitoring": (
        "CloudWatch",
        "2010-08-01",
        "albatross-scaler",
        "scaler/api/monitoring.def",
    ),
    "ec2": ("EC2", "2016-11-15", "albatross-lab", "lab/ec2/ec2.def"),
    "sts": ("STS", "2011-06-15", "albatross-lab", "lab/ec2/sts.def"),
    "iam": ("IAM", "2010-05-08", "albatross-lab", "lab/neighbours/iam.def"),
    "acm": ("ACM", "2015-12-08", "albatross-lb", "lb/api/acm.def"),
    "sns": ("SNS", "2010-03-31", "albatross-lab", "lab/neighbours/sns.def"),
    "ssm": ("SSM", "2014-11-06", "albatross-lab", "lab/neighbours/ssm.def"),
}
HEAD = """# The API

The actions that each program answers; generated from the action lists by `tools/api_doc.py`. Any other action answers 400
`InvalidAction`, and so does any other service. All are spoken to in AWS's Query protocol, but for ACM, which has JSON 1.1 alone;
CloudWatch also in JSON 1.0 and in CBOR (Smithy RPC v2), as newer SDKs and CLIs do.

Without `Credentials` in the program's section of the configuration an API listens on loopback only and takes every signature;
with them SigV4 is verified on every request.

## How much of it

Each service's table counts what is answered of priority 1, what the clients of a lab call (Terraform, the aws command, SDKs,
Ansible), and of 2, what is commonly used with the same resources. 3 is the rest. Which is which stands in
`tools/api_priorities.json`; `tools/api_doc.py --counts` prints the sums.
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


def answered(service):
    path = ROOT / SERVICES[service][3]
    if not path.exists():
        return []
    return sorted(re.findall(r"^AWS_ACTION\((\w+)\)", path.read_text(), re.M))


def priorities():
    return json.loads((ROOT / "tools/api_priorities.json").read_text())


def counts(service):
    """[(done, total)] of priorities 1 and 2."""
    there, wanted = set(answered(service)), priorities()[service]
    return [(len(there & set(wanted.get(p, []))), len(wanted.get(p, []))) for p in "12"]


def table(service):
    parts = counts(service)
    cells = [f"{done} / {total}" if total else "-" for done, total in parts]
    done, total = sum(d for d, _ in parts), sum(t for _, t in parts)
    return (
        "| priority 1 | priority 2 | together | answered beyond |\n| --- | --- | --- | --- |\n"
        f"| {cells[0]} | {cells[1]} | {done} / {total} | {len(answered(service)) - done} |\n\n"
    )


def print_sums():
    for level, text in ((0, "priority 1"), (1, "priority 2")):
        parts = [counts(service)[level] for service in SERVICES]
        print(f"{text}: {sum(d for d, _ in parts)} of {sum(t for _, t in parts)}")


def names(words):
    return textwrap.fill(", ".join(words), 130, break_on_hyphens=False) + "\n"


def section(service):
    title, version, program, _ = SERVICES[service]
    there = answered(service)
    if not there:
        return f"\n## {title} {version}: not supported\n"
    text = f"\n## {title} {version}, answered by `{program}`\n\n" + table(service)
    text += "".join(f"* {name}\n" for name in there)
    for label, levels in (("Not supported yet", "12"), ("Not supported", "3")):
        wanted = priorities()[service]
        missing = sorted(set(n for p in levels for n in wanted.get(p, [])) - set(there))
        if missing:
            text += f"\n{label} (priority {' and '.join(levels)}):\n\n"
            text += names(missing)
    return text + (EFFECTS if service == "ec2" else "")


def page():
    return HEAD + "".join(section(service) for service in SERVICES)


def main():
    target = ROOT / "docs/api.md"
    if "--counts" in sys.argv[1:]:
        print_sums()
        return 0
    if "--check" in sys.argv[1:]:
        if not target.exists() or target.read_text() != page():
            print("docs/api.md is not current: run tools/api_doc.py")
            return 1
        return 0
    target.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
