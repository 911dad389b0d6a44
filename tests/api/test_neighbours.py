"""IAM and SNS as the lab has them: what tools create converges, what topics are told arrives."""

import http.server
import json
import queue
import subprocess
import threading
import urllib.parse
import urllib.request

import botocore.exceptions
import pytest

from conftest import client, wait_for

POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


@pytest.fixture
def lab(start_bare_lab):
    return start_bare_lab()


@pytest.fixture
def inbox():
    """An http endpoint: (url, queue of (headers, body)); statuses says what to answer first."""
    messages, statuses = queue.Queue(), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(statuses.pop(0) if statuses else 200)
            self.end_headers()
            messages.put((dict(self.headers), body))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    messages.statuses = statuses
    yield f"http://127.0.0.1:{server.server_port}/inbox", messages
    server.shutdown()


def refused(code, status, call, **input):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**input)
    answer = caught.value.response
    assert answer["Error"]["Code"] == code, answer
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status, answer
    return answer["Error"]["Message"]


def test_a_role_and_its_instance_profile_from_nothing_to_nothing(lab):
    iam = lab.client("iam")
    assert iam.get_user()["User"]["Arn"] == "arn:aws:iam::000000000000:root"
    refused("NoSuchEntity", 404, iam.get_role, RoleName="web")
    role = iam.create_role(
        RoleName="web",
        AssumeRolePolicyDocument=POLICY,
        Tags=[{"Key": "a", "Value": "b"}],
    )["Role"]
    assert role["Arn"] == "arn:aws:iam::000000000000:role/web"
    assert role["RoleId"].startswith("AROA") and len(role["RoleId"]) == 21
    got = iam.get_role(RoleName="web")["Role"]
    assert got["AssumeRolePolicyDocument"] == json.loads(POLICY)
    assert (got["MaxSessionDuration"], got["Path"]) == (3600, "/")
    refused(
        *("EntityAlreadyExists", 409, iam.create_role),
        **{"RoleName": "web", "AssumeRolePolicyDocument": POLICY},
    )
    refused(
        *("MalformedPolicyDocument", 400, iam.create_role),
        **{"RoleName": "bad", "AssumeRolePolicyDocument": "nonsense"},
    )
    iam.put_role_policy(RoleName="web", PolicyName="own", PolicyDocument=POLICY)
    assert iam.list_role_policies(RoleName="web")["PolicyNames"] == ["own"]
    got = iam.get_role_policy(RoleName="web", PolicyName="own")
    assert got["PolicyDocument"] == json.loads(POLICY)
    managed = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    iam.attach_role_policy(RoleName="web", PolicyArn=managed)
    iam.attach_role_policy(RoleName="web", PolicyArn=managed)
    assert iam.list_attached_role_policies(RoleName="web")["AttachedPolicies"] == [
        {"PolicyName": "AmazonSSMManagedInstanceCore", "PolicyArn": managed}
    ]
    profile = iam.create_instance_profile(InstanceProfileName="web")["InstanceProfile"]
    assert profile["Roles"] == [] and profile["InstanceProfileId"].startswith("AIPA")
    iam.get_waiter("instance_profile_exists").wait(InstanceProfileName="web")
    both = {"InstanceProfileName": "web", "RoleName": "web"}
    iam.add_role_to_instance_profile(**both)
    refused("LimitExceeded", 409, iam.add_role_to_instance_profile, **both)
    got = iam.get_instance_profile(InstanceProfileName="web")["InstanceProfile"]
    assert [r["RoleName"] for r in got["Roles"]] == ["web"]
    (one,) = iam.list_instance_profiles_for_role(RoleName="web")["InstanceProfiles"]
    assert one["Arn"] == "arn:aws:iam::000000000000:instance-profile/web"
    refused(
        *("DeleteConflict", 409, iam.delete_instance_profile),
        InstanceProfileName="web",
    )
    for undo in (
        lambda: iam.delete_role_policy(RoleName="web", PolicyName="own"),
        lambda: iam.detach_role_policy(RoleName="web", PolicyArn=managed),
        lambda: iam.remove_role_from_instance_profile(**both),
    ):
        refused("DeleteConflict", 409, iam.delete_role, RoleName="web")
        undo()
    iam.delete_role(RoleName="web")
    iam.delete_instance_profile(InstanceProfileName="web")
    assert iam.list_roles()["Roles"] == []
    refused(*("NoSuchEntity", 404, iam.get_instance_profile), InstanceProfileName="web")


