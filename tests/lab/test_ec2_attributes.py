"""What is asked of and changed on an instance, its types, its template, tags of everything."""

import base64

import pytest

from conftest import aws_cli, refused, wait_for
from ec2_lab import (
    IMAGE,
    Ec2Lab,
    ec2,
    lab,
    only,
    tagged,
    tags_of,
)  # noqa: F401 (fixtures)


def attribute(ec2, instance, name):
    answer = ec2.describe_instance_attribute(InstanceId=instance, Attribute=name)
    member = name[0].upper() + name[1:]
    return answer[member].get("Value")


def stop(lab, instance):
    lab.wait_state(instance, "running")
    lab.ec2.stop_instances(InstanceIds=[instance])
    return lab.wait_state(instance, "stopped")


def test_attributes_have_their_defaults_and_change(lab, ec2):
    instance = lab.run()
    lab.wait_state(instance, "running")
    for name, value in (
        ("instanceInitiatedShutdownBehavior", "stop"),
        ("disableApiStop", False),
        ("disableApiTermination", False),
        ("userData", None),
        ("instanceType", "t2.micro"),
        ("sourceDestCheck", True),
        ("ebsOptimized", False),
        ("rootDeviceName", "/dev/xvda"),
    ):
        assert attribute(ec2, instance, name) == value, name
    groups = ec2.describe_instance_attribute(InstanceId=instance, Attribute="groupSet")
    assert [g["GroupName"] for g in groups["Groups"]] == ["default"]
    ec2.modify_instance_attribute(
        InstanceId=instance, InstanceInitiatedShutdownBehavior={"Value": "terminate"}
    )
    ec2.modify_instance_attribute(InstanceId=instance, SourceDestCheck={"Value": False})
    assert attribute(ec2, instance, "instanceInitiatedShutdownBehavior") == "terminate"
    assert lab.instance(instance)["SourceDestCheck"] is False
    refused(
        "IncorrectInstanceState",
        ec2.modify_instance_attribute,
        InstanceId=instance,
        InstanceType={"Value": "t3.small"},
    )
    stop(lab, instance)
    refused(
        "InvalidInstanceAttributeValue",
        ec2.modify_instance_attribute,
        InstanceId=instance,
        InstanceType={"Value": "t3.gigantic"},
    )
    ec2.modify_instance_attribute(
        InstanceId=instance, InstanceType={"Value": "t3.small"}
    )
    script = b"#!/bin/bash\necho changed > /dev/stderr\nsleep 1000\n"
    ec2.modify_instance_attribute(InstanceId=instance, UserData={"Value": script})
    assert base64.b64decode(attribute(ec2, instance, "userData")) == script
    ec2.start_instances(InstanceIds=[instance])
    shown = lab.wait_state(instance, "running")
    assert shown["InstanceType"] == "t3.small"
    assert shown["CpuOptions"] == {"CoreCount": 1, "ThreadsPerCore": 2}


def test_protected_instances_stay(lab, ec2):
    instance = lab.run(DisableApiTermination=True, DisableApiStop=True)
    lab.wait_state(instance, "running")
    ids = {"InstanceIds": [instance]}
    refused("OperationNotPermitted", ec2.terminate_instances, **ids)
    refused("OperationNotPermitted", ec2.stop_instances, **ids)
    ec2.modify_instance_attribute(
        InstanceId=instance, Attribute="disableApiTermination", Value="false"
    )
    ec2.modify_instance_attribute(InstanceId=instance, DisableApiStop={"Value": False})
    ec2.stop_instances(**ids)
    lab.wait_state(instance, "stopped")
    ec2.terminate_instances(**ids)
    ec2.get_waiter("instance_terminated").wait(**ids)


def test_groups_of_an_instance_change(lab, ec2):
    instance = lab.run()
    one = ec2.create_security_group(GroupName="one", Description="d")["GroupId"]
    two = ec2.create_security_group(GroupName="two", Description="d")["GroupId"]
    ec2.modify_instance_attribute(InstanceId=instance, Groups=[one, two])
    found = ec2.describe_instances(Filters=only("instance.group-id", two))
    shown = found["Reservations"][0]["Instances"][0]
    assert [g["GroupName"] for g in shown["SecurityGroups"]] == ["one", "two"]
    assert shown["NetworkInterfaces"][0]["Groups"] == shown["SecurityGroups"]
    refused(
        "InvalidGroup.NotFound",
        ec2.modify_instance_attribute,
        InstanceId=instance,
        Groups=["sg-" + "0" * 17],
    )


