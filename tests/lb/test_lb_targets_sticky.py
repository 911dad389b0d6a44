"""Stickiness: who is bound to which target or group, and what ends it (checklist rows 9 and 10)."""

import conftest as shared
from lb_fixtures import backends, start_lb  # noqa: F401 (fixtures)
from lb_helpers import group

LB_COOKIE = {"stickiness.enabled": "true", "stickiness.type": "lb_cookie"}
APP_COOKIE = {
    "stickiness.enabled": "true",
    "stickiness.type": "app_cookie",
    "stickiness.app_cookie.cookie_name": "session",
}


class Browser:
    """Keeps the cookies that it is told to keep."""

    def __init__(self, lb):
        self.lb = lb
        self.jar = {}
        self.set_cookies = []

    def get(self, path="/", keep=True):
        with self.lb.wire() as wire:
            cookies = "; ".join(f"{k}={v}" for k, v in self.jar.items())
            answer = wire.get(path, *([f"Cookie: {cookies}"] if cookies else []))
        assert answer.status == 200, answer.line
        self.set_cookies = [v for k, v in answer.headers if k.lower() == "set-cookie"]
        for cookie in self.set_cookies if keep else []:
            name, value = cookie.split(";")[0].split("=", 1)
            self.jar[name] = value
        return answer.body.decode()


def start(start_lb, targets, attributes, **more):
    lb = start_lb(
        groups=[group("sticky", *targets, Attributes=attributes)],
        actions=[{"Type": "forward", "TargetGroupArn": "sticky"}],
        **more,
    )
    lb.wait_health({t: "healthy" for t in targets}, "sticky")
    return lb


def names(cookies):
    return [c.split("=")[0] for c in cookies]


def test_a_client_with_the_cookie_stays_with_its_target(start_lb, backends):
    lb = start(start_lb, backends(3), LB_COOKIE)
    browser = Browser(lb)
    first = browser.get()
    assert names(browser.set_cookies) == ["AWSALB", "AWSALBCORS"]
    assert browser.set_cookies[1].endswith("; Path=/; SameSite=None; Secure")
    assert {browser.get() for _ in range(10)} == {first}
    assert len(browser.set_cookies) == 2, "the cookies are renewed with every response"
    del browser.jar["AWSALBCORS"]
    assert {browser.get(keep=False) for _ in range(6)} == {first}
    assert {Browser(lb).get() for _ in range(9)} == {"b0", "b1", "b2"}
    assert lb.metric("albatross_lb_non_sticky_request_count_total") == 10


def test_forged_and_garbled_cookies_are_ignored(start_lb, backends):
    lb = start(start_lb, backends(2), LB_COOKIE)
    browser = Browser(lb)
    browser.get()
    good = browser.jar["AWSALB"]
    for bad in ("", "x", good[:-4] + "AAAA", good[4:], "%00", good.replace("A", "B")):
        seen = set()
        for _ in range(4):
            browser.jar = {"AWSALB": bad}
            seen.add(browser.get(keep=False))
        assert seen == {"b0", "b1"}, bad


def test_c14_10_a_binding_ends_with_its_duration(start_lb, backends):
    lb = start(
        start_lb,
        backends(2),
        {**LB_COOKIE, "stickiness.lb_cookie.duration_seconds": "1"},
    )
    browser = Browser(lb)
    browser.get()
    shared.wait_for(
        lambda: {browser.get(keep=False) for _ in range(8)} == {"b0", "b1"},
        what="the end of the binding",
    )


def test_c14_10_a_session_leaves_a_target_that_is_unhealthy_draining_or_gone(
    start_lb, backends
):
    targets = {b.name: b for b in backends(3)}
    lb = start(start_lb, list(targets.values()), LB_COOKIE)
    browser = Browser(lb)
    sick = browser.get()
    targets[sick].health = 500
    lb.wait_health({targets[sick]: "unhealthy"}, "sticky")
    second = browser.get()
    assert second != sick
    targets[sick].health = 200
    lb.wait_health({targets[sick]: "healthy"}, "sticky")
    assert {browser.get() for _ in range(6)} == {second}, "it stays where it moved"
    lb.client().deregister_targets(
        TargetGroupArn=lb.group_arn("sticky"), Targets=[targets[second].target]
    )
    shared.wait_for(
        lambda: lb.health("sticky").get(targets[second].port, ("gone",))[0]
        in ("draining", "gone"),
        what="draining",
    )
    assert second not in {browser.get() for _ in range(6)}
    assert lb.metric("albatross_lb_sent_to_draining_total") == 0


def test_a_cookie_outlives_a_restart_of_the_lb(start_lb, backends, tmp_path):
    lb = start(
        start_lb,
        backends(3),
        LB_COOKIE,
        settings={"StateUrl": f"sqlite:{tmp_path}/state"},
    )
    browser = Browser(lb)
    first = browser.get()
    lb.program.stop()
    lb.start()
    shared.wait_for(
        lambda: {s for s, _ in lb.health("sticky").values()} == {"healthy"},
        what="all healthy",
    )
    assert {browser.get(keep=False) for _ in range(8)} == {first}


