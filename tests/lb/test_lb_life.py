"""Start, reload, drain, crash: the program's life, and what it says about a bad file."""

import copy
import json
import re
import signal
import urllib.error

import pytest

import conftest as shared
from lb_fixtures import Lb, backends, start_lb  # noqa: F401 (fixtures)
from lb_helpers import Wire, fixed, group, rule


def test_reload_takes_the_new_file_and_keeps_run_time_targets(start_lb, backends):
    named, added = backends(2)
    lb = start_lb(named)
    lb.client().register_targets(TargetGroupArn=lb.group_arn(), Targets=[added.target])
    arn = lb.group_arn()
    lb.document["LoadBalancers"][0]["Listeners"][0]["Rules"] = [
        rule(1, "/new", fixed(200, "new"))
    ]
    verdict = lb.reload(lb.document)
    assert " reload file=" in verdict
    assert verdict.endswith(" created=1 changed=0 deleted=0 settings=0")
    # The workers have been told, and take it up when their loops turn.
    shared.wait_for(lambda: lb.get("/new") == "new", what="the new rule")
    assert set(lb.health()) == {named.port, added.port}
    assert lb.group_arn() == arn


def test_reload_deletes_what_only_the_old_file_named(start_lb, backends):
    backend = backends()
    lb = start_lb(
        backend, rules=[rule(1, "/a", fixed(200, "a")), rule(2, "/b", fixed(200, "b"))]
    )
    lb.client().create_target_group(Name="mine", Protocol="HTTP", Port=80)
    document = copy.deepcopy(lb.document)
    document["LoadBalancers"][0]["Listeners"][0]["Rules"].pop(0)
    document["TargetGroups"][0]["Targets"] = []
    document["TargetGroups"].append(group("more"))
    lb.reload(document)
    assert lb.get("/b") == "b"
    shared.wait_for(lambda: lb.status("/a") == 503, what="the rule to go")
    document["TargetGroups"].pop()
    lb.reload(document)
    groups = lb.client().describe_target_groups()["TargetGroups"]
    assert {g["TargetGroupName"] for g in groups} == {"web", "mine"}


def test_no_request_fails_over_reloads(start_lb, backends, clients):
    lb = start_lb(backends())
    with clients(lb.url) as asking:
        for i in range(5):
            lb.document["LoadBalancers"][0]["Listeners"][0]["Rules"] = [
                rule(1, f"/{i}", fixed(200, "x"))
            ]
            lb.reload(lb.document)
        enough = len(asking.answers) + 20
        shared.wait_for(lambda: len(asking.answers) > enough, what="more answers")
    assert asking.errors == []


def broken_json(document):
    return '{\n "LoadBalancers": [\n}', r"3"


def unknown_member(document):
    document["LoadBalancers"][0]["Listenrs"] = []
    return document, r"Listenrs.*Listeners"


def port_out_of_range(document):
    document["LoadBalancers"][0]["Listeners"][0]["Port"] = 70000
    return document, r"Port.*70000.*65535"


def same_priority_twice(document):
    document["LoadBalancers"][0]["Listeners"][0]["Rules"] = [
        rule(7, "/a", fixed(200)),
        rule(7, "/b", fixed(200)),
    ]
    return document, r"[Pp]riority.*7"


def unknown_group(document):
    actions = [{"Type": "forward", "TargetGroupArn": "nowhere"}]
    document["LoadBalancers"][0]["Listeners"][0]["DefaultActions"] = actions
    return document, r"nowhere"


def bad_condition(document):
    rules = [rule(1, "/a b", fixed(200))]
    document["LoadBalancers"][0]["Listeners"][0]["Rules"] = rules
    return document, r"Rules\[0\].*/a b"


BAD = [
    broken_json,
    unknown_member,
    port_out_of_range,
    same_priority_twice,
    unknown_group,
    bad_condition,
]


@pytest.mark.parametrize("spoil", BAD)
def test_bad_file_is_refused_with_a_reason(start_lb, programs, spoil):
    document, reason = spoil(start_lb(ready=False).document)
    path = programs.config(document, "bad.json")
    for arguments in (["-t", "-c", path], ["-c", path]):
        status, output = programs.run("albatross-lb", *arguments)
        assert status == 1
        assert re.search(reason, output), output
        assert "bad.json" in output


