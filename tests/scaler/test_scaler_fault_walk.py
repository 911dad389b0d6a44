"""The fault walk with the real program: kill -9 at each call that changes something in EC2.

Each flow is run once to count its steps: each such call as it arrives, and as it is done and not answered yet. Then
once for each step with the scaler killed exactly there (by EC2, which sees them) and started again on its store: it
ends with the same instances, none launched twice, none forgotten, and no activity open.
"""

import os
import signal
import subprocess
import threading

import pytest

from conftest import MODE, wait_for
from fake_ec2 import FakeEc2, Refused
from fixtures import DOCUMENT, start_scaler  # noqa: F401

CHANGES = {
    "RunInstances",
    "TerminateInstances",
    "CreateTags",
    "DeleteTags",
    "StartInstances",
    "StopInstances",
}


class DeadlyEc2(FakeEc2):
    """Kills the scaler at a step: even ones are calls that arrive, odd ones what is done but not answered."""

    def __init__(self):
        self.counts = False
        self.step, self.kill_at, self.pid = 0, None, None
        self.killed = threading.Event()
        super().__init__()

    def walk(self, pid, kill_at):
        with self.lock:
            self.step, self.kill_at, self.pid = 0, kill_at, pid
            self.killed.clear()
            self.counts = True

    def dies_here(self):
        step, self.step = self.step, self.step + 1
        if step != self.kill_at:
            return False
        self.counts = False
        os.kill(self.pid, signal.SIGKILL)
        self.killed.set()
        return True

    def answer(self, request, form):
        with self.lock:
            if self.counts and form["Action"] in CHANGES and self.is_deadly(form):
                request.close_connection = True
                return
        super().answer(request, form)

    def is_deadly(self, form):
        if self.dies_here():
            return True
        if self.step != self.kill_at:
            self.step += 1
            return False
        self.calls.append((form["Action"], form))
        try:
            getattr(self, "do_" + form["Action"])(form)
        except Refused:
            pass
        return self.dies_here()


@pytest.fixture
def deadly_ec2():
    made = []

    def make():
        made.append(DeadlyEc2())
        return made[-1]

    yield make
    for ec2 in made:
        ec2.stop()


# ---- flows: what people do, and how it is seen that all is over ----


def desired(n):
    def act(scaler, ec2):
        scaler.api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=n)

    return act


def one_dies(scaler, ec2):
    ec2.end(sorted(scaler.in_service())[0], "Server.InternalError")


def one_is_ended(scaler, ec2):
    scaler.api.terminate_instance_in_auto_scaling_group(
        InstanceId=sorted(scaler.in_service())[0], ShouldDecrementDesiredCapacity=True
    )


def refresh(scaler, ec2):
    scaler.api.start_instance_refresh(
        AutoScalingGroupName="web",
        Preferences={"MinHealthyPercentage": 50, "InstanceWarmup": 0},
    )


def detach(scaler, ec2):
    scaler.api.detach_instances(
        AutoScalingGroupName="web",
        InstanceIds=sorted(scaler.in_service())[:1],
        ShouldDecrementDesiredCapacity=False,
    )


def attach(scaler, ec2):
    ec2.do_RunInstances({"ClientToken": "somebody", "MaxCount": "1"})
    stranger = next(i for i in ec2.instances.values() if i["clientToken"] == "somebody")
    stranger["instanceState"] = {"code": 16, "name": "running"}
    scaler.api.attach_instances(
        AutoScalingGroupName="web", InstanceIds=[stranger["instanceId"]]
    )


def force_delete(scaler, ec2):
    scaler.api.delete_auto_scaling_group(AutoScalingGroupName="web", ForceDelete=True)


def warm_pool(scaler, ec2):
    scaler.api.put_warm_pool(AutoScalingGroupName="web", MaxGroupPreparedCapacity=4)


FLOWS = {
    "out": desired(4),
    "in": desired(1),
    "death": one_dies,
    "ended": one_is_ended,
    "refresh": refresh,
    "detach": detach,
    "attach": attach,
    "delete": force_delete,
    "pool": warm_pool,
}


def activities(scaler):
    answer = scaler.api.describe_scaling_activities(
        AutoScalingGroupName="web", IncludeDeletedGroups=True
    )
    return answer["Activities"]


def is_tagged(instance):
    return any(
        t["key"] == "albatross:autoscaling:groupName" for t in instance["tagSet"]
    )


def is_over(scaler, ec2):
    group = scaler.group()
    refreshes = group and scaler.api.describe_instance_refreshes(
        AutoScalingGroupName="web"
    )
    if refreshes and any("EndTime" not in r for r in refreshes["InstanceRefreshes"]):
        return False
    if any("EndTime" not in a for a in activities(scaler)):
        return False
    if not group:
        return not ec2.running()
    states = {i["LifecycleState"] for i in group["Instances"]}
    owned = {i for i in ec2.running() if is_tagged(ec2.instances[i])}
    if owned != set(scaler.in_service()):
        return False
    return (
        states <= {"InService"}
        and len(group["Instances"]) == group["DesiredCapacity"]
        and (group.get("WarmPoolSize") or 0)
        == (2 if "WarmPoolConfiguration" in group else 0)
    )


def outcome(scaler, ec2):
    """What must be the same whenever the scaler is killed."""
    group = scaler.group()
    states = sorted(i["instanceState"]["name"] for i in ec2.instances.values())
    tagged = [i for i in ec2.instances.values() if is_tagged(i)]
    if group:
        assert set(scaler.in_service()) <= {i["instanceId"] for i in tagged}
    return {
        "desired": group and group["DesiredCapacity"],
        "in service": len(scaler.in_service()),
        "EC2": states,
        "of the group": len(tagged),
    }