def test_c14_10_the_applications_cookie_begins_the_session(start_lb, backends):
    targets = {b.name: b for b in backends(3)}
    lb = start(start_lb, list(targets.values()), APP_COOKIE)
    browser = Browser(lb)
    browser.get()
    fragments = [f"AWSALBAPP-{i}" for i in range(4)]
    assert names(browser.set_cookies) == fragments
    assert all("=_remove_; Expires=" in c for c in browser.set_cookies)
    assert {browser.get(keep=False) for _ in range(6)} == {"b0", "b1", "b2"}
    home = browser.get("/login/session")
    assert names(browser.set_cookies) == ["session", *fragments]
    assert "_remove_" not in browser.set_cookies[1]
    assert {browser.get() for _ in range(6)} == {home}
    # Without the application's own cookie there is no session.
    jar = dict(browser.jar)
    del browser.jar["session"]
    assert len({browser.get(keep=False) for _ in range(6)}) == 3
    browser.jar = jar
    targets[home].health = 500
    lb.wait_health({targets[home]: "unhealthy"}, "sticky")
    moved = browser.get()
    assert moved != home
    assert {browser.get() for _ in range(6)} == {moved}


def weighted(*weights, sticky=None):
    config = {
        "TargetGroups": [
            {"TargetGroupArn": name, "Weight": weight} for name, weight in weights
        ]
    }
    if sticky:
        config["TargetGroupStickinessConfig"] = {
            "Enabled": True,
            "DurationSeconds": sticky,
        }
    return [{"Type": "forward", "ForwardConfig": config}]


def test_c14_9_a_client_stays_with_its_weighted_group(start_lb, backends):
    blue, green = backends(2)
    lb = start_lb(
        groups=[group("blue", blue), group("green", green)],
        actions=weighted(("blue", 50), ("green", 50), sticky=60),
    )
    lb.wait_health({blue: "healthy"}, "blue")
    lb.wait_health({green: "healthy"}, "green")
    browser = Browser(lb)
    first = browser.get()
    assert names(browser.set_cookies) == ["AWSALBTG", "AWSALBTGCORS"]
    assert {browser.get() for _ in range(20)} == {first}
    assert {Browser(lb).get() for _ in range(40)} == {"b0", "b1"}
    # Weight 0: no new sessions; who is bound stays.
    keep, drop = ("blue", "green") if first == "b1" else ("green", "blue")
    listener = lb.document["LoadBalancers"][0]["Listeners"][0]
    listener["DefaultActions"] = weighted((drop, 0), (keep, 1), sticky=60)
    lb.reload(lb.document)
    other = {"b0": "b1", "b1": "b0"}[first]
    shared.wait_for(
        lambda: {Browser(lb).get() for _ in range(10)} == {other}, what="weight 0"
    )
    assert {browser.get() for _ in range(10)} == {first}
    browser.jar = {"AWSALBTG": "forged"}
    assert {browser.get(keep=False) for _ in range(10)} == {other}


def test_targets_and_groups_are_sticky_together(start_lb, backends):
    four = backends(4)
    lb = start_lb(
        groups=[
            group("blue", *four[:2], Attributes=LB_COOKIE),
            group("green", *four[2:], Attributes=LB_COOKIE),
        ],
        actions=weighted(("blue", 1), ("green", 1), sticky=60),
    )
    lb.wait_health({b: "healthy" for b in four[:2]}, "blue")
    lb.wait_health({b: "healthy" for b in four[2:]}, "green")
    browser = Browser(lb)
    first = browser.get()
    assert len(browser.set_cookies) == 4
    assert {browser.get() for _ in range(20)} == {first}


def test_the_file_may_turn_both_stickinesses_on_at_once(start_lb, backends):
    blue, green = backends(2)
    lb = start_lb(
        groups=[group("blue", blue), group("green", green)],
        actions=weighted(("blue", 1), ("green", 1)),
    )
    listener = lb.document["LoadBalancers"][0]["Listeners"][0]
    for one in lb.document["TargetGroups"][1:]:
        one["Attributes"] = LB_COOKIE
    assert "You must enable group stickiness" in lb.reload(lb.document)
    listener["DefaultActions"] = weighted(("blue", 1), ("green", 1), sticky=60)
    assert " reload file=" in lb.reload(lb.document)
    browser = Browser(lb)
    first = browser.get()
    assert len(browser.set_cookies) == 4
    assert {browser.get() for _ in range(10)} == {first}


def test_an_applications_session_stays_with_its_weighted_group(start_lb, backends):
    """Better than ALB, whose application cookies do not work there."""
    four = backends(4)
    lb = start_lb(
        groups=[
            group("blue", *four[:2], Attributes=APP_COOKIE),
            group("green", *four[2:], Attributes=APP_COOKIE),
        ],
        actions=weighted(("blue", 1), ("green", 1), sticky=60),
    )
    lb.wait_health({b: "healthy" for b in four[:2]}, "blue")
    lb.wait_health({b: "healthy" for b in four[2:]}, "green")
    browser = Browser(lb)
    home = browser.get("/login/session")
    assert "AWSALBTG" in names(browser.set_cookies)
    assert {browser.get() for _ in range(20)} == {home}
