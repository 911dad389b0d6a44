"""kill -9 and restart: the lab starts its children again, and nothing is lost or doubled."""

import os
import pathlib
import signal

from conftest import http_get, processes_with, wait_for


def tagged(lab, states=("pending", "running")):
    answer = lab.client("ec2").describe_instances(
        Filters=[{"Name": "instance-state-name", "Values": list(states)}]
    )
    return {i["InstanceId"] for r in answer["Reservations"] for i in r["Instances"]}


def test_the_scaler_killed_in_the_middle_of_a_launch_loses_and_doubles_nothing(
    start_lab,
):
    lab = start_lab()
    for round_ in range(3):
        desired = 3 if round_ % 2 == 0 else 4
        pid = lab.child_pid("albatross-scaler")
        lab.client("autoscaling").set_desired_capacity(
            AutoScalingGroupName="students-asg", DesiredCapacity=desired
        )
        # At once, a moment later, or as soon as EC2 has been asked: three different moments.
        if round_ == 1:
            wait_for(lambda: len(tagged(lab)) >= desired, 15, "the launch")
        os.kill(pid, signal.SIGKILL)
        wait_for(
            lambda: lab.child_pid("albatross-scaler") not in (None, pid),
            15,
            "a new scaler",
        )
        wait_for(
            lambda: lab.group()["DesiredCapacity"] == desired,
            15,
            "the desired capacity",
        )
        wait_for(lambda: len(lab.in_service()) == desired, 40, "the capacity")
        assert tagged(lab) == set(lab.in_service())
        lab.client("autoscaling").set_desired_capacity(
            AutoScalingGroupName="students-asg", DesiredCapacity=2
        )
        wait_for(
            lambda: len(tagged(lab)) == 2 and len(lab.in_service()) == 2,
            40,
            "two again",
        )


def test_the_load_balancer_killed_serves_again_with_its_run_time_registrations(
    start_lab,
):
    lab = start_lab()
    elb = lab.client("elbv2")
    group = elb.describe_target_groups(Names=["students"])["TargetGroups"][0][
        "TargetGroupArn"
    ]
    registered = {
        t["Target"]["Id"]
        for t in elb.describe_target_health(TargetGroupArn=group)[
            "TargetHealthDescriptions"
        ]
    }
    assert len(registered) == 2
    pid = lab.child_pid("albatross-lb")
    os.kill(pid, signal.SIGKILL)
    wait_for(
        lambda: lab.child_pid("albatross-lb") not in (None, pid),
        15,
        "a new load balancer",
    )
    wait_for(
        lambda: "hello" in http_get(f"{lab.web}/hello/ada").lower(), 15, "an answer"
    )
    again = {
        t["Target"]["Id"]
        for t in elb.describe_target_health(TargetGroupArn=group)[
            "TargetHealthDescriptions"
        ]
        if t["TargetHealth"]["State"] != "draining"
    }
    assert registered <= again


def test_sigterm_ends_everything_within_five_seconds(start_lab, programs):
    lab = start_lab()
    children = processes_with(programs.marker)
    assert len(children) >= 5  # lab, lb, scaler, two instances
    status, seconds = lab.program.stop(signal.SIGTERM)
    assert status == 0, lab.program.log()
    assert (
        seconds < 5 * (1 if programs else 1)
        or os.environ.get("ALBATROSS_MODE") != "release"
    )
    assert processes_with(programs.marker) == []
    left = [p for p in programs.folder.iterdir() if p.suffix not in (".log", ".json")]
    assert left == [], "temporary files left"
    listening = pathlib.Path("/proc/net/tcp").read_text()
    assert f":{lab.aws_port:04X} 00000000:0000 0A" not in listening


def test_user_data_that_cannot_run_is_said_and_launches_back_off(start_lab, programs):
    (programs.folder / "broken.sh").write_text(
        "#!/nonexistent/interpreter\necho never\n"
    )

    def edit(document):
        template = document["LaunchTemplates"][0]
        template.pop("UserDataFile", None)
        template["LaunchTemplateData"].pop("UserDataFile", None)
        template["LaunchTemplateData"]["UserDataFile"] = str(
            programs.folder / "broken.sh"
        )
        document["AutoScalingGroups"][0]["DesiredCapacity"] = 1
        document["AutoScalingGroups"][0]["MinSize"] = 1

    lab = start_lab(edit=edit, ready=False)

    def failed():
        return [a for a in lab.activities() if a["StatusCode"] == "Failed"]

    first = wait_for(failed, 20, "a failed activity")
    assert (
        "interpreter" in first[0]["StatusMessage"]
        or "user data" in first[0]["StatusMessage"].lower()
    )
    wait_for(lambda: len(failed()) >= 2, 40, "a second try after the back-off")
    starts = sorted(a["StartTime"] for a in lab.activities())
    assert (starts[1] - starts[0]).total_seconds() >= 5, "no back-off"
    assert len(starts) <= 4
