"""The codec against botocore's own: for every action that we answer, random documents are sent and read by both.

What botocore sends, we must read; what we send must be what botocore would send; what we answer,
botocore must read.  The seed is fixed, so a failure repeats.
"""

import base64
import datetime
import json
import os
import pathlib
import random
import re
import subprocess
import urllib.parse

import botocore.parsers
import botocore.serialize
import botocore.session
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODE = os.environ.get("ALBATROSS_MODE", "release")
SERVICES = {
    "elasticloadbalancing": "elbv2",
    "autoscaling": "autoscaling",
    "monitoring": "cloudwatch",
    "ec2": "ec2",
    "sts": "sts",
    "iam": "iam",
    "sns": "sns",
    "acm": "acm",
    "ssm": "ssm",
}
LIBRARIES = "-levent_core -levent_extra -levent_pthreads -lcurl -ljansson -lxml2 -lsqlite3 -lpcre2-8 -lcbor -lcrypto -lm"
SANITIZE = {
    "asan": ["-fsanitize=address,undefined"],
    "tsan": ["-fsanitize=thread"],
}
TEXTS = ["plain", "a b&<c>\"'", "ü€😀", "x=y+z%20;", "tab\tand\rreturn"]
MATCHING = {  # a part of a pattern: a text that matches the whole
    "{12}": "123456789012",
    "2|4|5": "404",
    "HTTPS": "HTTPS",
    "ipv4pool": "ipv4pool-coip-1",
    "IQM": "p99",
    "outposts": "arn:aws:outposts:us-east-1:123456789012:outpost/op-12345678901234567",
    "placement-group": "arn:aws:ec2:us-east-1:123456789012:placement-group/abc",
    "{1,3}": "10.0.0.1",
    "[a-z]{2}-": "us-east-1",
    "u002F": "/",
    "((/[A-Za-z0-9": "/",
    ":acm:": "arn:aws:acm:us-east-1:123456789012:certificate/abc",
}


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    """ask(way, service, action, text) -> our codec's answer."""
    tool = tmp_path_factory.mktemp("codec") / "codec_tool"
    source = ROOT / "tests/api/codec_tool.c"
    library = ROOT / f"build/obj/{MODE}/libcommon.a"
    command = ["cc", "-std=gnu17", "-g", "-I", ROOT, "-D_GNU_SOURCE"]
    command += (
        SANITIZE.get(MODE, []) + ["-o", tool, source, library] + LIBRARIES.split()
    )
    subprocess.run(command, check=True)
    with subprocess.Popen(
        [tool], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:

        def ask(way, service, action, text):
            process.stdin.write(f"{way}\t{service}\t{action}\t{text}\n".encode())
            process.stdin.flush()
            return process.stdout.readline().decode().rstrip("\n")

        yield ask
        process.stdin.close()
    assert process.returncode == 0


class Documents:
    """Random documents of a botocore shape; full: with every member."""

    def __init__(self, seed, is_full):
        self.random = random.Random(seed)
        self.is_full = is_full

    def make(self, shape, depth=0):
        kind = shape.type_name
        maker = getattr(self, "make_" + kind, None)
        return maker(shape, depth) if maker else self.make_number(shape)

    def make_structure(self, shape, depth):
        made = {}
        for name, member in shape.members.items():
            needed = name in shape.required_members
            if needed or (depth < 9 and (self.is_full or self.random.random() < 0.6)):
                made[name] = self.make(member, depth + 1)
        return made

    def make_list(self, shape, depth):
        n = self.random.choice([1, 2, 11]) if depth < 4 else 1
        n = min(max(n, shape.metadata.get("min", 0)), shape.metadata.get("max", n))
        return [self.make(shape.member, depth + 1) for _ in range(n)]

    def make_map(self, shape, depth):
        return {f"k{i}": self.make(shape.value, depth + 1) for i in range(2)}

    def make_boolean(self, _shape, _depth):
        return self.random.random() < 0.5

    def make_timestamp(self, _shape, _depth):
        return self.random.choice(["2026-11-21T00:31:08Z", "2026-11-21T00:31:08.250Z"])

    def make_blob(self, _shape, _depth):
        return b"hello"

    def make_string(self, shape, _depth):
        if shape.enum:
            return self.random.choice(shape.enum)
        pattern = shape.metadata.get("pattern")
        for part, text in MATCHING.items():
            if pattern and part in pattern:
                return text
        text = "plain" if pattern else self.random.choice(TEXTS)
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 99)
        return (text * (1 + low // len(text)))[: min(high, max(low, len(text)))]

    def make_number(self, shape):
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 99999)
        if shape.type_name in ("integer", "long"):
            return self.random.randint(int(low), int(high))
        return float(self.random.choice([low, high, (low + high) / 3]))


def pruned(value):
    """Without what no protocol carries (empty structures and lists); times and blobs as our text."""
    if isinstance(value, dict):
        kept = {name: pruned(child) for name, child in value.items()}
        return {
            name: child for name, child in kept.items() if child not in ({}, [], None)
        }
    if isinstance(value, list):
        return [child for child in map(pruned, value) if child not in ({}, [])]
    if isinstance(value, datetime.datetime):
        value = value.astimezone(datetime.timezone.utc)
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, str):
        return re.sub(r"^(2026-11-21T00:31:08)Z$", r"\1.000Z", value)
    return value


