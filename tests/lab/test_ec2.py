"""The lab's EC2 and STS with the real aws command and boto3, and its instances as processes."""

import base64
import contextlib
import os
import signal
import time
import urllib.error
import urllib.request

import pytest

from conftest import SLOW, aws_cli, client, http_get, processes_with, refused, wait_for
from ec2_lab import IMAGE, Ec2Lab

SERVER = """#!/bin/bash
echo "instance $INSTANCE_ID" > index.html
exec python3 -m http.server --bind $HOST $PORT
"""


@pytest.fixture
def lab(programs):
    return Ec2Lab(programs)


def test_the_aws_command_runs_describes_and_terminates(lab):
    ran = aws_cli(
        lab.aws,
        *("ec2", "run-instances", "--image-id", IMAGE, "--instance-type", "t3.micro"),
        *("--tag-specifications", "ResourceType=instance,Tags=[{Key=Name,Value=one}]"),
        *("--user-data", SERVER),
    )
    instance_id = ran["Instances"][0]["InstanceId"]
    assert ran["Instances"][0]["State"] == {"Code": 0, "Name": "pending"}
    instance = lab.wait_state(instance_id, "running")
    address = instance["PrivateIpAddress"]
    assert address.startswith("127.31.")
    answer = wait_for(lambda: http_get(f"http://{address}:8000/"), 10, "the server")
    assert answer == f"instance {instance_id}\n"
    status = aws_cli(lab.aws, "ec2", "describe-instance-status")
    assert status["InstanceStatuses"][0]["InstanceStatus"]["Status"] == "ok"
    found = aws_cli(
        lab.aws,
        *("ec2", "describe-instances", "--filters", "Name=tag:Name,Values=o?e"),
        *("--query", "Reservations[].Instances[].InstanceId"),
    )
    assert found == [instance_id]
    gone = aws_cli(lab.aws, "ec2", "terminate-instances", "--instance-ids", instance_id)
    assert gone["TerminatingInstances"][0]["CurrentState"]["Name"] == "shutting-down"
    instance = lab.wait_state(instance_id, "terminated")
    assert instance["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert "PrivateIpAddress" not in instance
    # Another lab of this machine may have the address by now: then somebody else answers.
    with contextlib.suppress(OSError):
        assert instance_id not in http_get(f"http://{address}:8000/")


def test_the_account_is_told(lab):
    me = aws_cli(lab.aws, "sts", "get-caller-identity")
    assert me["Account"] == "000000000000"
    assert me["Arn"] == "arn:aws:iam::000000000000:root"


def test_what_a_new_account_has_is_there(lab):
    vpcs = lab.ec2.describe_vpcs(Filters=[{"Name": "isDefault", "Values": ["true"]}])
    vpc = vpcs["Vpcs"][0]["VpcId"]
    subnets = lab.ec2.describe_subnets(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "default-for-az", "Values": ["true"]},
        ]
    )["Subnets"]
    zones = lab.ec2.describe_availability_zones()["AvailabilityZones"]
    assert {s["AvailabilityZone"] for s in subnets} == {z["ZoneName"] for z in zones}
    assert len(zones) == 3
    groups = lab.ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    assert groups[0]["VpcId"] == vpc
    assert [r["RegionName"] for r in lab.ec2.describe_regions()["Regions"]] == [
        "us-east-1"
    ]
    images = lab.ec2.describe_images(
        Owners=["amazon"],
        Filters=[{"Name": "name", "Values": ["amzn2-ami-hvm*", "debian-12-amd64*"]}],
    )["Images"]
    assert len(images) == 2 and all(i["State"] == "available" for i in images)
    refused(
        "InvalidAMIID.NotFound", lab.ec2.describe_images, ImageIds=["ami-" + "0" * 17]
    )
    message = refused(
        "InvalidParameterValue",
        lab.ec2.describe_subnets,
        Filters=[{"Name": "colour", "Values": ["red"]}],
    )
    assert message == "The filter 'colour' is invalid"


