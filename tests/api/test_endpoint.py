"""The lab's single endpoint: each service is found whatever the client, and what is not served is refused so that clients understand."""

import json
import os
import subprocess
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.exceptions
import pytest

from conftest import SLOW, client


@pytest.fixture
def lab(start_bare_lab):
    return start_bare_lab()


def ask(url, body=None, headers=None, method=None):
    """(status, headers, text)"""
    request = urllib.request.Request(
        url, None if body is None else body.encode(), headers or {}, method=method
    )
    try:
        answer = urllib.request.urlopen(request, timeout=20 * SLOW)
    except urllib.error.HTTPError as e:
        answer = e
    with answer:
        return answer.status, answer.headers, answer.read().decode(errors="replace")


UNSIGNED = {  # aws ... --no-sign-request, which says in User-Agent what it is
    "elbv2": ("describe-load-balancers", "LoadBalancers"),
    "autoscaling": ("describe-auto-scaling-groups", "AutoScalingGroups"),
    "cloudwatch": ("describe-alarms", "MetricAlarms"),
    "ec2": ("describe-vpcs", "Vpcs"),
    "sts": ("get-caller-identity", "Account"),
}


def test_unsigned_commands_reach_their_service(lab):
    for service, (command, member) in UNSIGNED.items():
        done = subprocess.run(
            ["/usr/bin/aws", "--endpoint-url", lab.aws, "--no-sign-request"]
            + ["--region", "us-east-1", "--output", "json", service, command],
            env=dict(os.environ, AWS_PAGER="", AWS_EC2_METADATA_DISABLED="true"),
            capture_output=True,
            text=True,
            timeout=60 * SLOW,
        )
        assert done.returncode == 0, done.stderr
        assert member in json.loads(done.stdout)


def test_unsigned_and_presigned_urls_reach_their_service(lab):
    for text, root in (
        ("Action=DescribeLoadBalancers&Version=2015-12-01", "DescribeLoadBalancers"),
        ("Action=DescribePolicies&Version=2011-01-01", "DescribePolicies"),
        ("Action=ListMetrics&Version=2010-08-01", "ListMetrics"),
        ("Action=DescribeVpcs&Version=2016-11-15", "DescribeVpcs"),
        ("Action=GetCallerIdentity&Version=2011-06-15", "GetCallerIdentity"),
    ):
        status, _, body = ask(f"{lab.aws}/?{text}")
        assert status == 200 and f"<{root}Response" in body
        # A body's Version is not seen by who passes the request on: the answer says what to do.
        status, _, body = ask(f"{lab.aws}/", text)
        assert (
            status == 200 or status == 400 and "Version=" in body.split("<Message>")[1]
        )
    for name, call in (
        ("elbv2", "describe_load_balancers"),
        ("autoscaling", "describe_auto_scaling_groups"),
        ("ec2", "describe_vpcs"),
        ("sts", "get_caller_identity"),
    ):
        url = client(name, lab.aws).generate_presigned_url(call, HttpMethod="GET")
        status, _, body = ask(url)
        assert status == 200, body


def test_cloudwatch_is_found_in_its_three_protocols_without_a_signature(lab):
    target = {"X-Amz-Target": "GraniteServiceVersion20100801.ListMetrics"}
    json_type = {"Content-Type": "application/x-amz-json-1.0"}
    status, _, body = ask(f"{lab.aws}/", "{}", {**target, **json_type})
    assert (status, json.loads(body)["Metrics"]) == (200, [])
    path = "/service/GraniteServiceVersion20100801/operation/ListMetrics"
    cbor = {"smithy-protocol": "rpc-v2-cbor", "Accept": "application/cbor"}
    for prefix in ("", "/a/prefix"):
        status, headers, _ = ask(f"{lab.aws}{prefix}{path}", "", cbor, "POST")
        assert (status, headers["Content-Type"]) == (200, "application/cbor")


def test_what_is_not_served_is_refused_by_name_in_the_clients_protocol(lab):
    once = botocore.config.Config(retries={"max_attempts": 1})
    for name, call in (
        ("rds", "describe_db_instances"),
        ("dynamodb", "list_tables"),
        ("lambda", "list_functions"),
        ("s3", "list_buckets"),
        ("sqs", "list_queues"),
        ("ecr", "describe_repositories"),
        ("eks", "list_clusters"),
        ("route53", "list_hosted_zones"),
    ):
        other = boto3.client(
            name,
            endpoint_url=lab.aws,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=once,
        )
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            getattr(other, call)()
        answer = caught.value.response
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400, answer
        assert answer["Error"]["Code"] == "InvalidAction", (name, answer)
        message = answer["Error"]["Message"]
        for served in (
            "ec2",
            "sts",
            "elasticloadbalancing",
            "autoscaling",
            "monitoring",
        ):
            assert served in message
