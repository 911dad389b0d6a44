"""A small EC2 that keeps instances in memory and can be told to misbehave. Query in, XML out."""

import datetime
import http.server
import itertools
import threading
import urllib.parse
from xml.sax.saxutils import escape

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
ZONES = {"subnet-a": "us-east-1a", "subnet-b": "us-east-1b", "subnet-c": "us-east-1c"}


def element(name, value):
    if isinstance(value, dict):
        text = "".join(element(k, v) for k, v in value.items())
    elif isinstance(value, list):
        text = "".join(element("item", v) for v in value)
    else:
        text = escape(str(value))
    return f"<{name}>{text}</{name}>"


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class FakeEc2:
    def __init__(self, port=0):
        self.lock = threading.RLock()
        self.instances = {}  # id -> dict
        self.calls = []  # (action, form)
        self.refuse = {}  # action -> Refused
        self.full = set()  # (type, zone) that has no capacity
        self.room = None  # instances that a call gets at most
        self.lose_answers = False  # RunInstances is done, the connection breaks
        self.ids = itertools.count(1)
        self.stopped = False
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                fake.answer(
                    self, dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
                )

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.stopped = True
        self.server.shutdown()
        self.server.server_close()

    # What tests look at and change.

    def running(self):
        with self.lock:
            return [
                i["instanceId"]
                for i in self.instances.values()
                if i["instanceState"]["name"] in ("pending", "running")
            ]

    def end(self, instance_id, code="Client.UserInitiatedShutdown", message=None):
        with self.lock:
            instance = self.instances[instance_id]
            instance["instanceState"] = {"code": 48, "name": "terminated"}
            instance["stateReason"] = {"code": code, "message": message or code}

    def forms(self, action):
        with self.lock:
            return [form for name, form in self.calls if name == action]

    # The protocol.

    def answer(self, request, form):
        action = form["Action"]
        if self.stopped:  # a kept-alive connection
            request.close_connection = True
            return
        with self.lock:
            self.calls.append((action, form))
            try:
                if action in self.refuse:
                    raise self.refuse[action]
                text = getattr(self, "do_" + action)(form)
                status = 200
                if action == "RunInstances" and self.lose_answers:
                    request.close_connection = True
                    request.connection.close()
                    return
            except Refused as e:
                status = e.status
                text = (
                    "<Response><Errors><Error>"
                    + element("Code", e.code)
                    + element("Message", e.message)
                    + "</Error></Errors><RequestID>r</RequestID></Response>"
                )
        body = text.encode()
        try:
            request.send_response(status)
            request.send_header("Content-Type", "text/xml")
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
        except OSError:
            pass

    @staticmethod
    def wrap(action, **members):
        inner = "".join(element(k, v) for k, v in members.items())
        return f'<{action}Response xmlns="{NAMESPACE}"><requestId>r</requestId>{inner}</{action}Response>'

    def do_RunInstances(self, form):
        token, subnet = form["ClientToken"], form.get("SubnetId", "subnet-a")
        known = [i for i in self.instances.values() if i["clientToken"] == token]
        kind, zone = form.get("InstanceType", "t2.micro"), ZONES[subnet]
        if (kind, zone) in self.full:
            raise Refused(
                500,
                "InsufficientInstanceCapacity",
                f"We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}).",
            )
        count = min(int(form["MaxCount"]), self.room or 1000)
        for index in range(0 if known else count):
            tags = []
            for n in itertools.count(1):
                key = form.get(f"TagSpecification.1.Tag.{n}.Key")
                if key is None:
                    break
                tags.append(
                    {"key": key, "value": form[f"TagSpecification.1.Tag.{n}.Value"]}
                )
            instance = {
                "instanceId": f"i-{next(self.ids):017x}",
                "imageId": form.get("ImageId", "ami-1"),
                "instanceState": {"code": 0, "name": "pending"},
                "amiLaunchIndex": index,
                "clientToken": token,
                "instanceType": form.get("InstanceType", "t2.micro"),
                "launchTime": datetime.datetime.utcnow().strftime(
                    "%Y-%m-%dT%H:%M:%S.000Z"
                ),
                "placement": {"availabilityZone": ZONES[subnet]},
                "subnetId": subnet,
                "tagSet": tags,
            }
            if form.get("InstanceMarketOptions.MarketType") == "spot":
                instance["instanceLifecycle"] = "spot"
            self.instances[instance["instanceId"]] = instance
            known.append(instance)
        return self.wrap("RunInstances", reservationId="r-1", instancesSet=known)

    def do_DescribeInstances(self, form):
        key = form["Filter.1.Name"].removeprefix("tag:")
        values = [v for k, v in form.items() if k.startswith("Filter.1.Value.")]
        found = [
            dict(i)
            for i in self.instances.values()
            if any(t["key"] == key and t["value"] in values for t in i["tagSet"])
        ]
        for instance in self.instances.values():
            if instance["instanceState"]["name"] == "pending":
                instance["instanceState"] = {"code": 16, "name": "running"}
        return self.wrap(
            "DescribeInstances",
            reservationSet=[{"reservationId": "r-1", "instancesSet": found}],
        )

    def do_TerminateInstances(self, form):
        ids = [v for k, v in form.items() if k.startswith("InstanceId.")]
        for instance_id in ids:
            if instance_id not in self.instances:
                raise Refused(
                    400, "InvalidInstanceID.NotFound", f"no instance {instance_id}"
                )
            self.end(instance_id)
        return self.wrap(
            "TerminateInstances",
            instancesSet=[
                {
                    "instanceId": i,
                    "currentState": {"code": 32, "name": "shutting-down"},
                }
                for i in ids
            ],
        )

    def power(self, action, form, code, name):
        ids = [v for k, v in form.items() if k.startswith("InstanceId.")]
        for instance_id in ids:
            self.instances[instance_id]["instanceState"] = {"code": code, "name": name}
        return self.wrap(action, instancesSet=[{"instanceId": i} for i in ids])

    def do_StopInstances(self, form):
        return self.power("StopInstances", form, 80, "stopped")

    def do_StartInstances(self, form):
        return self.power("StartInstances", form, 0, "pending")

    @staticmethod
    def form_tags(form):
        found = []
        for n in itertools.count(1):
            if f"Tag.{n}.Key" not in form:
                return found
            found.append(
                {"key": form[f"Tag.{n}.Key"], "value": form.get(f"Tag.{n}.Value", "")}
            )

    def tagged(self, form):
        instance_id = form["ResourceId.1"]
        if instance_id not in self.instances:
            raise Refused(
                400,
                "InvalidInstanceID.NotFound",
                f"The instance ID '{instance_id}' does not exist",
            )
        return self.instances[instance_id]

    def do_CreateTags(self, form):
        instance, tags = self.tagged(form), self.form_tags(form)
        keys = {t["key"] for t in tags}
        kept = [t for t in instance["tagSet"] if t["key"] not in keys]
        instance["tagSet"] = kept + tags
        return self.wrap("CreateTags", **{"return": "true"})

    def do_DeleteTags(self, form):
        instance = self.tagged(form)
        keys = {t["key"] for t in self.form_tags(form)}
        instance["tagSet"] = [t for t in instance["tagSet"] if t["key"] not in keys]
        return self.wrap("DeleteTags", **{"return": "true"})

    def do_DescribeSubnets(self, form):
        return self.wrap(
            "DescribeSubnets",
            subnetSet=[
                {"subnetId": s, "availabilityZone": z, "defaultForAz": "true"}
                for s, z in ZONES.items()
            ],
        )

    def do_DescribeLaunchTemplates(self, form):
        name = form.get("LaunchTemplateName.1", "web")
        return self.wrap(
            "DescribeLaunchTemplates",
            launchTemplates=[
                {
                    "launchTemplateId": "lt-0123456789abcdef0",
                    "launchTemplateName": name,
                    "latestVersionNumber": 3,
                    "defaultVersionNumber": 2,
                }
            ],
        )