def test_topics_are_kept_and_tagged(lab):
    sns = lab.client("sns")
    tags = [{"Key": "team", "Value": "web"}]
    arn = sns.create_topic(Name="ops", Attributes={"DisplayName": "Ops"}, Tags=tags)[
        "TopicArn"
    ]
    assert arn == "arn:aws:sns:us-east-1:000000000000:ops"
    assert sns.create_topic(Name="ops")["TopicArn"] == arn
    refused(
        *("InvalidParameter", 400, sns.create_topic),
        **{"Name": "ops", "Attributes": {"DisplayName": "other"}},
    )
    refused("InvalidParameter", 400, sns.create_topic, Name="no spaces")
    sns.set_topic_attributes(
        TopicArn=arn, AttributeName="DisplayName", AttributeValue="O&M"
    )
    got = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert (got["DisplayName"], got["Owner"]) == ("O&M", "000000000000")
    assert json.loads(got["Policy"])["Statement"] and got["SubscriptionsPending"] == "0"
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == tags
    sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "x", "Value": "1"}])
    sns.untag_resource(ResourceArn=arn, TagKeys=["team"])
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [
        {"Key": "x", "Value": "1"}
    ]
    assert [t["TopicArn"] for t in sns.list_topics()["Topics"]] == [arn]
    mail = sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="a@b.example")
    assert mail["SubscriptionArn"] == "pending confirmation"
    (one,) = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert (one["SubscriptionArn"], one["Protocol"]) == ("PendingConfirmation", "email")
    for protocol in ("sqs", "lambda", "sms"):
        message = refused(
            *("InvalidParameter", 400, sns.subscribe),
            **{"TopicArn": arn, "Protocol": protocol, "Endpoint": "x"},
        )
        assert "not supported" in message
    sns.delete_topic(TopicArn=arn)
    refused("NotFound", 404, sns.get_topic_attributes, TopicArn=arn)
    assert sns.list_subscriptions()["Subscriptions"] == []


