"""Events: what topics and the webhook are sent, what GET /events shows, with peers that fail."""

import http.server
import json
import os
import signal
import threading
import urllib.error
import urllib.parse

import pytest
from botocore.exceptions import ClientError

from conftest import http_get, wait_for
from fixtures import DOCUMENT, ec2, start_scaler  # noqa: F401

TOPIC = "arn:aws:sns:us-east-1:000000000000:ops"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:ops"


class Ear:
    """An HTTP server that keeps what it is posted: the webhook's JSON, or an SNS's Publish."""

    def __init__(self):
        self.bodies, self.heads, self.status = [], [], 200
        ear = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                ear.heads.append(dict(self.headers))
                answer = ear.take(body).encode()
                self.send_response(ear.status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, body):
        if self.status == 200:
            self.bodies.append(body)
        return (
            '<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
            "<MessageId>m</MessageId></PublishResult></PublishResponse>"
        )

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def events(self):
        return [json.loads(b) for b in self.bodies]

    def published(self):
        forms = [dict(urllib.parse.parse_qsl(b)) for b in self.bodies]
        return [(f["Subject"], json.loads(f["Message"])) for f in forms]

    def types(self):
        return [e["detail-type"] for e in self.events()]


@pytest.fixture
def ears():
    made = [Ear(), Ear()]
    yield made
    for ear in made:
        ear.stop()


@pytest.fixture
def scaler(ec2, start_scaler, ears):
    webhook, sns = ears
    scaler = start_scaler(ec2.url, {**DOCUMENT, "AutoScalingGroups": []})
    scaler.program.stop()
    scaler.document["Scaler"]["EventWebhook"] = webhook.url
    scaler.document["Scaler"]["SnsEndpoint"] = sns.url
    scaler.write()
    scaler.start()
    scaler.api.create_auto_scaling_group(
        AutoScalingGroupName="web",
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=0,
        LaunchTemplate={"LaunchTemplateName": "web"},
        VPCZoneIdentifier="subnet-a,subnet-b",
    )
    return scaler


def set_desired(scaler, n):
    scaler.api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=n)


def shown(scaler, query=""):
    return json.loads(http_get(f"{scaler.url}/events{query}"))["Events"]


def test_notifications_reach_their_topic(ec2, scaler, ears):
    sns = ears[1]
    scaler.api.put_notification_configuration(
        AutoScalingGroupName="web",
        TopicARN=TOPIC,
        NotificationTypes=[
            "autoscaling:EC2_INSTANCE_LAUNCH",
            "autoscaling:EC2_INSTANCE_TERMINATE",
        ],
    )
    [(subject, test)] = wait_for(sns.published, 10, "the test message")
    assert test["Event"] == "autoscaling:TEST_NOTIFICATION"
    assert subject == 'Auto Scaling: test notification for group "web"'
    set_desired(scaler, 1)
    wait_for(lambda: len(sns.bodies) == 2, 10, "the launch's message")
    subject, told = sns.published()[1]
    assert subject == 'Auto Scaling: launch for group "web"'
    assert told["Event"] == "autoscaling:EC2_INSTANCE_LAUNCH"
    assert told["EC2InstanceId"] == scaler.in_service()[0]
    assert set(told) >= {
        *("Progress", "AccountId", "Description", "RequestId", "EndTime", "StartTime"),
        *("AutoScalingGroupARN", "ActivityId", "Service", "Time", "StatusCode"),
        *("StatusMessage", "Details", "AutoScalingGroupName", "Cause"),
    }
    assert told["Details"]["Subnet ID"].startswith("subnet-")
    set_desired(scaler, 0)
    wait_for(lambda: len(sns.bodies) == 3, 10, "the termination's message")
    assert sns.published()[2][1]["Event"] == "autoscaling:EC2_INSTANCE_TERMINATE"
    assert dict(urllib.parse.parse_qsl(sns.bodies[2]))["TopicArn"] == TOPIC


