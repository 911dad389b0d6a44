"""CloudWatch in AWS JSON 1.0, as newer SDKs and CLIs speak it; the bytes are those that boto3 1.43 sends."""

import gzip
import json
import urllib.error
import urllib.request

import pytest

from conftest import free_port, wait_for


@pytest.fixture
def scaler(programs):
    port = free_port()
    path = programs.config({"Scaler": {"ApiAddress": f"127.0.0.1:{port}"}})
    programs.start("albatross-scaler", "-c", path).wait_log("started api")
    return f"http://127.0.0.1:{port}/"


def ask(url, action, document, prefix="GraniteServiceVersion20100801", compress=False):
    """(status, headers, parsed body)"""
    body = json.dumps(document).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"{prefix}.{action}",
        "x-amzn-query-mode": "true",
    }
    if compress:
        body = gzip.compress(body)
        headers["Content-Encoding"] = "gzip"
    request = urllib.request.Request(url, body, headers)
    try:
        answer = urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as e:
        answer = e
    with answer:
        return answer.status, answer.headers, json.loads(answer.read())


def test_data_put_in_json_is_read_in_json(scaler):
    datum = {
        "MetricName": "m",
        "Value": 1.5,
        "Timestamp": 1795200000.25,
        "Unit": "Count",
    }
    status, headers, body = ask(
        scaler, "PutMetricData", {"Namespace": "N", "MetricData": [datum]}
    )
    assert (status, body) == (200, {})
    assert headers["Content-Type"] == "application/x-amz-json-1.0"
    assert headers["x-amzn-RequestId"]
    question = {
        "Namespace": "N",
        "MetricName": "m",
        "StartTime": 1795199940,
        "EndTime": 1795200060,
        "Period": 60,
        "Statistics": ["Sum"],
    }
    status, _, body = ask(scaler, "GetMetricStatistics", question)
    assert status == 200
    assert body["Datapoints"] == [
        {"Timestamp": 1795200000, "Sum": 1.5, "Unit": "Count"}
    ]


def test_a_compressed_body_is_read_and_a_bomb_is_not(scaler):
    data = [{"MetricName": f"metric-{i}", "Value": i} for i in range(600)]
    document = {"Namespace": "Big", "MetricData": data}
    assert ask(scaler, "PutMetricData", document, compress=True)[0] == 200
    status, _, body = ask(scaler, "ListMetrics", {"Namespace": "Big"})
    assert status == 200 and len(body["Metrics"]) == 500 and body["NextToken"]
    status, _, body = ask(
        scaler, "PutMetricData", {"Namespace": "N" * (3 << 20)}, compress=True
    )
    assert status == 413


def test_errors_carry_the_shape_and_the_query_code(scaler):
    document = {"AlarmName": "none", "StateValue": "OK", "StateReason": "r"}
    status, headers, body = ask(scaler, "SetAlarmState", document)
    assert status == 404
    assert headers["x-amzn-query-error"] == "ResourceNotFound;Sender"
    assert body["__type"] == "ResourceNotFound" and "none" in body["message"]
    status, headers, body = ask(scaler, "PutDashboardOfMine", {})
    assert (status, headers["x-amzn-query-error"]) == (400, "InvalidAction;Sender")
    status, _, body = ask(scaler, "ListCertificates", {}, prefix="CertificateManager")
    assert (status, body["__type"]) == (400, "InvalidAction")
    status, _, body = ask(scaler, "ListMetrics", {"Namespace": 5})
    assert status == 400 and "'namespace'" in body["message"]
    wait_for(
        lambda: ask(scaler, "DescribeAlarms", {})[0] == 200,
        what="an answer after all that",
    )