def test_what_a_topic_is_told_arrives_at_confirmed_endpoints(lab, inbox):
    url, messages = inbox
    sns = lab.client("sns")
    arn = sns.create_topic(Name="ops")["TopicArn"]
    made = sns.subscribe(
        TopicArn=arn, Protocol="http", Endpoint=url, ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    headers, body = messages.get(timeout=20)
    asked = json.loads(body)
    assert headers["x-amz-sns-message-type"] == asked["Type"]
    assert asked["Type"] == "SubscriptionConfirmation" and asked["TopicArn"] == arn
    sns.publish(TopicArn=arn, Message="too early")
    attributes = sns.get_subscription_attributes(SubscriptionArn=made)["Attributes"]
    assert attributes["PendingConfirmation"] == "true"
    refused(
        *("InvalidParameter", 400, sns.confirm_subscription),
        **{"TopicArn": arn, "Token": "wrong"},
    )
    with urllib.request.urlopen(asked["SubscribeURL"], timeout=20) as answer:
        assert made in answer.read().decode()
    published = sns.publish(
        TopicArn=arn,
        Subject="alarm",
        Message="it is <hot> é",
        MessageAttributes={"level": {"DataType": "String", "StringValue": "high"}},
    )["MessageId"]
    headers, body = messages.get(timeout=20)
    got = json.loads(body)
    assert (got["Type"], got["MessageId"]) == ("Notification", published)
    assert (got["Subject"], got["Message"]) == ("alarm", "it is <hot> é")
    assert got["MessageAttributes"] == {"level": {"Type": "String", "Value": "high"}}
    assert headers["x-amz-sns-topic-arn"] == arn
    assert headers["x-amz-sns-subscription-arn"] == made
    sns.set_subscription_attributes(
        SubscriptionArn=made,
        AttributeName="RawMessageDelivery",
        AttributeValue="true",
    )
    texts = json.dumps({"default": "to all", "http": "to http"})
    messages.statuses.extend([503, 500])
    sns.publish(TopicArn=arn, Message=texts, MessageStructure="json")
    bodies = [messages.get(timeout=20)[1] for _ in range(3)]
    assert bodies == ["to http"] * 3  # twice refused, then taken
    refused(
        *("InvalidParameter", 400, sns.set_subscription_attributes),
        **{
            "SubscriptionArn": made,
            "AttributeName": "FilterPolicy",
            "AttributeValue": "{}",
        },
    )
    sns.unsubscribe(SubscriptionArn=made)
    sns.publish(TopicArn=arn, Message="to nobody")
    assert messages.empty()
    refused("NotFound", 404, sns.publish, TopicArn=arn + "x", Message="m")
    wait_for(lambda: "subscriptions=0" in lab.program.log(), 10, "the log")


def test_ssm_names_the_newest_image(lab):
    ssm, ec2 = lab.client("ssm"), lab.client("ec2")
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    got = ssm.get_parameter(Name=name)["Parameter"]
    (image,) = ec2.describe_images(ImageIds=[got["Value"]])["Images"]
    assert image["Name"].startswith("al2023-ami-")
    assert image["Architecture"] == "x86_64"
    assert (got["Name"], got["Type"], got["DataType"]) == (
        name,
        "String",
        "aws:ec2:image",
    )
    assert got["ARN"] == f"arn:aws:ssm:us-east-1::parameter{name}"
    assert got["LastModifiedDate"].year >= 2025
    for other in (
        "/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-x86_64-gp2",
        "/aws/service/debian/release/12/latest/arm64",
    ):
        assert ssm.get_parameter(Name=other)["Parameter"]["Value"].startswith("ami-")
    refused("ParameterNotFound", 400, ssm.get_parameter, Name="/my/own")


def test_a_server_certificate_is_checked_and_kept(lab, tmp_path):
    def make(name):
        subprocess.run(
            ["openssl", "req", "-x509", "-nodes", "-newkey", "ec"]
            + ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "30"]
            + ["-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.pem"]
            + ["-subj", f"/CN={name}.example.com"],
            check=True,
            capture_output=True,
            timeout=60,
        )
        return [(tmp_path / f"{name}.{end}").read_text() for end in ("pem", "key")]

    iam = lab.client("iam")
    (pem, key), (other, _) = make("a"), make("b")
    put = {"ServerCertificateName": "web", "CertificateBody": pem, "PrivateKey": key}
    upload = iam.upload_server_certificate
    made = upload(**put)["ServerCertificateMetadata"]
    assert made["Arn"] == "arn:aws:iam::000000000000:server-certificate/web"
    assert made["ServerCertificateId"].startswith("ASCA")
    got = iam.get_server_certificate(ServerCertificateName="web")["ServerCertificate"]
    assert got["CertificateBody"] == pem and "CertificateChain" not in got
    assert got["ServerCertificateMetadata"] == made
    assert made["Expiration"] > made["UploadDate"]
    (one,) = iam.list_server_certificates()["ServerCertificateMetadataList"]
    assert one == made
    refused("EntityAlreadyExists", 409, upload, **put)
    put["ServerCertificateName"] = "no"
    refused("KeyPairMismatch", 400, upload, **{**put, "CertificateBody": other})
    refused("MalformedCertificate", 400, upload, **{**put, "CertificateBody": "text"})
    refused("MalformedCertificate", 400, upload, **{**put, "CertificateChain": other})
    iam.delete_server_certificate(ServerCertificateName="web")
    refused(
        *("NoSuchEntity", 404, iam.get_server_certificate), ServerCertificateName="web"
    )


def test_an_alarm_s_message_reaches_the_subscriber_of_its_topic(lab, inbox):
    url, messages = inbox
    sns, cloudwatch = lab.client("sns"), lab.client("cloudwatch")
    topic = sns.create_topic(Name="ops")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=url)
    confirmation = json.loads(messages.get(timeout=10)[1])
    sns.confirm_subscription(TopicArn=topic, Token=confirmation["Token"])
    cloudwatch.put_metric_alarm(
        AlarmName="high",
        Namespace="Lab",
        MetricName="Load",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[topic],
    )
    cloudwatch.set_alarm_state(
        AlarmName="high", StateValue="ALARM", StateReason="by hand"
    )
    envelope = json.loads(messages.get(timeout=15)[1])
    assert envelope["Subject"] == 'ALARM: "high" in US East (N. Virginia)'
    message = json.loads(envelope["Message"])
    assert (message["AlarmName"], message["NewStateReason"]) == ("high", "by hand")
    assert message["Trigger"]["MetricName"] == "Load"

    def done():
        items = cloudwatch.describe_alarm_history(
            AlarmName="high", HistoryItemType="Action"
        )
        return [one["HistorySummary"] for one in items["AlarmHistoryItems"]]

    wait_for(done, 10, "the history of the action")
    assert done() == [f"Successfully executed action {topic}"]
