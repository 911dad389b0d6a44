"""Target groups: algorithms, zones, fail-open, draining, health checks and their log
(checklist rows 9 to 14)."""

import contextlib
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import botocore.exceptions
import pytest

import conftest as shared
from lb_fixtures import backends, start_lb  # noqa: F401 (fixtures)
from lb_helpers import group

SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/"
    "elasticloadbalancing/aws4_request, SignedHeaders=host, Signature=0"
}
FAST = {"health_check.interval_ms": "100"}


def start(start_lb, targets, attributes=None, **more):
    """An lb whose only group is `pool`, with these targets (Backends or descriptions)."""
    described = [t if isinstance(t, dict) else t.target for t in targets]
    settings = more.pop("settings", None)
    pool = group("pool", Attributes={**FAST, **(attributes or {})}, **more)
    pool["Targets"] = described
    lb = start_lb(
        groups=[pool],
        actions=[{"Type": "forward", "TargetGroupArn": "pool"}],
        settings=settings,
    )
    return lb


def start_healthy(start_lb, targets, attributes=None, **more):
    lb = start(start_lb, targets, attributes, **more)
    lb.wait_health({t: "healthy" for t in targets}, "pool")
    return lb


def names_of(lb, n, path="/"):
    seen = []
    for _ in range(n):
        with lb.wire() as wire:
            seen.append(wire.get(path).body.decode())
    return seen