def test_the_same_token_launches_once(lab):
    one = lab.run(ClientToken="token")
    assert lab.run(ClientToken="token") == one
    refused(
        "IdempotentParameterMismatch",
        lab.ec2.run_instances,
        ImageId=IMAGE,
        MinCount=1,
        MaxCount=1,
        ClientToken="token",
        InstanceType="t3.small",
        UserData="",
    )
    assert len(lab.running_instances()) == 1


def test_a_launch_template_has_versions_and_requests_override_them(lab):
    made = lab.ec2.create_launch_template(
        LaunchTemplateName="web",
        LaunchTemplateData={
            "ImageId": IMAGE,
            "InstanceType": "t2.micro",
            "UserData": base64.b64encode(SERVER.encode()).decode(),
            "TagSpecifications": [
                {"ResourceType": "instance", "Tags": [{"Key": "from", "Value": "lt"}]}
            ],
        },
    )["LaunchTemplate"]
    version = lab.ec2.create_launch_template_version(
        LaunchTemplateId=made["LaunchTemplateId"],
        SourceVersion="1",
        LaunchTemplateData={"InstanceType": "t3.small"},
    )["LaunchTemplateVersion"]
    assert version["VersionNumber"] == 2
    assert version["LaunchTemplateData"]["ImageId"] == IMAGE
    answer = lab.ec2.run_instances(
        MinCount=1,
        MaxCount=1,
        LaunchTemplate={"LaunchTemplateName": "web", "Version": "$Latest"},
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "from", "Value": "request"}]}
        ],
    )["Instances"][0]
    assert answer["InstanceType"] == "t3.small"
    tags = {t["Key"]: t["Value"] for t in answer["Tags"]}
    assert tags["from"] == "request"
    assert tags["aws:ec2launchtemplate:id"] == made["LaunchTemplateId"]
    assert tags["aws:ec2launchtemplate:version"] == "2"
    changed = lab.ec2.modify_launch_template(
        LaunchTemplateName="web", DefaultVersion="2"
    )["LaunchTemplate"]
    assert changed["DefaultVersionNumber"] == 2
    shown = lab.ec2.describe_launch_template_versions(
        LaunchTemplateName="web", Versions=["$Default", "1"]
    )["LaunchTemplateVersions"]
    assert [(v["VersionNumber"], v["DefaultVersion"]) for v in shown] == [
        (2, True),
        (1, False),
    ]
    lab.ec2.delete_launch_template(LaunchTemplateName="web")
    refused(
        "InvalidLaunchTemplateName.NotFoundException",
        lab.ec2.describe_launch_templates,
        LaunchTemplateNames=["web"],
    )


def test_pages_show_every_instance_once(lab):
    ids = {lab.run() for _ in range(7)}
    pages = lab.ec2.get_paginator("describe_instances").paginate(
        PaginationConfig={"PageSize": 5}
    )
    seen = [
        i["InstanceId"]
        for p in pages
        for r in p["Reservations"]
        for i in r["Instances"]
    ]
    assert len(seen) == 7 and set(seen) == ids


def test_tags_of_all_kinds_of_things(lab):
    instance = lab.run()
    subnet = lab.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    lab.ec2.create_tags(
        Resources=[instance, subnet], Tags=[{"Key": "team", "Value": "blue"}]
    )
    found = lab.ec2.describe_tags(Filters=[{"Name": "key", "Values": ["team"]}])["Tags"]
    assert {(t["ResourceId"], t["ResourceType"]) for t in found} == {
        (instance, "instance"),
        (subnet, "subnet"),
    }
    lab.ec2.delete_tags(Resources=[subnet], Tags=[{"Key": "team"}])
    assert "Tags" not in lab.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0] or (
        lab.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["Tags"] == []
    )
    refused(
        "InvalidParameterValue",
        lab.ec2.create_tags,
        Resources=[instance],
        Tags=[{"Key": "aws:x", "Value": "y"}],
    )