def test_options_of_an_instance_change(lab, ec2):
    instance = lab.run(InstanceType="t3.micro", Monitoring={"Enabled": False})
    answer = ec2.modify_instance_metadata_options(
        InstanceId=instance, HttpTokens="optional", HttpPutResponseHopLimit=3
    )["InstanceMetadataOptions"]
    assert answer["State"] == "pending"
    shown = lab.instance(instance)["MetadataOptions"]
    assert shown["State"] == "applied" and shown["HttpTokens"] == "optional"
    assert shown["HttpPutResponseHopLimit"] == 3
    answer = ec2.monitor_instances(InstanceIds=[instance])["InstanceMonitorings"]
    assert answer[0]["Monitoring"]["State"] == "pending"
    assert lab.instance(instance)["Monitoring"]["State"] == "enabled"
    ec2.unmonitor_instances(InstanceIds=[instance])
    assert lab.instance(instance)["Monitoring"]["State"] == "disabled"
    ids = {"InstanceIds": [instance]}
    credits = ec2.describe_instance_credit_specifications(**ids)
    assert credits["InstanceCreditSpecifications"] == [
        {"InstanceId": instance, "CpuCredits": "unlimited"}
    ]
    answer = ec2.modify_instance_credit_specification(
        InstanceCreditSpecifications=[
            {"InstanceId": instance, "CpuCredits": "standard"},
            {"InstanceId": "i-" + "0" * 17, "CpuCredits": "standard"},
        ]
    )
    assert len(answer["SuccessfulInstanceCreditSpecifications"]) == 1
    (bad,) = answer["UnsuccessfulInstanceCreditSpecifications"]
    assert bad["Error"]["Code"] == "InvalidInstanceID.NotFound"
    credits = ec2.describe_instance_credit_specifications(**ids)
    assert credits["InstanceCreditSpecifications"][0]["CpuCredits"] == "standard"


def test_an_instance_shows_what_terraform_reads(lab):
    instance = lab.run(InstanceType="m5.large")
    shown = lab.instance(instance)
    assert shown["CapacityReservationSpecification"] == {
        "CapacityReservationPreference": "open"
    }
    assert shown["EnclaveOptions"] == {"Enabled": False}
    assert shown["HibernationOptions"] == {"Configured": False}
    assert shown["MaintenanceOptions"] == {"AutoRecovery": "default"}
    assert shown["PrivateDnsNameOptions"]["HostnameType"] == "ip-name"
    assert shown["Placement"]["Tenancy"] == "default"
    assert shown["RootDeviceName"] in [
        d["DeviceName"] for d in shown["BlockDeviceMappings"]
    ]


def test_the_console_is_told(lab, ec2):
    instance = lab.run("#!/bin/bash\necho hello console\nsleep 1000\n")
    lab.wait_state(instance, "running")

    def output():
        return ec2.get_console_output(InstanceId=instance).get("Output", "")

    wait_for(lambda: "hello console\n" in output(), 10, "the console")
    told = aws_cli(lab.aws, "ec2", "get-console-output", "--instance-id", instance)
    assert told["InstanceId"] == instance and told["Timestamp"]


def test_a_profile_comes_and_goes(lab, ec2):
    instance = lab.run(IamInstanceProfile={"Name": "web"})
    arn = "arn:aws:iam::000000000000:instance-profile/web"
    assert lab.instance(instance)["IamInstanceProfile"]["Arn"] == arn
    here = only("instance-id", instance)
    (one,) = ec2.describe_iam_instance_profile_associations(Filters=here)[
        "IamInstanceProfileAssociations"
    ]
    assert one["State"] == "associated" and one["IamInstanceProfile"]["Arn"] == arn
    refused(
        "IncorrectState",
        ec2.associate_iam_instance_profile,
        InstanceId=instance,
        IamInstanceProfile={"Arn": arn},
    )
    ec2.disassociate_iam_instance_profile(AssociationId=one["AssociationId"])
    assert "IamInstanceProfile" not in lab.instance(instance)
    ec2.associate_iam_instance_profile(
        InstanceId=instance, IamInstanceProfile={"Arn": arn + "2"}
    )
    assert lab.instance(instance)["IamInstanceProfile"]["Arn"] == arn + "2"


