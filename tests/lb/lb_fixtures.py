"""albatross-lb alone, in front of targets that live in the test process."""

import signal
import urllib.error
import urllib.request

import pytest

import conftest as shared
from lb_helpers import Backend, Wire, forward, group


class Lb:
    def __init__(self, programs, document, settings=None, name="lb.json"):
        self.programs = programs
        self.document = document
        self.name = name
        document["Lb"] = {
            "ApiAddress": f"127.0.0.1:{shared.free_port()}",
            "Workers": 2,
            **(settings or {}),
        }
        self.api = f"http://{document['Lb']['ApiAddress']}"
        self.port = None
        for balancer in document.get("LoadBalancers", []):
            balancer.setdefault("ListenAddress", "127.0.0.1")
            for listener in balancer["Listeners"]:
                listener.setdefault("Protocol", "HTTP")
                listener.setdefault("Port", shared.free_port())
                self.port = self.port or listener["Port"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.program = None

    def start(self):
        path = self.programs.config(self.document, self.name)
        env = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        self.program = self.programs.start("albatross-lb", "-c", path, env=env)
        self.program.wait_log(r" ready ")
        return self

    def reload(self, document):
        """Writes the file anew (text or document) and waits for the verdict."""
        before = len(self.verdicts())
        self.programs.config(document, self.name)
        self.program.send(signal.SIGHUP)
        shared.wait_for(lambda: len(self.verdicts()) > before, what="the reload")
        return self.verdicts()[-1]

    def verdicts(self):
        return [
            line
            for line in self.program.log().splitlines()
            if " reload file=" in line or " reload-refused " in line
        ]

    def wire(self, port=None):
        return Wire(port or self.port, timeout=20 * shared.SLOW)

    def get(self, path="/", **more):
        return shared.http_get(self.url + path, **more)

    def status(self, path="/"):
        try:
            with urllib.request.urlopen(self.url + path, timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as e:
            return e.code

    def client(self):
        return shared.client("elbv2", self.api)

    def group_arn(self, name="web"):
        found = self.client().describe_target_groups(Names=[name])
        return found["TargetGroups"][0]["TargetGroupArn"]

    def health(self, name="web", client=None):
        """{port: (state, reason)}"""
        client = client or self.client()
        arn = client.describe_target_groups(Names=[name])["TargetGroups"][0]
        found = client.describe_target_health(TargetGroupArn=arn["TargetGroupArn"])
        return {
            d["Target"]["Port"]: (
                d["TargetHealth"]["State"],
                d["TargetHealth"].get("Reason"),
            )
            for d in found["TargetHealthDescriptions"]
        }

    def wait_health(self, expected, name="web"):
        """expected: {backend: state}"""
        client = self.client()
        ports = {b.port: state for b, state in expected.items()}

        def there():
            health = self.health(name, client)
            return {p: s for p, (s, _) in health.items() if p in ports} == ports

        shared.wait_for(there, what=f"health {ports}")

    def metric(self, name):
        """The sum of a metric over its labels."""
        text = shared.http_get(self.api + "/metrics")
        lines = [x for x in text.splitlines() if x.startswith(name)]
        return sum(float(x.rsplit(" ", 1)[1]) for x in lines)


@pytest.fixture
def backends():
    made = []

    def make(n=1, **more):
        new = [Backend(f"b{len(made) + i}", **more) for i in range(n)]
        made.extend(new)
        return new[0] if n == 1 else new

    yield make
    for backend in made:
        backend.stop()


@pytest.fixture
def start_lb(programs):
    """An lb with one load balancer `main`; given backends, all are in group `web`."""

    def start(
        *backends,
        rules=(),
        groups=(),
        attributes=None,
        actions=None,
        settings=None,
        ready=True,
    ):
        listener = {
            "DefaultActions": actions or forward("web"),
            "Rules": list(rules),
        }
        document = {
            "LoadBalancers": [
                {
                    "LoadBalancerName": "main",
                    "Attributes": attributes or {},
                    "Listeners": [listener],
                }
            ],
            "TargetGroups": [group("web", *backends), *groups],
        }
        lb = Lb(programs, document, settings)
        return lb.start() if ready else lb

    return start
