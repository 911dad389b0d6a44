#!/usr/bin/python3
"""Writes common/aws/shapes/SERVICE.json: the facts of AWS's service models that the codec needs.

Reads which actions we answer (the .def lists), takes botocore's models (python3-botocore), keeps
the shapes that those actions and common/aws/shapes/config.json reach, applies
common/aws/shapes/overrides.json, and writes one shape a line, keys sorted, so that the same input
always gives the same bytes.  Facts only: no documentation text is taken over.  A pattern that
PCRE2 cannot compile ends the run: it must be mended in the overrides, not found at run time.
"""

import ctypes
import glob
import gzip
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLES = os.path.join(ROOT, "common", "aws", "shapes")
MODELS = "/usr/lib/python3/dist-packages/botocore/data"
SERVICES = {  # SigV4 scope name: botocore's folder, the list of actions
    "elasticloadbalancing": ("elbv2", "lb/api/elasticloadbalancing.def"),
    "autoscaling": ("autoscaling", "scaler/api/autoscaling.def"),
    "monitoring": ("cloudwatch", "scaler/api/monitoring.def"),
    "ec2": ("ec2", "lab/ec2/ec2.def"),
    "sts": ("sts", "lab/ec2/sts.def"),
    "iam": ("iam", "lab/neighbours/iam.def"),
    "sns": ("sns", "lab/neighbours/sns.def"),
    "ssm": ("ssm", "lab/neighbours/ssm.def"),
    "acm": ("acm", "lb/api/acm.def"),
}


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def read_model(folder):
    newest = sorted(glob.glob(f"{MODELS}/{folder}/*"))[-1]
    plain = os.path.join(newest, "service-2.json")
    if os.path.exists(plain):
        return read_json(plain)
    with gzip.open(plain + ".gz", "rt", encoding="utf-8") as file:
        return json.load(file)


def read_actions(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return sorted(set(re.findall(r"^AWS_ACTION\((\w+)\)", file.read(), re.M)))


def pcre_pattern(pattern):
    """The models' Java spelling of code points in PCRE2's."""
    pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\x{10000}-\x{10FFFF}")
    pattern = pattern.replace(r"\u10000-\u10FFFF", r"\x{10000}-\x{10FFFF}")
    return re.sub(r"\\u([0-9A-Fa-f]{4})", r"\\x{\1}", pattern)


def check_pattern(pattern, where):
    pcre = ctypes.CDLL("libpcre2-8.so.0")
    pcre.pcre2_compile_8.restype = ctypes.c_void_p
    pcre.pcre2_compile_8.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint32,
        ctypes.POINTER(ctypes.c_int),
        ctypes.POINTER(ctypes.c_size_t),
        ctypes.c_void_p,
    ]
    code, offset = ctypes.c_int(), ctypes.c_size_t()
    text = pattern.encode()
    utf = 0x00080000
    if not pcre.pcre2_compile_8(
        text, len(text), utf, ctypes.byref(code), ctypes.byref(offset), None
    ):
        sys.exit(
            f"shapes: {where}: PCRE2 refuses the pattern {pattern!r} at {offset.value}"
        )