def test_bad_file_at_reload_changes_nothing(start_lb, backends):
    lb = start_lb(backends())
    good = copy.deepcopy(lb.document)
    for spoil in BAD:
        bad, reason = spoil(copy.deepcopy(good))
        line = lb.reload(bad)
        assert "reload-refused" in line and re.search(reason, line)
        assert lb.get() == "b0"


def test_good_file_is_said_to_be_good(start_lb, programs):
    path = programs.config(start_lb(ready=False).document)
    status, output = programs.run("albatross-lb", "-t", "-c", path)
    assert (status, "good" in output) == (0, True)


def test_every_example_is_good(programs):
    for path in sorted((shared.ROOT / "conf").glob("*.json")):
        status, output = programs.run("albatross-lb", "-t", "-c", path)
        assert status == 0, output


def test_port_in_use_ends_the_start_with_a_reason(start_lb, programs, backends):
    taken = backends()
    lb = start_lb(ready=False)
    lb.document["LoadBalancers"][0]["Listeners"][0]["Port"] = taken.port
    path = programs.config(lb.document)
    status, output = programs.run("albatross-lb", "-c", path)
    assert status == 1
    assert output.count("cannot listen on") == 1 and output.count("uses this port") == 1
    assert f"127.0.0.1:{taken.port}" in output


def test_api_port_in_use_ends_the_start_with_a_reason(start_lb, programs, backends):
    lb = start_lb(settings={"ApiAddress": f"127.0.0.1:{backends().port}"}, ready=False)
    status, output = programs.run("albatross-lb", "-c", programs.config(lb.document))
    assert status == 1 and "ApiAddress" in output
    assert output.count("cannot listen on") == 1 and output.count("in use") == 1


def test_term_lets_requests_finish(start_lb, backends):
    backend = backends()
    lb = start_lb(backend, settings={"Workers": 1})
    with lb.wire() as wire, lb.wire() as idle:
        assert idle.get().status == 200
        wire.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        assert backend.holding.acquire(timeout=20 * shared.SLOW)
        lb.program.send(signal.SIGTERM)
        assert idle.is_closed()
        assert lb.program.is_running()
        with pytest.raises(urllib.error.HTTPError, match="503"):
            shared.http_get(lb.api + "/healthz")
        backend.go.set()
        answer = wire.read()
        assert answer.body == b"held"
        assert answer.header("Connection") == "close"
    assert lb.program.process.wait(10 * shared.SLOW) == 0


def test_second_term_ends_at_once(start_lb, backends):
    backend = backends()
    lb = start_lb(backend)
    with lb.wire() as wire:
        wire.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
        assert backend.holding.acquire(timeout=20 * shared.SLOW)
        lb.program.send(signal.SIGTERM)
        lb.program.wait_log("draining")

        def ended():
            lb.program.send(signal.SIGTERM)
            return not lb.program.is_running()

        shared.wait_for(ended, what="the end", interval=0.2)
    assert lb.program.process.returncode == 0


def test_killed_and_started_again_it_serves_what_it_served(start_lb, backends):
    named, added = backends(2)
    folder = start_lb(ready=False).programs.folder
    lb = start_lb(named, settings={"StateUrl": f"sqlite:{folder}/lb.db"})
    elb, arn = lb.client(), lb.group_arn()
    elb.register_targets(TargetGroupArn=arn, Targets=[added.target])
    elb.deregister_targets(TargetGroupArn=arn, Targets=[named.target])
    listener = elb.describe_listeners(
        LoadBalancerArn=elb.describe_load_balancers()["LoadBalancers"][0][
            "LoadBalancerArn"
        ]
    )["Listeners"][0]
    elb.create_rule(
        ListenerArn=listener["ListenerArn"],
        Priority=3,
        Conditions=[{"Field": "path-pattern", "Values": ["/kept"]}],
        Actions=fixed(200, "kept"),
    )
    lb.program.send(signal.SIGKILL)
    lb.program.process.wait()
    lb.start()
    assert lb.get("/kept") == "kept"
    assert lb.group_arn() == arn
    assert added.port in lb.health()
    assert "b1" in {lb.get() for _ in range(4)}