def query(lb, action, **members):
    """For what boto3's models do not know yet."""
    form = {"Action": action, "Version": "2015-12-01", **members}
    request = urllib.request.Request(
        lb.api, urllib.parse.urlencode(form).encode(), SIGNED
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


class Held:
    """Requests that their target does not answer before the end of the block."""

    def __init__(self, lb, backend, n):
        self.lb, self.backend, self.n = lb, backend, n
        self.answers = []

    def ask(self):
        with contextlib.suppress(ConnectionError), self.lb.wire() as wire:
            self.answers.append(wire.get("/hold").status)

    def __enter__(self):
        self.threads = [threading.Thread(target=self.ask) for _ in range(self.n)]
        for thread in self.threads:
            thread.start()
        for _ in self.threads:
            assert self.backend.holding.acquire(timeout=10)
        return self

    def __exit__(self, *_):
        self.backend.go.set()
        for thread in self.threads:
            thread.join()


def test_least_outstanding_requests_counts_over_all_workers(start_lb, backends):
    busy, free = backends(2)
    lb = start_healthy(
        start_lb,
        [busy],
        {"load_balancing.algorithm.type": "least_outstanding_requests"},
        settings={"Workers": 4},
    )
    with Held(lb, busy, 4):
        lb.client().register_targets(
            TargetGroupArn=lb.group_arn("pool"), Targets=[free.target]
        )
        lb.wait_health({free: "healthy"}, "pool")
        # Each on a fresh connection, so that all workers take some of them.
        assert names_of(lb, 24) == ["b1"] * 24
    assert lb.metric("albatross_lb_target_requests_in_flight") == 0


def test_anomalous_targets_get_little_traffic(start_lb, backends):
    targets = backends(4)
    lb = start_healthy(
        start_lb,
        targets,
        {
            "load_balancing.algorithm.type": "weighted_random",
            "load_balancing.algorithm.anomaly_mitigation": "on",
        },
    )
    targets[0].fails = True

    def is_found():
        names_of(lb, 20)
        return "anomalous=yes" in lb.program.log()

    shared.wait_for(is_found, timeout=15, what="the anomaly")
    assert f"target=127.0.0.1:{targets[0].port} anomalous=yes" in lb.program.log()
    before = len(targets[0].requests)
    names_of(lb, 100)
    assert len(targets[0].requests) - before < 15, "5 % of a fair share"
    assert set(s for s, _ in lb.health("pool").values()) == {"healthy"}
    told = query(
        lb,
        "DescribeTargetHealth",
        **{
            "TargetGroupArn": lb.group_arn("pool"),
            "Include.member.1": "AnomalyDetection",
        },
    )
    assert told.count("<Result>anomalous</Result>") == 1
    assert told.count("<Result>normal</Result>") == 3
    assert told.count("<MitigationInEffect>yes</MitigationInEffect>") == 1


@pytest.mark.parametrize(
    "cross_zone,expected", [("false", {"b0", "b2"}), ("true", {"b0", "b1", "b2"})]
)
def test_with_cross_zone_off_only_the_own_zone_serves(
    start_lb, backends, cross_zone, expected
):
    near, far, nowhere = backends(3)
    lb = start(
        start_lb,
        [
            {**near.target, "AvailabilityZone": "us-east-1a"},
            {**far.target, "AvailabilityZone": "us-east-1b"},
            nowhere.target,
        ],
        {"load_balancing.cross_zone.enabled": cross_zone},
        settings={"AvailabilityZone": "us-east-1a"},
    )
    lb.wait_health({near: "healthy", far: "healthy", nowhere: "healthy"}, "pool")
    assert set(names_of(lb, 12)) == expected


def test_with_cross_zone_off_thresholds_are_the_zones_own(start_lb, backends):
    near, sick, far = backends(3)
    sick.health = 500
    lb = start(
        start_lb,
        [
            {**near.target, "AvailabilityZone": "us-east-1a"},
            {**sick.target, "AvailabilityZone": "us-east-1a"},
            {**far.target, "AvailabilityZone": "us-east-1b"},
        ],
        {
            "load_balancing.cross_zone.enabled": "false",
            "target_group_health.dns_failover.minimum_healthy_targets.percentage": "60",
            "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "60",
        },
        settings={"AvailabilityZone": "us-east-1a"},
    )
    lb.wait_health({near: "healthy", sick: "unhealthy", far: "healthy"}, "pool")
    assert set(names_of(lb, 8)) == {"b0", "b1"}, "50 % of the zone: it fails open"
    assert lb.metric("albatross_lb_unhealthy_routing_request_count_total") == 8
    names = [
        f'albatross_lb_healthy_state_{state}{{target_group="targetgroup/pool/'
        for state in ("routing", "dns")
    ]
    assert [lb.metric(name) for name in names] == [0, 0]
    sick.health = 200
    shared.wait_for(lambda: [lb.metric(n) for n in names] == [1, 1], what="states")


def test_targets_of_the_zone_all_keep_cross_zone_on(start_lb, backends):
    lb = start(start_lb, [{**backends().target, "AvailabilityZone": "all"}])
    with pytest.raises(botocore.exceptions.ClientError, match="'all'"):
        lb.client().modify_target_group_attributes(
            TargetGroupArn=lb.group_arn("pool"),
            Attributes=[{"Key": "load_balancing.cross_zone.enabled", "Value": "false"}],
        )


def test_while_cross_zone_is_off_no_target_is_of_the_zone_all(start_lb, backends):
    lb = start(start_lb, [], {"load_balancing.cross_zone.enabled": "false"})
    with pytest.raises(botocore.exceptions.ClientError, match="'all'"):
        lb.client().register_targets(
            TargetGroupArn=lb.group_arn("pool"),
            Targets=[{**backends().target, "AvailabilityZone": "all"}],
        )


@pytest.mark.parametrize(
    "attributes,why",
    [
        ({"slow_start.duration_seconds": "29"}, "not a valid value"),
        ({"slow_start.duration_seconds": "901"}, "not a valid value"),
        (
            {
                "slow_start.duration_seconds": "30",
                "load_balancing.algorithm.type": "least_outstanding_requests",
            },
            "round_robin",
        ),
        (
            {
                "stickiness.enabled": "true",
                "load_balancing.algorithm.type": "weighted_random",
            },
            "weighted_random",
        ),
        ({"load_balancing.algorithm.anomaly_mitigation": "on"}, "weighted_random"),
        (
            {
                "stickiness.enabled": "true",
                "load_balancing.cross_zone.enabled": "false",
            },
            "cross-zone",
        ),
        (
            {"stickiness.enabled": "true", "stickiness.type": "app_cookie"},
            "cookie_name",
        ),
        ({"stickiness.app_cookie.cookie_name": "AWSALBTG1"}, "AWSALB"),
        ({"stickiness.app_cookie.cookie_name": "a b"}, "not valid"),
        ({"stickiness.lb_cookie.duration_seconds": "604801"}, "not a valid value"),
        (
            {
                "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "2"
            },
            "dns_failover",
        ),
        (
            {
                "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "off"
            },
            "not a valid value",
        ),
        ({"health_check.interval_ms": "10"}, "not a valid value"),
        ({"waf.http2.traffic_inspection_behavior": "x"}, "not recognized"),
    ],
)
def test_what_target_groups_cannot_be_is_refused(start_lb, attributes, why):
    lb = start_lb()
    arn = lb.group_arn()
    before = lb.client().describe_target_group_attributes(TargetGroupArn=arn)
    with pytest.raises(botocore.exceptions.ClientError, match=re.escape(why)):
        lb.client().modify_target_group_attributes(
            TargetGroupArn=arn,
            Attributes=[{"Key": k, "Value": v} for k, v in attributes.items()],
        )
    after = lb.client().describe_target_group_attributes(TargetGroupArn=arn)
    assert after["Attributes"] == before["Attributes"]


def test_the_target_optimizer_is_refused(start_lb):
    lb = start_lb()
    told = query(
        lb,
        "CreateTargetGroup",
        Name="optimized",
        Protocol="HTTP",
        Port="80",
        TargetControlPort="3000",
    )
    assert "targetControlPort" in told and "supported by this endpoint" in told, told


def test_c14_14_a_draining_target_gets_no_new_request_and_finishes_the_old(
    start_lb, backends
):
    leaving, staying = backends(2)
    lb = start_healthy(
        start_lb, [leaving], {"deregistration_delay.timeout_seconds": "60"}
    )
    with Held(lb, leaving, 2) as held:
        lb.client().register_targets(
            TargetGroupArn=lb.group_arn("pool"), Targets=[staying.target]
        )
        lb.wait_health({staying: "healthy"}, "pool")
        lb.client().deregister_targets(
            TargetGroupArn=lb.group_arn("pool"), Targets=[leaving.target]
        )
        lb.wait_health({leaving: "draining"}, "pool")
        assert lb.health("pool")[leaving.port][1] == "Target.DeregistrationInProgress"
        before = len(leaving.requests)
        assert names_of(lb, 20) == ["b1"] * 20
        assert len(leaving.requests) == before
    assert held.answers == [200, 200]
    shared.wait_for(
        lambda: leaving.port not in lb.health("pool"), what="the end of draining"
    )
    assert lb.metric("albatross_lb_sent_to_draining_total") == 0


def test_a_target_may_come_back_while_it_drains(start_lb, backends):
    backend = backends()
    lb = start_healthy(
        start_lb, [backend], {"deregistration_delay.timeout_seconds": "60"}
    )
    arn = lb.group_arn("pool")
    with Held(lb, backend, 1) as held:
        lb.client().deregister_targets(TargetGroupArn=arn, Targets=[backend.target])
        lb.wait_health({backend: "draining"}, "pool")
        assert lb.status() == 503
        lb.client().register_targets(TargetGroupArn=arn, Targets=[backend.target])
        lb.wait_health({backend: "healthy"}, "pool")
        assert names_of(lb, 3) == ["b0"] * 3
    assert held.answers == [200]


def test_intervals_of_health_checks_may_be_shorter_than_a_second(start_lb, backends):
    backend = backends()
    lb = start_healthy(start_lb, [backend])
    began, before = time.monotonic(), len(backend.probes)
    shared.wait_for(lambda: len(backend.probes) >= before + 10, what="ten probes")
    assert time.monotonic() - began < 4 * shared.SLOW
    backend.health = 500
    shared.wait_for(
        lambda: lb.health("pool")[backend.port]
        == ("unhealthy", "Target.ResponseCodeMismatch"),
        what="unhealthy",
    )


@pytest.mark.parametrize(
    "key,path,status",
    [
        ("health_check.passive.consecutive_5xx", "/status/503", 503),
        ("health_check.passive.consecutive_connection_errors", "/garbage", 502),
    ],
)
def test_requests_can_tell_that_a_target_is_unhealthy(
    start_lb, backends, key, path, status
):
    backend = backends()
    lb = start_healthy(
        start_lb,
        [backend],
        {key: "3", "health_check.interval_ms": "2000"},
        settings={"Workers": 1},
    )
    with lb.wire() as wire:
        assert [wire.get(path).status for _ in range(2)] == [status] * 2
        assert wire.get("/").status == 200  # not in a row: it starts from 0 again
        for _ in range(3):
            assert wire.get(path).status == status
    expected = {
        503: ("unhealthy", "Target.ResponseCodeMismatch"),
        502: ("unhealthy", "Target.FailedHealthChecks"),
    }
    shared.wait_for(
        lambda: lb.health("pool")[backend.port] == expected[status], what="the verdict"
    )
    lb.wait_health({backend: "healthy"}, "pool")


def test_without_passive_checks_requests_change_no_health(start_lb, backends):
    backend = backends()
    lb = start_healthy(start_lb, [backend])
    with lb.wire() as wire:
        for _ in range(20):
            assert wire.get("/status/500").status == 500
    before = len(backend.probes)
    shared.wait_for(lambda: len(backend.probes) > before + 2, what="more probes")
    assert " state=unhealthy" not in lb.program.log()
    assert lb.health("pool")[backend.port] == ("healthy", None)


def test_the_health_check_log_has_a_line_for_each_probe(start_lb, backends, tmp_path):
    good, bad, gone = backends(3)
    bad.health = 503
    gone.stop()
    path = tmp_path / "health.log"
    lb = start(start_lb, [good, bad, gone], settings={"HealthCheckLog": str(path)})
    lb.wait_health({good: "healthy", bad: "unhealthy", gone: "unhealthy"}, "pool")
    lines = [line.split(" ") for line in path.read_text().splitlines()]
    assert all(len(fields) == 10 for fields in lines)
    by_target = {fields[3]: fields for fields in lines}
    expected = {good: ["PASS", "200", "-"], bad: ["FAIL", "503", "TargetError"]}
    expected[gone] = ["FAIL", "-", "ConnectionReset"]
    for backend, verdict in expected.items():
        fields = by_target[f"127.0.0.1:{backend.port}"]
        assert fields[0] == "http"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", fields[1])
        assert re.fullmatch(r"\d+\.\d{9}", fields[2])
        assert fields[4:8] == ["pool", *verdict]
        assert re.fullmatch(r"app/main/[0-9a-f]{16}", fields[8])
    path.rename(tmp_path / "old.log")
    lb.program.send(signal.SIGUSR1)
    shared.wait_for(lambda: path.exists() and path.read_text(), what="the new file")


def churn(lb, arn, targets, n, errors):
    """n calls that register and deregister all targets but the first, by turns."""
    client = lb.client()
    moving = [t.target for t in targets[1:]]
    try:
        for i in range(n // 2):
            target = [moving[i % len(moving)]]
            client.deregister_targets(TargetGroupArn=arn, Targets=target)
            client.register_targets(TargetGroupArn=arn, Targets=target)
    except Exception as error:  # pylint: disable=broad-except
        errors.append(repr(error))


def path_rule(priority):
    return {
        "Priority": priority,
        "Conditions": [{"Field": "path-pattern", "Values": [f"/{priority}/*"]}],
        "Actions": [{"Type": "forward", "TargetGroupArn": "pool"}],
    }


def test_reloads_and_registrations_under_load_fail_no_request(
    start_lb, backends, programs
):
    scale = 10 if shared.SLOW > 1 else 1
    targets = backends(3)
    lb = start_healthy(start_lb, targets)
    arn = lb.group_arn("pool")
    errors = []
    load = subprocess.Popen(
        ["wrk", "-t", "1", "-c", "8", "-d", "120s", "--timeout", "20s", f"{lb.url}/"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        caller = threading.Thread(
            target=churn, args=(lb, arn, targets, 1000 // scale, errors)
        )
        caller.start()
        for i in range(100 // scale):
            rules = lb.document["LoadBalancers"][0]["Listeners"][0]
            rules["DefaultActions"] = [
                {
                    "Type": "forward",
                    "ForwardConfig": {
                        "TargetGroups": [{"TargetGroupArn": "pool", "Weight": i + 1}]
                    },
                }
            ]
            rules["Rules"] = [path_rule(n) for n in range(1, 20 + i % 7)]
            assert " reload file=" in lb.reload(lb.document)
        caller.join(60)
    finally:
        load.send_signal(signal.SIGINT)
        report = load.communicate(timeout=20)[0]
    assert errors == []
    assert int(re.search(r"(\d+) requests in ", report)[1]) > 500, report
    # wrk has these lines only where there is something to tell.
    assert "Socket errors" not in report and "Non-2xx" not in report, report
    assert lb.metric("albatross_lb_sent_to_draining_total") == 0