def test_a_hook_tells_its_topic_and_the_webhook_with_its_token(ec2, scaler, ears):
    webhook, sns = ears
    scaler.api.put_lifecycle_hook(
        AutoScalingGroupName="web",
        LifecycleHookName="in",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        NotificationTargetARN=TOPIC,
        RoleARN="arn:aws:iam::000000000000:role/hooks",
        NotificationMetadata="blue",
    )
    wait_for(lambda: len(sns.bodies) == 1, 10, "the test message")
    set_desired(scaler, 1)
    wait_for(lambda: len(sns.bodies) == 2, 10, "the hook's message")
    subject, told = sns.published()[1]
    instance = told["EC2InstanceId"]
    assert (
        subject
        == f"Auto Scaling:  Lifecycle action 'LAUNCHING' for instance {instance} in progress."
    )
    assert told["NotificationMetadata"] == "blue"
    assert (told["Origin"], told["Destination"]) == ("EC2", "AutoScalingGroup")
    wait_for(
        lambda: "EC2 Instance-launch Lifecycle Action" in webhook.types(),
        10,
        "the hook's event",
    )
    [event] = webhook.events()
    assert event["source"] == "aws.autoscaling"
    assert event["detail"]["LifecycleActionToken"] == told["LifecycleActionToken"]
    # The token answers.
    scaler.api.complete_lifecycle_action(
        AutoScalingGroupName="web",
        LifecycleHookName="in",
        LifecycleActionToken=told["LifecycleActionToken"],
        LifecycleActionResult="CONTINUE",
    )
    scaler.wait_in_service(1)
    wait_for(
        lambda: webhook.types()[-1] == "EC2 Instance Launch Successful",
        10,
        "the launch's event",
    )


def test_what_the_webhook_refuses_comes_again_even_after_kill_9(scaler, ears):
    webhook = ears[0]
    webhook.status = 500
    set_desired(scaler, 1)
    scaler.wait_in_service(1)
    [event] = wait_for(lambda: shown(scaler), 10, "the event")
    assert event["detail-type"] == "EC2 Instance Launch Successful"
    wait_for(
        lambda: shown(scaler)[0]["Deliveries"][0]["Attempts"] > 0, 10, "an attempt"
    )
    delivery = shown(scaler)[0]["Deliveries"][0]
    assert delivery["Status"] == "Pending"
    assert delivery["Why"] == "the webhook answered 500"
    os.kill(scaler.program.pid, signal.SIGKILL)
    scaler.program.process.wait(10)
    webhook.status = 200
    scaler.start()
    wait_for(
        lambda: webhook.types() == ["EC2 Instance Launch Successful"], 15, "the event"
    )
    wait_for(
        lambda: shown(scaler)[0]["Deliveries"][0]["Status"] == "Delivered",
        10,
        "its acknowledgement",
    )


def test_the_page_filters_and_refuses_nonsense(scaler):
    set_desired(scaler, 2)
    scaler.wait_in_service(2)
    first, second = wait_for(
        lambda: len(shown(scaler)) == 2 and shown(scaler), 10, "two events"
    )
    assert first["Number"] > second["Number"]
    assert shown(scaler, "?group=other") == []
    assert shown(scaler, f"?group=web&after={second['Number']}") == shown(
        scaler, "?limit=1"
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        shown(scaler, "?limit=many")
    assert caught.value.code == 400
    assert "albatross_event_deliveries_owed" in http_get(f"{scaler.url}/metrics")


@pytest.mark.parametrize(
    "target, why",
    [(QUEUE, "SQS queues as NotificationTargetARN are not supported"), ("ops", "ARN")],
)
def test_other_targets_are_refused(scaler, target, why):
    with pytest.raises(ClientError, match=why):
        scaler.api.put_lifecycle_hook(
            AutoScalingGroupName="web",
            LifecycleHookName="in",
            LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
            NotificationTargetARN=target,
        )