@pytest.mark.parametrize(
    "user_data, why",
    [
        ("#!/nowhere/interpreter\n", "cannot run: No such file or directory"),
        ("#!/bin/bash\necho it broke >&2\nexit 3\n", "exit status 3: it broke"),
        ("#!/bin/bash\nif then\n", "exit status 2"),
        ("#cloud-config\npackages: [nginx]\n", "#cloud-config is not supported"),
    ],
)
def test_user_data_that_cannot_run_ends_the_instance_and_says_why(lab, user_data, why):
    instance = lab.wait_state(lab.run(user_data), "terminated")
    assert instance["StateReason"]["Code"] == "Client.InternalError"
    assert why in instance["StateReason"]["Message"]


def test_user_data_is_checked(lab):
    refused(
        "InvalidParameterValue",
        lab.ec2.run_instances,
        ImageId=IMAGE,
        MinCount=1,
        MaxCount=1,
        UserData="#!/bin/sh\n" + "#" * 16384,
    )
    refused(
        "DryRunOperation",
        lab.ec2.run_instances,
        ImageId=IMAGE,
        MinCount=1,
        MaxCount=1,
        DryRun=True,
    )


def test_processes_that_moved_away_are_ended_with_their_instance(lab):
    script = """#!/bin/bash
setsid sleep 1000 &
(trap '' TERM HUP; setsid bash -c 'trap "" TERM; while :; do sleep 1; done') &
sleep 1000 &
exit 0
"""
    instance = lab.run(script)
    lab.wait_state(instance, "running")
    marker = f"INSTANCE_ID={instance}"
    wait_for(lambda: len(processes_with(marker)) >= 4, 5, "its processes")
    lab.ec2.terminate_instances(InstanceIds=[instance])
    lab.wait_state(instance, "terminated")
    assert processes_with(marker) == []


