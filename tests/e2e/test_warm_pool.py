"""A warm pool of real processes: stopped, started again, drained, and given back."""

from conftest import http_get, wait_for

NAMED = {"AutoScalingGroupName": "students-asg"}

# Serves its own folder; in it, what the instance is to become, asked of the metadata service.
SCRIPT = """#!/bin/sh
imds="$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest"
(
  while sleep 0.2; do
    token=$(curl -s -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" "$imds/api/token")
    state=$(curl -sf -H "X-aws-ec2-metadata-token: $token" \\
      "$imds/meta-data/autoscaling/target-lifecycle-state") || state=unknown
    echo "$state" > target.new
    mv target.new target
  done
) &
exec /usr/bin/python3 -m http.server --bind "$HOST" 8000
"""


def edit(path):
    def change(document):
        template = document["LaunchTemplates"][0]
        template.pop("UserDataFile", None)
        template["LaunchTemplateData"]["UserDataFile"] = str(path)
        document["ScalingPolicies"] = []
        document["AutoScalingGroups"][0].update(MinSize=1, DesiredCapacity=1, MaxSize=3)

    return change


def warm(lab):
    pool = lab.client("autoscaling").describe_warm_pool(**NAMED)
    return {i["InstanceId"]: i["LifecycleState"] for i in pool["Instances"]}


def state(lab, instance_id):
    [reservation] = lab.client("ec2").describe_instances(InstanceIds=[instance_id])[
        "Reservations"
    ]
    return reservation["Instances"][0]


def target(lab, instance_id):
    address = state(lab, instance_id)["PrivateIpAddress"]
    return http_get(f"http://{address}:8000/target").strip()


def test_a_pool_of_processes_is_stopped_started_and_given_back(
    start_lab, programs, clients
):
    path = programs.folder / "web.sh"
    path.write_text(SCRIPT)
    lab = start_lab(edit=edit(path))
    api = lab.client("autoscaling")
    api.put_lifecycle_hook(
        **NAMED,
        LifecycleHookName="in",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        HeartbeatTimeout=300,
    )
    api.put_warm_pool(**NAMED, InstanceReusePolicy={"ReuseOnScaleIn": True})

    def go_on(instance_id):
        api.complete_lifecycle_action(
            **NAMED,
            LifecycleHookName="in",
            InstanceId=instance_id,
            LifecycleActionResult="CONTINUE",
        )

    wait_for(
        lambda: list(warm(lab).values()) == ["Warmed:Pending:Wait"] * 2, 20, "the hook"
    )
    first, second = warm(lab)
    wait_for(lambda: target(lab, first) == "Warmed:Stopped", 10, "the pool's state")
    for one in (first, second):
        go_on(one)
    wait_for(lambda: list(warm(lab).values()) == ["Warmed:Stopped"] * 2, 20, "two warm")
    assert state(lab, first)["State"]["Name"] == "stopped"
    assert len(lab.running_instances()) == 1
    assert lab.group()["WarmPoolSize"] == 2
    # Out of the pool: the hook again, now with another target.
    api.set_desired_capacity(**NAMED, DesiredCapacity=3)
    wait_for(lambda: target(lab, first) == "InService", 20, "its target")
    for one in (first, second):
        wait_for(lambda: state(lab, one)["State"]["Name"] == "running", 10, "running")
        wait_for(lambda: not go_on(one), 10, "its hook")
    wait_for(lambda: {first, second} <= set(lab.in_service()), 20, "three in service")
    assert warm(lab) == {}
    wait_for(lambda: http_get(lab.web + "/target"), 10, "the application")
    # And back, without a failed request.
    with clients(lab.web + "/target") as asking:
        api.set_desired_capacity(**NAMED, DesiredCapacity=1)
        wait_for(
            lambda: sorted(warm(lab).values()) == ["Warmed:Stopped"] * 2, 30, "two back"
        )
    assert asking.errors == []
    assert len(lab.running_instances()) == 1
    api.delete_warm_pool(**NAMED, ForceDelete=True)
    wait_for(lambda: "WarmPoolConfiguration" not in lab.group(), 10, "no pool")
    assert len(lab.in_service()) == 1
