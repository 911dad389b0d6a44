"""SigV4 as real clients sign, against programs with Credentials: each service's codes and statuses, and what must not pass."""

import datetime
import json
import os
import subprocess
import urllib.error
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions
import boto3
import pytest

from conftest import SLOW, free_port, http_get

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TEMPORARY = {
    "AccessKeyId": "ASIAEXAMPLE",
    "SecretAccessKey": "two",
    "SessionToken": "a+token/==",
}
VERSIONS = {
    "autoscaling": ("DescribeAutoScalingGroups", "2011-01-01"),
    "monitoring": ("DescribeAlarms", "2010-08-01"),
    "ec2": ("DescribeVpcs", "2016-11-15"),
    "sts": ("GetCallerIdentity", "2011-06-15"),
    "elasticloadbalancing": ("DescribeLoadBalancers", "2015-12-01"),
}


@pytest.fixture
def lab(start_bare_lab):
    return start_bare_lab(
        Credentials=[{"AccessKeyId": KEY, "SecretAccessKey": SECRET}, TEMPORARY]
    )


def signed(
    url, service, key=KEY, secret=SECRET, token=None, minutes=0, expires=None, body=None
):
    """A request that botocore signed, as if its clock were minutes off; expires makes it presigned."""
    action, version = VERSIONS[service]
    text = f"Action={action}&Version={version}"
    credentials = botocore.credentials.Credentials(key, secret, token)
    request = botocore.awsrequest.AWSRequest(
        "GET" if expires else "POST",
        f"{url}/?{text}" if expires else f"{url}/",
        {} if expires else {"Content-Type": "application/x-www-form-urlencoded"},
        None if expires else text,
    )
    signer = (
        botocore.auth.SigV4QueryAuth(credentials, service, "us-east-1", expires=expires)
        if expires
        else botocore.auth.SigV4Auth(credentials, service, "us-east-1")
    )

    class Clock(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return datetime.datetime.now(datetime.timezone.utc).replace(
                tzinfo=None
            ) + datetime.timedelta(minutes=minutes)

    real = botocore.auth.datetime.datetime
    botocore.auth.datetime.datetime = Clock
    try:
        signer.add_auth(request)
    finally:
        botocore.auth.datetime.datetime = real
    return request.prepare()


def send(request, **changes):
    """(status, body) of what was signed, with what a middleman changes."""
    body = changes.get("body", request.body)
    asked = urllib.request.Request(
        changes.get("url", request.url),
        body.encode() if isinstance(body, str) else body,
        {**dict(request.headers.items()), **changes.get("headers", {})},
        method=request.method,
    )
    try:
        with urllib.request.urlopen(asked, timeout=20 * SLOW) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        with e:
            assert e.headers["x-amzn-RequestId"]
            return e.code, e.read().decode()


def refused(answer, status, code, words=""):
    assert answer[0] == status and f"<Code>{code}</Code>" in answer[1], answer
    assert words in answer[1], answer


def test_what_is_signed_passes_through_the_single_endpoint_and_the_rest_does_not(lab):
    for service in VERSIONS:
        is_ec2 = service == "ec2"
        mismatch = (401, "AuthFailure") if is_ec2 else (403, "SignatureDoesNotMatch")
        bad_key = (401, "AuthFailure") if is_ec2 else (403, "InvalidClientTokenId")
        assert send(signed(lab.aws, service))[0] == 200, service
        assert send(signed(lab.aws, service, expires=60))[0] == 200, service
        refused(send(signed(lab.aws, service, secret="wrong")), *mismatch)
        refused(send(signed(lab.aws, service, expires=60, secret="wrong")), *mismatch)
        refused(send(signed(lab.aws, service, key="AKIANOBODY")), *bad_key)
        good = signed(lab.aws, service)
        refused(send(good, body=good.body[:-1] + "9"), *mismatch)
        refused(send(good, headers={"X-Amz-Meta": "added"}), *mismatch)
        late = signed(lab.aws, service, minutes=-6)
        if is_ec2:
            refused(send(late), 400, "RequestExpired", "Request has expired")
        else:
            refused(send(late), *mismatch, "Signature expired: ")
            early = signed(lab.aws, service, minutes=6)
            refused(send(early), *mismatch, "Signature not yet current: ")
        assert send(signed(lab.aws, service, minutes=-4))[0] == 200
        old = signed(lab.aws, service, minutes=-3, expires=60)
        assert send(old)[0] in (400, 403)
        action, version = VERSIONS[service]
        url = f"{lab.aws}/?Action={action}&Version={version}"
        with pytest.raises(urllib.error.HTTPError) as caught:
            http_get(url)
        refused(
            (caught.value.code, caught.value.read().decode()),
            403,
            "MissingAuthenticationToken",
        )


def test_a_temporary_key_needs_its_token(lab):
    key = {"key": TEMPORARY["AccessKeyId"], "secret": TEMPORARY["SecretAccessKey"]}
    token = TEMPORARY["SessionToken"]
    for expires in (None, 60):
        more = {**key, "expires": expires}
        assert send(signed(lab.aws, "sts", token=token, **more))[0] == 200
        bad = signed(lab.aws, "sts", token="another", **more)
        refused(send(bad), 403, "InvalidClientTokenId")
        refused(send(signed(lab.aws, "sts", **more)), 403, "InvalidClientTokenId")
    refused(send(signed(lab.aws, "sts", token="unasked")), 403, "InvalidClientTokenId")


def test_a_signature_for_one_service_is_not_good_for_another(lab, programs):
    """Behind the endpoint the scaler has two services; JSON and CBOR name theirs apart from the scope."""
    port = free_port()
    path = programs.config(
        {
            "Scaler": {
                "ApiAddress": f"127.0.0.1:{port}",
                "Credentials": [{"AccessKeyId": KEY, "SecretAccessKey": SECRET}],
            }
        },
        "scaler.json",
    )
    programs.start("albatross-scaler", "-c", path).wait_log("started api")
    request = botocore.awsrequest.AWSRequest(
        "POST",
        f"http://127.0.0.1:{port}/",
        {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": "GraniteServiceVersion20100801.DescribeAlarms",
        },
        "{}",
    )
    credentials = botocore.credentials.Credentials(KEY, SECRET)
    botocore.auth.SigV4Auth(credentials, "autoscaling", "us-east-1").add_auth(request)
    status, body = send(request.prepare())
    assert status == 403, body
    assert json.loads(body)["__type"] == "SignatureDoesNotMatch"
    assert "'monitoring'" in body


def test_curl_and_boto3_sign_as_we_verify(lab):
    def curl(secret):
        done = subprocess.run(
            ["curl", "-sS", "--aws-sigv4", "aws:amz:us-east-1:sts"]
            + ["--user", f"{KEY}:{secret}", f"{lab.aws}/"]
            + ["-d", "Action=GetCallerIdentity&Version=2011-06-15"],
            capture_output=True,
            text=True,
            timeout=30 * SLOW,
        )
        return done.stdout

    assert "<Account>000000000000</Account>" in curl(SECRET)
    assert "<Code>SignatureDoesNotMatch</Code>" in curl("no")
    once = botocore.config.Config(retries={"max_attempts": 1})
    for name, code in (
        ("ec2", "AuthFailure"),
        ("elbv2", "SignatureDoesNotMatch"),
        ("cloudwatch", "SignatureDoesNotMatch"),
    ):
        client = boto3.client(
            name,
            endpoint_url=lab.aws,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key="wrong",
            config=once,
        )
        ask = {
            "ec2": "describe_vpcs",
            "elbv2": "describe_load_balancers",
            "cloudwatch": "describe_alarms",
        }[name]
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            getattr(client, ask)()
        assert caught.value.response["Error"]["Code"] == code


def test_the_programs_sign_their_own_calls(lab):
    """The lab's children and the lab talk to each other with the first key, or nothing would be ready."""
    env = dict(
        os.environ,
        AWS_ACCESS_KEY_ID=KEY,
        AWS_SECRET_ACCESS_KEY=SECRET,
        AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
    )
    done = subprocess.run(
        ["/usr/bin/aws", "--endpoint-url", lab.aws, "sts", "get-caller-identity"],
        env=env,
        capture_output=True,
        text=True,
        timeout=60 * SLOW,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Account"] == "000000000000"
    assert "SignatureDoesNotMatch" not in lab.program.log()