def test_an_instance_whose_processes_are_killed_is_terminated(lab):
    instance = lab.run("#!/bin/bash\nsetsid sleep 1000 &\nsleep 1000 &\nexit 0\n")
    lab.wait_state(instance, "running")
    for pid in processes_with(f"INSTANCE_ID={instance}"):
        # The first to go may take the others with it.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    found = lab.wait_state(instance, "terminated")
    assert found["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    assert "processes ended" in found["StateReason"]["Message"]


def test_only_the_first_process_killed_leaves_nothing_either(lab):
    instance = lab.run("#!/bin/bash\nsetsid sleep 1000 &\nsleep 1000 &\nexit 0\n")
    lab.wait_state(instance, "running")
    first = min(processes_with(f"INSTANCE_ID={instance}"))
    os.kill(first, signal.SIGKILL)
    lab.wait_state(instance, "terminated")
    assert processes_with(f"INSTANCE_ID={instance}") == []


def test_an_instance_without_user_data_idles(lab):
    instance = lab.run()
    lab.wait_state(instance, "running")
    done = lab.run("#!/bin/bash\ntouch done\n")
    lab.wait_state(done, "running")
    ending = lab.run("#!/bin/bash\nsetsid sleep 1000 &\n")
    lab.wait_state(ending, "running")
    for pid in processes_with(f"INSTANCE_ID={ending}"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    lab.wait_state(ending, "terminated")  # ends are noticed, and these two are none
    assert lab.instance(instance)["State"]["Name"] == "running"
    assert lab.instance(done)["State"]["Name"] == "running"


def test_stop_start_and_reboot(lab):
    instance = lab.run(SERVER)
    address = lab.wait_state(instance, "running")["PrivateIpAddress"]
    url = f"http://{address}:8000/"
    wait_for(lambda: http_get(url), 10, "the server")
    first = set(processes_with(f"INSTANCE_ID={instance}"))
    lab.ec2.reboot_instances(InstanceIds=[instance])
    wait_for(
        lambda: first.isdisjoint(processes_with(f"INSTANCE_ID={instance}")),
        10,
        "reboot",
    )
    wait_for(lambda: http_get(url), 10, "the server after the reboot")
    stopping = lab.ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    assert stopping["CurrentState"]["Name"] == "stopping"
    assert lab.wait_state(instance, "stopped")["PrivateIpAddress"] == address
    with pytest.raises(OSError):
        http_get(url)
    lab.ec2.start_instances(InstanceIds=[instance])
    lab.wait_state(instance, "running")
    wait_for(lambda: http_get(url), 10, "the server after the start")


def imds(address, path, token=None, method="GET", **headers):
    if token:
        headers["X-aws-ec2-metadata-token"] = token
    request = urllib.request.Request(
        f"http://{address}:1338{path}",
        method=method,
        headers={k.replace("_", "-"): v for k, v in headers.items()},
    )
    with urllib.request.urlopen(request, timeout=5 * SLOW) as answer:
        return answer.read().decode()


def imds_refused(status, *args, **kw):
    with pytest.raises(urllib.error.HTTPError) as caught:
        imds(*args, **kw)
    assert caught.value.code == status


def test_the_metadata_service_wants_a_token_and_tells_who_it_is(lab):
    instance = lab.run(SERVER)
    address = lab.wait_state(instance, "running")["PrivateIpAddress"]
    ttl = {"X_aws_ec2_metadata_token_ttl_seconds": "60"}
    imds_refused(401, address, "/latest/meta-data/instance-id")
    imds_refused(400, address, "/latest/api/token", method="PUT")
    imds_refused(
        403,
        address,
        "/latest/api/token",
        method="PUT",
        X_Forwarded_For="1.2.3.4",
        **ttl,
    )
    token = imds(address, "/latest/api/token", method="PUT", **ttl)
    assert imds(address, "/latest/meta-data/instance-id", token) == instance
    assert imds(address, "/latest/meta-data/local-ipv4", token) == address
    assert imds(address, "/latest/meta-data/placement/region", token) == "us-east-1"
    assert imds(address, "/latest/user-data", token) == SERVER
    assert instance in imds(
        address, "/latest/dynamic/instance-identity/document", token
    )
    assert "placement/" in imds(address, "/latest/meta-data/", token).split("\n")
    imds_refused(404, address, "/latest/meta-data/nothing", token)
    imds_refused(401, address, "/latest/meta-data/instance-id", token[:-4] + "AA==")
    old = lab.run(MetadataOptions={"HttpTokens": "optional"})
    address = lab.wait_state(old, "running")["PrivateIpAddress"]
    assert imds(address, "/latest/meta-data/instance-id") == old


def test_the_environment_is_clean_and_tells_an_sdk_where_to_ask(lab):
    instance = lab.run("#!/bin/bash\nenv > environment\nsleep 1000\n")
    lab.wait_state(instance, "running")
    pids = processes_with(f"INSTANCE_ID={instance}")
    with open(f"/proc/{max(pids)}/environ", "rb") as file:
        environment = dict(
            e.split("=", 1) for e in file.read().decode().split("\0") if "=" in e
        )
    address = lab.instance(instance)["PrivateIpAddress"]
    assert environment["HOST"] == address
    assert environment["AWS_REGION"] == "us-east-1"
    endpoint = environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"]
    assert endpoint == f"http://{address}:1338"
    assert "AWS_SECRET_ACCESS_KEY" not in environment
    assert "ALBATROSS_TEST_MARKER" not in environment


def test_cpu_is_measured_and_sent_every_second(lab):
    busy = lab.run(
        "#!/bin/bash\nwhile :; do :; done\n",
        TagSpecifications=[
            {
                "ResourceType": "instance",
                "Tags": [{"Key": "albatross:autoscaling:groupName", "Value": "g"}],
            }
        ],
    )
    idle = lab.run()
    cloudwatch = lab.client("cloudwatch")

    def highest(name, value):
        now = time.time()
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/EC2",
            MetricName="CPUUtilization",
            Dimensions=[{"Name": name, "Value": value}],
            StartTime=now - 60,
            EndTime=now + 1,
            Period=1,
            Statistics=["Maximum"],
        )["Datapoints"]
        return max([p["Maximum"] for p in points], default=None)

    wait_for(lambda: (highest("InstanceId", busy) or 0) > 20, 20, "a busy instance")
    wait_for(lambda: (highest("AutoScalingGroupName", "g") or 0) > 20, 10, "its group")
    assert highest("InstanceId", idle) < 20