def test_load_balancers_of_the_api_keep_address_and_port_over_a_crash(programs):
    settings = {
        "AutoAddress": "127.0.78.0/24",
        "StateUrl": f"sqlite:{programs.folder}/lb.db",
    }
    lb = Lb(programs, {}, settings).start()
    elb, port = lb.client(), shared.free_port()
    made = elb.create_load_balancer(Name="api")["LoadBalancers"][0]
    elb.create_listener(
        LoadBalancerArn=made["LoadBalancerArn"],
        Protocol="HTTP",
        Port=port,
        DefaultActions=fixed(200, "here"),
    )
    lb.program.send(signal.SIGKILL)
    lb.program.process.wait()
    lb.start()
    with Wire(port, made["DNSName"]) as wire:
        assert wire.get().body == b"here"


def test_access_log_is_opened_anew_on_usr1(start_lb, backends, programs):
    path = programs.folder / "access.log"
    lb = start_lb(backends(), settings={"AccessLog": str(path)})
    lb.get("/one")
    shared.wait_for(lambda: "/one" in path.read_text(), what="the line")
    path.rename(programs.folder / "access.log.1")
    lb.program.send(signal.SIGUSR1)
    lb.program.wait_log("logs-reopened")
    shared.wait_for(
        lambda: lb.get("/two") and path.exists() and "/two" in path.read_text(),
        what="the new file",
    )


def test_metrics_are_sent_every_second(start_lb, backends):
    import lb_services

    backend = backends()
    with lb_services.CloudWatch() as cloudwatch:
        environment = {
            "MetricsEndpoint": cloudwatch.url,
            "AvailabilityZone": "us-east-1a",
        }
        lb = start_lb(backend, settings=environment)
        lb.wait_health({backend: "healthy"})
        for _ in range(10):
            lb.get()
        total = lambda: sum(cloudwatch.values("RequestCount", "LoadBalancer"))
        shared.wait_for(lambda: total() == 10, what="ten requests counted")
        assert (
            cloudwatch.values("HealthyHostCount", "LoadBalancer", "TargetGroup")[-1]
            == 1
        )
        assert sum(cloudwatch.values("RequestCountPerTarget", "TargetGroup")) == 10
        times = cloudwatch.data("TargetResponseTime", "LoadBalancer", "TargetGroup")
        assert sum(c for d in times for c in d["Counts"]) == 10
        assert all(d["StorageResolution"] == 1 for d in cloudwatch.all)


def test_each_metric_is_explained(start_lb, backends):
    lb = start_lb(backends())
    lb.get()
    text = shared.http_get(lb.api + "/metrics")
    families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    explained = re.findall(r"^# HELP (\S+) \S.*\.$", text, re.M)
    assert sorted(explained) == sorted(families), "each once, each with both lines"
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name = re.match(r"[a-z0-9_]+(?=[{ ])", line)[0]
        histogram = re.sub(r"_(bucket|sum|count)$", "", name)
        assert name in families or families.get(histogram) == "histogram", line
        assert families.get(name) != "counter" or name.endswith("_total"), line
    for name in ("ipv6_request_count_total", "anomalous_host_count"):
        assert f"albatross_lb_{name}" in families


def test_feed_survives_an_endpoint_that_is_down(start_lb, backends):
    import lb_services

    port = shared.free_port()
    backend = backends()
    lb = start_lb(backend, settings={"MetricsEndpoint": f"http://127.0.0.1:{port}"})
    lb.program.wait_log("feed-down")
    lb.get()
    with lb_services.CloudWatch(port) as cloudwatch:
        lb.program.wait_log("feed-up")
        count = lambda: sum(cloudwatch.values("RequestCount", "LoadBalancer"))
        shared.wait_for(lambda: count() == 1, what="the request of before")
    assert len(re.findall("feed-down", lb.program.log())) <= 2