def run(programs, make_ec2, start_scaler, act, kill_at):
    for old in programs.folder.glob("scaler.db*"):
        old.unlink()
    ec2 = make_ec2()
    scaler = start_scaler(ec2.url)
    scaler.wait_in_service(2, 30)
    ec2.walk(scaler.program.pid, kill_at)
    act(scaler, ec2)
    if kill_at is not None:
        assert ec2.killed.wait(30), "it was never killed"
        scaler.program.stop(signal.SIGKILL)
        scaler.start()
    # Twice in a row: between two steps it may look as if it were over.
    for _ in range(2):
        wait_for(lambda: is_over(scaler, ec2), 60, "the flow to end", 0.3)
        ec2.forms("DescribeInstances")
    ec2.counts = False
    found, steps = outcome(scaler, ec2), ec2.step
    scaler.program.stop(signal.SIGKILL)
    return found, steps


@pytest.mark.unhurried
@pytest.mark.skipif(MODE != "release", reason="it waits for dozens of restarts")
@pytest.mark.parametrize("flow", FLOWS)
def test_killed_at_any_call_of_a_flow_it_ends_the_same(
    flow, programs, deadly_ec2, start_scaler
):
    tools = programs, deadly_ec2, start_scaler, FLOWS[flow]
    wanted, steps = run(*tools, None)
    assert steps >= 2
    for kill_at in range(steps):
        found, _ = run(*tools, kill_at)
        assert found == wanted, f"{flow}, killed at step {kill_at} of {steps}"


# ---- other faults of EC2 and of the clock ----


class MoodyEc2(FakeEc2):
    """Answers the next RunInstances with what is in moods, then goes on as usual."""

    moods = ()

    def do_RunInstances(self, form):
        if self.moods:
            mood, self.moods = self.moods[0], self.moods[1:]
            if isinstance(mood, Refused):
                raise mood
            form = {**form, "MaxCount": str(mood)}
        return super().do_RunInstances(form)


@pytest.fixture
def moody_ec2():
    ec2 = MoodyEc2()
    yield ec2
    ec2.stop()


@pytest.mark.unhurried
@pytest.mark.parametrize(
    "mood",
    [
        Refused(503, "RequestLimitExceeded", "Request limit exceeded."),
        Refused(500, "InternalError", "An internal error has occurred"),
        Refused(503, "Unavailable", "The service is unavailable."),
    ],
    ids=lambda mood: mood.code,
)
def test_a_call_that_is_throttled_or_fails_is_made_again_with_its_token(
    mood, moody_ec2, start_scaler
):
    moody_ec2.moods = (mood,) * 5
    scaler = start_scaler(moody_ec2.url)
    scaler.wait_in_service(2, 60)
    forms = moody_ec2.forms("RunInstances")
    assert len(forms) >= 7
    assert len({f["ClientToken"] for f in forms}) == 2
    assert len(moody_ec2.instances) == 2
    assert {a["StatusCode"] for a in scaler.activities()} == {"Successful"}


@pytest.mark.unhurried
def test_what_ec2_launches_too_few_of_is_launched_again(moody_ec2, start_scaler):
    document = dict(DOCUMENT)
    group = {**DOCUMENT["AutoScalingGroups"][0], "VPCZoneIdentifier": "subnet-a"}
    document["AutoScalingGroups"] = [{**group, "DesiredCapacity": 4}]
    moody_ec2.moods = (1,)
    scaler = start_scaler(moody_ec2.url, document)
    scaler.wait_in_service(4, 60)
    assert sorted(moody_ec2.running()) == sorted(scaler.in_service())
    assert len(moody_ec2.instances) == 4


CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <time.h>

/* The real time, plus the seconds that stand in the file. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*real)(clockid_t, struct timespec *);
	long ahead = 0;
	FILE *file;

	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	if (id == CLOCK_REALTIME && (file = fopen(AHEAD_FILE, "r"))) {
		if (fscanf(file, "%ld", &ahead) != 1)
			ahead = 0;
		fclose(file);
	}
	int result = real(id, ts);
	ts->tv_sec += ahead;
	return result;
}
"""


@pytest.mark.unhurried
@pytest.mark.skipif(MODE != "release", reason="sanitizers want to be loaded first")
@pytest.mark.parametrize("hours", [5, -5])
def test_a_clock_that_jumps_stops_nothing(hours, moody_ec2, programs, start_scaler):
    source, library = programs.folder / "clock.c", programs.folder / "clock.so"
    ahead = programs.folder / "ahead.json"
    source.write_text(CLOCK)
    subprocess.run(
        ["cc", "-shared", "-fPIC", f'-DAHEAD_FILE="{ahead}"']
        + ["-o", library, source, "-ldl"],
        check=True,
    )
    ahead.write_text("0")
    start = programs.start

    def start_with_clock(name, *args, env=None):
        return start(name, *args, env={**(env or {}), "LD_PRELOAD": str(library)})

    programs.start = start_with_clock
    scaler = start_scaler(moody_ec2.url)
    scaler.wait_in_service(2)
    ahead.write_text(str(hours * 3600))
    victim = scaler.in_service()[0]
    moody_ec2.end(victim, "Server.InternalError")
    wait_for(lambda: victim not in scaler.in_service(), 15, "the death to be seen")
    scaler.wait_in_service(2, 40)
    scaler.api.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=3)
    scaler.wait_in_service(3, 40)
    assert sorted(moody_ec2.running()) == sorted(scaler.in_service())