def test_types_are_described_and_offered(lab, ec2):
    (small,) = ec2.describe_instance_types(InstanceTypes=["t3.small"])["InstanceTypes"]
    assert small["VCpuInfo"]["DefaultVCpus"] == 2
    assert small["MemoryInfo"]["SizeInMiB"] == 2048
    assert small["BurstablePerformanceSupported"] and small["CurrentGeneration"]
    refused(
        "InvalidInstanceType", ec2.describe_instance_types, InstanceTypes=["t3.huge"]
    )
    pages = ec2.get_paginator("describe_instance_types").paginate(
        PaginationConfig={"PageSize": 100}
    )
    names = [t["InstanceType"] for p in pages for t in p["InstanceTypes"]]
    assert len(names) == len(set(names)) > 300
    arm = ec2.describe_instance_types(
        Filters=only("processor-info.supported-architecture", "arm64")
        + only("instance-type", "t4g.*")
    )["InstanceTypes"]
    assert {t["InstanceType"] for t in arm} <= set(names) and len(arm) == 7
    offered = ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=only("instance-type", "t3.micro")
    )["InstanceTypeOfferings"]
    assert [o["Location"] for o in offered] == [f"us-east-1{z}" for z in "abc"]
    for unknown in ("t3.huge", "z9.large", "nonsense"):
        message = refused("InvalidParameterValue", lab.run, InstanceType=unknown)
        assert message == f"Invalid value '{unknown}' for InstanceType."
    refused("InvalidParameterValue", lab.run, InstanceType="t4g.small")


def test_versions_of_a_template_are_deleted_but_for_the_default(ec2):
    name = {"LaunchTemplateName": "web"}
    data = {"ImageId": IMAGE, "InstanceType": "t3.micro"}
    ec2.create_launch_template(LaunchTemplateData=data, **name)
    for _ in range(2):
        ec2.create_launch_template_version(LaunchTemplateData=data, **name)
    answer = ec2.delete_launch_template_versions(Versions=["2", "7"], **name)
    (done,) = answer["SuccessfullyDeletedLaunchTemplateVersions"]
    assert done["VersionNumber"] == 2
    (bad,) = answer["UnsuccessfullyDeletedLaunchTemplateVersions"]
    assert bad["ResponseError"]["Code"] == "launchTemplateVersionDoesNotExist"
    with pytest.raises(Exception):
        ec2.delete_launch_template_versions(Versions=["1"], **name)
    left = ec2.describe_launch_template_versions(**name)["LaunchTemplateVersions"]
    assert [v["VersionNumber"] for v in left] == [3, 1]
    for call, more in (
        (ec2.describe_launch_template_versions, {"Versions": ["2"]}),
        (ec2.modify_launch_template, {"DefaultVersion": "2"}),
    ):
        refused("InvalidLaunchTemplateId.VersionNotFound", call, **more, **name)
    # The newest goes; its number does not come again.
    ec2.delete_launch_template_versions(Versions=["3"], **name)
    (shown,) = ec2.describe_launch_templates(LaunchTemplateNames=["web"])[
        "LaunchTemplates"
    ]
    assert shown["LatestVersionNumber"] == 1
    made = ec2.create_launch_template_version(LaunchTemplateData=data, **name)
    assert made["LaunchTemplateVersion"]["VersionNumber"] == 4


def test_an_instance_makes_the_template_of_another(lab, ec2):
    script = "#!/bin/bash\nsleep 1000\n"
    instance = lab.run(script, InstanceType="t3.micro")
    lab.wait_state(instance, "running")
    data = ec2.get_launch_template_data(InstanceId=instance)["LaunchTemplateData"]
    assert data["InstanceType"] == "t3.micro" and data["ImageId"] == IMAGE
    assert base64.b64decode(data["UserData"]).decode() == script
    data["MetadataOptions"].pop("State")
    ec2.create_launch_template(LaunchTemplateName="like", LaunchTemplateData=data)
    other = lab.run(LaunchTemplate={"LaunchTemplateName": "like"})
    assert lab.wait_state(other, "running")["InstanceType"] == "t3.micro"