def sent(pairs):
    """Pairs of a form, apart from ways of writing that mean the same."""

    def plain(text):
        if text in ("True", "False"):
            return text.lower()
        if re.fullmatch(r"-?[0-9.]+(e-?[0-9]+)?", text):
            return float(text)
        return pruned(re.sub(r"(:08\.\d{3})0*Z$", r"\1Z", text))

    return {name: plain(str(value)) for name, value in pairs}


def is_sendable(document, shape):
    """Required members without content do not reach the wire at all."""
    if shape.type_name == "structure":
        return all(
            name in document and document[name] not in ({}, [])
            for name in shape.required_members
        ) and all(
            is_sendable(child, shape.members[name]) for name, child in document.items()
        )
    if shape.type_name == "list":
        return all(is_sendable(child, shape.member) for child in document)
    return True


def actions():
    for service in SERVICES:
        table = json.loads(
            (ROOT / f"common/aws/shapes/{service}.json").read_text(encoding="utf-8")
        )
        for action in table["operations"]:
            yield service, action


def test_the_tables_hold_every_listed_action():
    """If not: make shapes."""
    listed = set()
    for path in ROOT.glob("*/*/*.def"):
        names = re.findall(r"^AWS_ACTION\((\w+)\)", path.read_text(), re.M)
        listed |= {(path.stem, name) for name in names}
    assert listed == set(actions())


@pytest.fixture(scope="module")
def models():
    session = botocore.session.get_session()
    return {
        name: session.get_service_model(folder) for name, folder in SERVICES.items()
    }


def operation_of(models, service, action):
    if action not in models[service].operation_names:
        pytest.skip(f"this botocore does not know {action}")
    return models[service].operation_model(action)


@pytest.mark.parametrize("service,action", actions())
def test_requests_are_as_botocore_writes_them(codec, models, service, action):
    operation = operation_of(models, service, action)
    serializer = botocore.serialize.create_serializer(
        models[service].metadata["protocol"], False
    )
    for seed in range(4 if operation.input_shape else 0):
        document = Documents(seed, seed == 0).make(operation.input_shape)
        request = serializer.serialize_to_request(document, operation)["body"]
        if isinstance(request, bytes):  # JSON, which we answer and never speak
            wire = request.decode()
        else:
            mine = codec("encode", service, action, json.dumps(pruned_blobs(document)))
            mine = urllib.parse.parse_qsl(mine, True)
            assert sent(mine) == sent(request.items()), seed
            wire = urllib.parse.urlencode(request)
        if not is_sendable(pruned(document), operation.input_shape):
            continue
        read = codec("decode", service, action, wire)
        assert not read.startswith("error: "), read
        assert pruned(json.loads(read)) == pruned(document), seed


def pruned_blobs(value):
    """The document as our JSON has it: blobs in base64, the rest untouched."""
    if isinstance(value, dict):
        return {name: pruned_blobs(child) for name, child in value.items()}
    if isinstance(value, list):
        return [pruned_blobs(child) for child in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("service,action", actions())
def test_answers_are_as_botocore_reads_them(codec, models, service, action):
    operation = operation_of(models, service, action)
    parser = botocore.parsers.create_parser(models[service].metadata["protocol"])
    for seed in range(4 if operation.output_shape else 0):
        document = Documents(seed, seed == 0).make(operation.output_shape)
        text = codec("answer", service, action, json.dumps(pruned_blobs(document)))
        answer = {"status_code": 200, "headers": {}, "body": text.encode()}
        read = parser.parse(answer, operation.output_shape)
        assert read.pop("ResponseMetadata").get("RequestId", "id") == "id"
        assert pruned(read) == pruned(document), seed
