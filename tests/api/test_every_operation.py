"""Every operation that botocore knows of our services, asked with nothing and with the least it needs: never a 5xx, never a hang.

What we do not answer is a 400 InvalidAction in the service's protocol: clients give up at once on
that, and retry a 5xx for minutes.
"""

import http.client
import json
import re
import urllib.parse

import botocore.serialize
import botocore.session
import pytest

from conftest import ROOT, SLOW

FOLDERS = {
    "elasticloadbalancing": "elbv2",
    "autoscaling": "autoscaling",
    "monitoring": "cloudwatch",
    "ec2": "ec2",
    "sts": "sts",
    "iam": "iam",
    "acm": "acm",
    "sns": "sns",
    "ssm": "ssm",
}
CBOR = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
TARGET = "GraniteServiceVersion20100801"


def least(shape, depth=0):
    """The required members only; texts and numbers that mean nothing to anybody."""
    kind = shape.type_name
    if kind == "structure":
        return {
            name: least(shape.members[name], depth + 1)
            for name in shape.required_members
            if depth < 8
        }
    if kind == "list":
        return [least(shape.member, depth + 1)]
    if kind == "map":
        return {"k": least(shape.value, depth + 1)}
    if kind in ("integer", "long"):
        return int(shape.metadata.get("min", 1))
    if kind in ("float", "double"):
        return float(shape.metadata.get("min", 1))
    if kind == "boolean":
        return True
    if kind == "timestamp":
        return "2026-11-21T00:00:00Z"
    if kind == "blob":
        return b"blob"
    if shape.enum:
        return shape.enum[0]
    return "x" * max(int(shape.metadata.get("min", 1)), 1)


def listed(service):
    """What docs/api.md says is answered."""
    page = (ROOT / "docs/api.md").read_text()
    title = {
        "elasticloadbalancing": "Elastic Load Balancing v2",
        "autoscaling": "Auto Scaling",
        "monitoring": "CloudWatch",
    }.get(service, service.upper())
    part = re.search(rf"^## {title} [-\d]+, .*\n((?:.*\n)*?)(?=## |\Z)", page, re.M)
    return set(re.findall(r"^\* (\w+)$", part.group(1), re.M)) if part else set()


class Asker:
    """One connection, one service; every request is as the service's clients send it."""

    def __init__(self, port, service):
        self.service = service
        self.port = port
        self.connection = None

    def ask(self, path, body, headers):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(
                "127.0.0.1", self.port, timeout=20 * SLOW
            )
        scope = f"test/20261121/us-east-1/{self.service}/aws4_request"
        headers = {
            **headers,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        }
        self.connection.request("POST", path, body, headers)
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.headers["x-amzn-RequestId"], (path, headers)
        if answer.will_close:
            self.connection.close()
        return answer.status, body

    def code(self, status, body):
        """The error's code, whatever the protocol; None for a success."""
        if status == 200:
            return None
        found = re.search(
            rb'<Code>([\w.]+)</Code>|"__type":"([\w.]+)"|#([A-Za-z]+)gmessage|__typemInvalidAction',
            body,
        )
        assert found, body
        return next((g for g in found.groups() if g), b"InvalidAction").decode()


def check(asker, name, answer, is_listed):
    status, body = answer
    code = asker.code(status, body)
    assert status < 500, (asker.service, name, status, body)
    if not is_listed:
        assert (status, code) == (400, "InvalidAction"), (asker.service, name, body)
    else:
        assert code != "InvalidAction", (asker.service, name, body)


@pytest.mark.parametrize("service", FOLDERS)
def test_every_operation_is_answered_or_refused_at_once(start_lab, service):
    def edit(document):
        for member in list(document):
            if member not in ("Lab", "Lb", "Scaler"):
                del document[member]

    lab = start_lab(edit=edit, ready=False)
    lab.program.wait_log("^ready ")
    model = botocore.session.get_session().get_service_model(FOLDERS[service])
    there = listed(service)
    asker = Asker(lab.aws_port, service)
    serializer = botocore.serialize.create_serializer(model.metadata["protocol"], False)
    for name in model.operation_names:
        operation = model.operation_model(name)
        shape = operation.input_shape
        for document in [{}] + ([least(shape)] if shape else []):
            request = serializer.serialize_to_request(document, operation)
            body = request["body"]
            if isinstance(body, dict):
                body = urllib.parse.urlencode(body)
            headers = {
                "Content-Type": "application/x-www-form-urlencoded",
                **request["headers"],
            }
            check(asker, name, asker.ask("/", body, headers), name in there)
            if service == "monitoring":
                in_json = {
                    "Content-Type": "application/x-amz-json-1.0",
                    "X-Amz-Target": f"{TARGET}.{name}",
                }
                text = json.dumps(document, default=lambda b: "YQ==")
                check(asker, name, asker.ask("/", text, in_json), name in there)
                path = f"/service/{TARGET}/operation/{name}"
                check(asker, name, asker.ask(path, b"\xa0", CBOR), name in there)
    assert lab.program.is_running()
    assert "child-died" not in lab.program.log()
