"""Topics that the file has: alarms' messages as e-mails and as POSTs in SNS's form."""

import email.utils
import json
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from conftest import BIN, client, wait_for  # noqa: E402
from fixtures import start_scaler  # noqa: E402, F401
from mail_server import MailServer  # noqa: E402
from test_scaler_events import Ear  # noqa: E402

OPS = "arn:aws:sns:us-east-1:000000000000:ops"
FROM = "albatross@example.com"
TO = "ops@example.com"
ALARM = {
    "AlarmName": "high",
    "Namespace": "Lab",
    "MetricName": "Load",
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 50.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "AlarmDescription": "zu viel: äöü",
}


@pytest.fixture
def mails():
    servers = []

    def start(**more):
        servers.append(MailServer(**more))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def ear():
    ear = Ear()
    yield ear
    ear.stop()


def mail_to(address, protocol="email"):
    return {"Protocol": protocol, "Endpoint": address}


def document(subscriptions, smtp=None):
    section = {"Topics": [{"Name": "ops", "Subscriptions": subscriptions}]}
    if smtp:
        section["Smtp"] = {"Url": smtp.url, "From": FROM}
    return section


@pytest.fixture
def with_topic(start_scaler):
    """A scaler with this section, and an alarm in the file that names the topic."""

    def start(section, **smtp):
        alarm = {**ALARM, "AlarmActions": ["ops"], "OKActions": [OPS]}
        section.get("Smtp", {}).update(smtp)
        scaler = start_scaler(document={"MetricAlarms": [alarm], "Scaler": section})
        scaler.cloudwatch = client("cloudwatch", scaler.url)
        return scaler

    return start


def ring(scaler, state="ALARM"):
    scaler.cloudwatch.set_alarm_state(
        AlarmName="high", StateValue=state, StateReason="by hand"
    )


def outcomes(scaler):
    items = scaler.cloudwatch.describe_alarm_history(
        AlarmName="high", HistoryItemType="Action"
    )["AlarmHistoryItems"]
    return [i["HistorySummary"] for i in items]


def test_an_alarm_becomes_an_e_mail(mails, with_topic):
    server = mails()
    scaler = with_topic(document([mail_to(TO), mail_to("b@example.com")], server))
    ring(scaler)
    wait_for(lambda: len(server.mails) == 2, 10, "both mails")
    assert sorted(m[1] for m in server.mails) == [["b@example.com"], [TO]]
    [mail] = [m[2] for m in server.mails if m[1] == [TO]]
    assert {m[0] for m in server.mails} == {FROM}
    assert (mail["From"], mail["To"]) == (FROM, TO)
    assert mail["Subject"] == 'ALARM: "high" in US East (N. Virginia)'
    assert mail["Message-ID"] and email.utils.parsedate_to_datetime(mail["Date"])
    text = mail.get_content()
    assert text.startswith('The alarm "high" has gone from INSUFFICIENT_DATA to ALARM.')
    for words in ("by hand", "zu viel: äöü", "Lab Load", ":alarm:high"):
        assert words in text
    wait_for(
        lambda: outcomes(scaler) == [f"Successfully executed action {OPS}"],
        10,
        "the history",
    )


def test_a_webhook_gets_the_message_in_sns_s_form(with_topic, ear):
    hook = {"Protocol": "http", "Endpoint": ear.url + "/hook"}
    scaler = with_topic(document([hook]))
    ring(scaler)
    [body] = wait_for(lambda: list(ear.bodies), 10, "the post")
    envelope, [head] = json.loads(body), ear.heads
    assert envelope["Type"] == "Notification" and envelope["TopicArn"] == OPS
    assert envelope["Subject"] == 'ALARM: "high" in US East (N. Virginia)'
    message = json.loads(envelope["Message"])
    assert message["AlarmName"] == "high" and message["NewStateValue"] == "ALARM"
    assert head["x-amz-sns-message-type"] == "Notification"
    assert head["x-amz-sns-topic-arn"] == OPS
    assert head["x-amz-sns-message-id"] == envelope["MessageId"]
    assert head["Content-Type"] == "text/plain; charset=UTF-8"
    ring(scaler, "OK")
    wait_for(lambda: len(ear.bodies) == 2, 10, "the other")


def test_raw_delivery_is_the_message_alone(with_topic, ear):
    hook = {"Protocol": "http", "Endpoint": ear.url, "RawMessageDelivery": True}
    scaler = with_topic(document([hook]))
    ring(scaler)
    [body] = wait_for(lambda: list(ear.bodies), 10, "the post")
    assert json.loads(body)["AlarmName"] == "high"
    assert ear.heads[0]["x-amz-sns-rawdelivery"] == "true"


def test_a_server_that_wants_a_password_gets_it(mails, with_topic):
    server = mails(password="secret")
    section = document([mail_to(TO, "email-json")], server)
    scaler = with_topic(section, User="me", Password="secret", Tls="none")
    ring(scaler)
    wait_for(lambda: server.mails, 10, "the mail")
    assert server.logins == [("me", "secret")]
    [(_, _, mail)] = server.mails
    assert json.loads(mail.get_content())["TopicArn"] == OPS


def test_a_password_is_not_sent_in_the_clear(mails, with_topic):
    server = mails(password="secret")
    section = document([mail_to(TO)], server)
    scaler = with_topic(section, User="me", Password="secret")
    ring(scaler)
    wait_for(lambda: outcomes(scaler), 30, "the outcome")
    assert outcomes(scaler)[0].startswith(f"Failed to execute action {OPS}")
    assert server.logins == [] and server.mails == []


def test_what_is_refused_for_now_is_tried_again(mails, with_topic, ear):
    server = mails(refusals=2)
    scaler = with_topic(document([mail_to(TO)], server))
    ring(scaler)
    wait_for(lambda: server.mails, 20, "the mail")
    wait_for(lambda: "Successfully" in outcomes(scaler)[0], 10, "the history")


def test_one_place_that_fails_is_told_and_the_others_served(mails, with_topic, ear):
    server = mails()
    dead = {"Protocol": "http", "Endpoint": "http://127.0.0.1:1/"}
    scaler = with_topic(document([dead, mail_to(TO)], server))
    ring(scaler)
    wait_for(lambda: server.mails, 10, "the mail")
    wait_for(lambda: outcomes(scaler), 30, "the outcome")
    assert "Failed to execute action" in outcomes(scaler)[0]


@pytest.mark.parametrize(
    "section, words",
    [
        (document([mail_to(TO)]), "Subscriptions[0]: e-mail needs Scaler.Smtp"),
        (
            document([{"Protocol": "https", "Endpoint": "http://example.com/"}]),
            "URL of the protocol",
        ),
        (
            document([{"Protocol": "sms", "Endpoint": "+1"}]),
            "Scaler.Topics[0].Subscriptions[0].Protocol",
        ),
        ({"Topics": [{"Name": "a b"}]}, "Scaler.Topics[0].Name"),
        ({"Topics": [{"Name": "a"}, {"Name": "a"}]}, "another topic has it"),
        (
            {"Smtp": {"Url": "http://example.com", "From": FROM}},
            "Scaler.Smtp.Url",
        ),
        ({"Smtp": {"Url": "smtp://example.com"}}, "Scaler.Smtp.From"),
    ],
)
def test_what_is_no_topic_is_refused(programs, section, words):
    path = programs.config({"Scaler": section}, "bad.json")
    done = subprocess.run(
        [BIN / "albatross-scaler", "-t", "-c", path], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert words in done.stderr + done.stdout