class Extractor:
    """One service's model, cut down to what is reached."""

    def __init__(self, service, model):
        self.service = service
        self.raw = model
        self.is_ec2 = model["metadata"]["protocol"] == "ec2"
        self.shapes = {}

    def location(self, reference):
        """locationName of a reference, else of the shape it names (botocore's rule)."""
        own = self.raw["shapes"].get(reference["shape"], {})
        return reference.get("locationName") or own.get("locationName")

    def member(self, name, reference, required):
        location = self.location(reference)
        if self.is_ec2:
            query = reference.get("queryName")
            query = query or (location[0].upper() + location[1:] if location else name)
        else:
            query = location or name
        fact = {"name": name, "shape": reference["shape"]}
        if query != name:
            fact["query"] = query
        if (location or name) != name:
            fact["xml"] = location
        if name in required:
            fact["required"] = True
        return fact

    def scalar(self, raw):
        fact = {"kind": raw["type"]}
        for key in ("min", "max"):
            if key in raw:
                fact[key] = raw[key]
        if "pattern" in raw:
            fact["pattern"] = pcre_pattern(raw["pattern"])
        if "enum" in raw:
            fact["enum"] = raw["enum"]
        return fact

    def fact(self, name):
        raw = self.raw["shapes"][name]
        fact = self.scalar(raw)
        if raw["type"] == "structure":
            required = raw.get("required", [])
            fact["members"] = [
                self.member(key, reference, required)
                for key, reference in raw["members"].items()
            ]
        elif raw["type"] == "list":
            fact["element"] = raw["member"]["shape"]
            location = self.location(raw["member"])
            if location and location != ("item" if self.is_ec2 else "member"):
                fact["name"] = location
        elif raw["type"] == "map":
            fact["key"] = raw["key"]["shape"]
            fact["value"] = raw["value"]["shape"]
            for part in ("key", "value"):
                if self.location(raw[part]):
                    fact[part + "_name"] = self.location(raw[part])
        if raw.get("flattened"):
            fact["flattened"] = True
        return fact

    def operations(self, actions, added):
        facts = {}
        for action in actions:
            raw = self.raw["operations"].get(action)
            if raw is None and action not in added:
                sys.exit(
                    f"shapes: {self.service} has no action {action}; mind overrides.json"
                )
            if raw is None:
                facts[action] = added[action]
                continue
            facts[action] = {
                part: raw[part]["shape"] for part in ("input", "output") if part in raw
            }
            for part, shape in added.get(action, {}).items():
                facts[action].setdefault(part, shape)
        return facts

    def errors(self):
        facts = {}
        for name, raw in self.raw["shapes"].items():
            if not raw.get("exception"):
                continue
            error = raw.get("error", {})
            facts[name] = {
                "code": error.get("code", name),
                "status": error.get("httpStatusCode", 500 if raw.get("fault") else 400),
            }
        return facts

    def reach(self, roots):
        waiting = list(roots)
        while waiting:
            name = waiting.pop()
            if name in self.shapes:
                continue
            if name in self.raw["shapes"]:
                fact = self.fact(name)
            elif name in self.defined:
                fact = self.defined[name]
            else:
                sys.exit(f"shapes: {self.service} has no shape {name}")
            self.patch(name, fact)
            self.shapes[name] = fact
            waiting += [member["shape"] for member in fact.get("members", [])]
            waiting += [
                fact[part] for part in ("element", "key", "value") if part in fact
            ]

    def patch(self, name, fact):
        for patch in self.overrides:
            if patch.get("shape") != name:
                continue
            fact.update(patch.get("set", {}))
            for key in patch.get("drop", []):
                fact.pop(key, None)
            known = {member["name"] for member in fact.get("members", [])}
            fact.get("members", []).extend(
                m for m in patch.get("add", []) if m["name"] not in known
            )

    def extract(self, actions, roots, overrides):
        self.overrides = overrides
        self.defined = {
            p["shape"]: p["define"] for p in overrides if "shape" in p and "define" in p
        }
        added = {p["operation"]: p["define"] for p in overrides if "operation" in p}
        operations = self.operations(actions, added)
        errors = self.errors()
        for patch in overrides:
            if "error" in patch:
                errors[patch["error"]] = patch["define"]
        for operation in operations.values():
            roots = roots | set(operation.values())
        self.reach(roots)
        for name, fact in self.shapes.items():
            if "pattern" in fact:
                check_pattern(fact["pattern"], f"{self.service}.{name}")
        return operations, errors


def write_lines(out, title, facts, last=False):
    out.append(f'"{title}":{{')
    rows = [
        f"{json.dumps(name)}:"
        + json.dumps(facts[name], sort_keys=True, separators=(",", ":"))
        for name in sorted(facts)
    ]
    out.append(",\n".join(rows))
    out.append("}" if last else "},")


def write_table(service, metadata, overrides, operations, errors, shapes):
    model = {
        "service": service,
        "version": metadata["apiVersion"],
        "namespace": metadata.get("xmlNamespace", ""),
        "protocol": metadata["protocol"],
    }
    if metadata["protocol"] == "json":
        model["target"] = metadata["targetPrefix"]
        model["json_type"] = "application/x-amz-json-" + metadata["jsonVersion"]
    for patch in overrides:
        model.update(patch.get("model", {}))
    out = ["{", '"model":' + json.dumps(model, sort_keys=True) + ","]
    write_lines(out, "operations", operations)
    write_lines(out, "errors", errors)
    write_lines(out, "shapes", shapes, last=True)
    out.append("}\n")
    with open(os.path.join(TABLES, service + ".json"), "w", encoding="utf-8") as file:
        file.write("\n".join(out))


def config_roots():
    """What config.json names of each service: "$service.Shape"."""
    roots = {}
    with open(os.path.join(TABLES, "config.json"), encoding="utf-8") as file:
        for service, shape in re.findall(r'"\$(\w+)\.(\w+)"', file.read()):
            roots.setdefault(service, set()).add(shape)
    return roots


def check_config():
    for name, fact in read_json(os.path.join(TABLES, "config.json"))["shapes"].items():
        if "pattern" in fact:
            check_pattern(fact["pattern"], f"config.{name}")


def main():
    check_config()
    all_overrides = read_json(os.path.join(TABLES, "overrides.json"))
    roots = config_roots()
    for service, (folder, actions) in SERVICES.items():
        overrides = all_overrides.get(service, [])
        for patch in overrides:
            if "reason" not in patch:
                sys.exit(
                    f"shapes: overrides.json: {service}: an override without a reason: {patch}"
                )
        model = read_model(folder)
        extractor = Extractor(service, model)
        operations, errors = extractor.extract(
            read_actions(actions), roots.get(service, set()), overrides
        )
        write_table(
            service, model["metadata"], overrides, operations, errors, extractor.shapes
        )
        print(f"{service}: {len(operations)} actions, {len(extractor.shapes)} shapes")


if __name__ == "__main__":
    main()