def test_everything_takes_tags(lab, ec2):
    instance = lab.run(
        TagSpecifications=tagged("network-interface", n="i"),
    )
    shown = lab.instance(instance)
    interface = shown["NetworkInterfaces"][0]["NetworkInterfaceId"]
    image = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    (rule,) = ec2.describe_security_group_rules(Filters=only("is-egress", "true"))[
        "SecurityGroupRules"
    ]
    things = [
        instance,
        interface,
        image,
        rule["SecurityGroupRuleId"],
        shown["BlockDeviceMappings"][0]["Ebs"]["VolumeId"],
        shown["VpcId"],
        shown["SubnetId"],
        IMAGE,
        ec2.create_snapshot(VolumeId=image)["SnapshotId"],
        ec2.allocate_address()["AllocationId"],
        ec2.create_key_pair(KeyName="k", KeyType="ed25519")["KeyPairId"],
        ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"],
        ec2.describe_route_tables()["RouteTables"][0]["RouteTableId"],
        ec2.describe_network_acls()["NetworkAcls"][0]["NetworkAclId"],
        ec2.describe_dhcp_options()["DhcpOptions"][0]["DhcpOptionsId"],
    ]
    ec2.create_tags(Resources=things, Tags=[{"Key": "all", "Value": "of them"}])
    told = ec2.describe_tags(Filters=only("key", "all"))["Tags"]
    assert {t["ResourceId"] for t in told} == set(things)
    assert {t["ResourceType"] for t in told} >= {"key-pair", "elastic-ip", "volume"}
    found = ec2.describe_network_interfaces(Filters=only("tag:all", "of*"))
    (found,) = found["NetworkInterfaces"]
    assert {t["Key"]: t["Value"] for t in found["TagSet"]} == {
        "n": "i",
        "all": "of them",
    }
    found = ec2.describe_volumes(Filters=only("tag-key", "all"))["Volumes"]
    assert len(found) == 2 and tags_of(found[0])
    ec2.delete_tags(Resources=things, Tags=[{"Key": "all"}])
    assert not ec2.describe_tags(Filters=only("key", "all"))["Tags"]


def test_status_checks_of_an_instance(lab, ec2):
    instance = lab.run()
    ids = {"InstanceIds": [instance]}
    ec2.get_waiter("instance_running").wait(**ids)
    ec2.get_waiter("instance_status_ok").wait(**ids)
    ec2.get_waiter("system_status_ok").wait(**ids)
    stop(lab, instance)
    assert not ec2.describe_instance_status(**ids)["InstanceStatuses"]
    (one,) = ec2.describe_instance_status(IncludeAllInstances=True, **ids)[
        "InstanceStatuses"
    ]
    assert one["InstanceState"]["Name"] == "stopped"


def test_state_survives_in_a_file(programs, tmp_path):
    document = {"Lab": {"StateUrl": f"sqlite:{tmp_path}/lab.db"}}
    lab = Ec2Lab(programs, document)
    group = lab.ec2.create_security_group(GroupName="kept", Description="d")["GroupId"]
    volume = lab.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    address = lab.ec2.allocate_address()["AllocationId"]
    instance = lab.run(Placement={"AvailabilityZone": "us-east-1a"})
    lab.wait_state(instance, "running")
    lab.ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    lab.ec2.associate_address(AllocationId=address, InstanceId=instance)
    lab.program.stop()
    lab = Ec2Lab(programs, document)
    assert lab.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    (kept,) = lab.ec2.describe_volumes()["Volumes"]
    assert kept["VolumeId"] == volume and kept["State"] == "available"
    (free,) = lab.ec2.describe_addresses()["Addresses"]
    assert "InstanceId" not in free
    assert not lab.ec2.describe_network_interfaces()["NetworkInterfaces"]


def test_what_cannot_be_had_is_refused_not_ignored(lab):
    interface = {"DeviceIndex": 0, "SubnetId": "subnet-0a1ba705500000001"}
    for more in (
        {"PrivateIpAddress": "127.31.0.77"},
        {"NetworkInterfaces": [{**interface, "PrivateIpAddress": "127.31.0.77"}]},
        {"NetworkInterfaces": [interface, {**interface, "DeviceIndex": 1}]},
    ):
        refused("UnsupportedOperation", lab.run, **more)
