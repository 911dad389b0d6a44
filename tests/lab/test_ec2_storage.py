"""Volumes, attachments, snapshots and images."""

import re

import pytest

from conftest import aws_cli, refused
from ec2_lab import IMAGE, ec2, lab, only, tagged, tags_of  # noqa: F401 (fixtures)

ZONE = "us-east-1a"


@pytest.fixture
def instance(lab):
    instance = lab.run(Placement={"AvailabilityZone": ZONE})
    lab.wait_state(instance, "running")
    return instance


def volume(ec2, **more):
    return ec2.create_volume(**{"AvailabilityZone": ZONE, "Size": 4, **more})


def test_a_volume_is_made_attached_and_deleted(lab, ec2, instance):
    made = volume(ec2, TagSpecifications=tagged("volume", Name="data"))
    assert made["State"] == "creating" and made["VolumeType"] == "gp2"
    assert made["Iops"] == 100 and re.fullmatch(r"vol-[0-9a-f]{17}", made["VolumeId"])
    one = made["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[one])
    place = {"VolumeId": one, "InstanceId": instance, "Device": "/dev/sdf"}
    assert ec2.attach_volume(**place)["State"] == "attaching"
    ec2.get_waiter("volume_in_use").wait(VolumeIds=[one])
    found = ec2.describe_volumes(
        Filters=only("attachment.instance-id", instance)
        + only("attachment.device", "/dev/sdf")
        + only("tag:Name", "d*")
    )["Volumes"][0]
    assert found["Attachments"][0]["State"] == "attached"
    assert not found["Attachments"][0]["DeleteOnTermination"]
    devices = lab.instance(instance)["BlockDeviceMappings"]
    assert [d["DeviceName"] for d in devices] == ["/dev/xvda", "/dev/sdf"]
    refused("VolumeInUse", ec2.attach_volume, **place)
    refused("VolumeInUse", ec2.delete_volume, VolumeId=one)
    other = volume(ec2)["VolumeId"]
    refused("InvalidParameterValue", ec2.attach_volume, **{**place, "VolumeId": other})
    refused(
        "InvalidAttachment.NotFound",
        ec2.detach_volume,
        VolumeId=one,
        Device="/dev/sdg",
    )
    root = devices[0]["Ebs"]["VolumeId"]
    refused("OperationNotPermitted", ec2.detach_volume, VolumeId=root)
    assert ec2.detach_volume(VolumeId=one)["State"] == "detaching"
    ec2.get_waiter("volume_available").wait(VolumeIds=[one])
    refused("IncorrectState", ec2.detach_volume, VolumeId=one)
    assert len(lab.instance(instance)["BlockDeviceMappings"]) == 1
    ec2.delete_volume(VolumeId=one)
    ec2.get_waiter("volume_deleted").wait(VolumeIds=[one])
    refused("InvalidVolume.NotFound", ec2.describe_volumes, VolumeIds=[one])


@pytest.mark.parametrize(
    "code, more",
    [
        ("InvalidParameterValue", {"Size": 0}),
        ("InvalidParameterValue", {"Size": 16385}),
        ("InvalidParameterValue", {"VolumeType": "st1"}),
        ("MissingParameter", {"VolumeType": "io1"}),
        ("InvalidParameterCombination", {"VolumeType": "standard", "Iops": 100}),
        ("InvalidParameterValue", {"VolumeType": "gp3", "Iops": 100}),
        ("InvalidParameterCombination", {"Throughput": 125}),
        ("InvalidZone.NotFound", {"AvailabilityZone": "us-east-1z"}),
        ("InvalidSnapshot.NotFound", {"SnapshotId": "snap-" + "0" * 17}),
    ],
)
def test_volumes_are_checked(ec2, code, more):
    if more.get("Size") == 0:
        code = "MissingParameter"
    refused(code, volume, ec2=ec2, **more)


def test_a_volume_of_another_zone_is_not_attached(ec2, instance):
    far = volume(ec2, AvailabilityZone="us-east-1b")["VolumeId"]
    refused(
        "InvalidVolume.ZoneMismatch",
        ec2.attach_volume,
        VolumeId=far,
        InstanceId=instance,
        Device="/dev/sdf",
    )


def test_a_volume_grows_and_tells_how(ec2):
    one = volume(ec2, VolumeType="gp3")["VolumeId"]
    change = ec2.modify_volume(VolumeId=one, Size=9, Iops=4000)["VolumeModification"]
    assert change["ModificationState"] == "modifying"
    assert (change["OriginalSize"], change["TargetSize"]) == (4, 9)
    (told,) = ec2.describe_volumes_modifications(VolumeIds=[one])[
        "VolumesModifications"
    ]
    assert told["ModificationState"] == "completed" and told["Progress"] == 100
    shown = ec2.describe_volumes(VolumeIds=[one])["Volumes"][0]
    assert (shown["Size"], shown["Iops"], shown["Throughput"]) == (9, 4000, 125)
    refused("InvalidParameterValue", ec2.modify_volume, VolumeId=one, Size=5)
    ec2.modify_volume(VolumeId=one, VolumeType="gp2")
    shown = ec2.describe_volumes(VolumeIds=[one])["Volumes"][0]
    assert shown["VolumeType"] == "gp2" and "Throughput" not in shown
    refused(
        "InvalidVolumeModification.NotFound",
        ec2.describe_volumes_modifications,
        VolumeIds=[volume(ec2)["VolumeId"]],
    )


def test_launched_volumes_are_as_asked_and_end_as_asked(lab, ec2):
    instance = lab.run(
        BlockDeviceMappings=[
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20}},
            {
                "DeviceName": "/dev/sdb",
                "Ebs": {
                    "VolumeSize": 5,
                    "VolumeType": "gp3",
                    "DeleteOnTermination": False,
                },
            },
        ],
        TagSpecifications=tagged("volume", Name="v") + tagged("instance", Name="i"),
    )
    lab.wait_state(instance, "running")
    found = ec2.describe_volumes(Filters=only("attachment.instance-id", instance))
    volumes = {v["Attachments"][0]["Device"]: v for v in found["Volumes"]}
    root, data = volumes["/dev/xvda"], volumes["/dev/sdb"]
    assert root["Size"] == 20 and root["SnapshotId"].startswith("snap-")
    assert data["Size"] == 5 and data["Iops"] == 3000
    assert tags_of(root) == tags_of(data) == {"Name": "v"}
    ec2.modify_instance_attribute(
        InstanceId=instance,
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sdb", "Ebs": {"DeleteOnTermination": False}}
        ],
    )
    ec2.terminate_instances(InstanceIds=[instance])
    lab.wait_state(instance, "terminated")
    left = ec2.describe_volumes()["Volumes"]
    assert [(v["VolumeId"], v["State"]) for v in left] == [
        (data["VolumeId"], "available")
    ]
    refused(
        "InvalidBlockDeviceMapping",
        lab.run,
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 1}}],
    )


def test_a_snapshot_makes_a_volume_again(ec2):
    one = volume(ec2)["VolumeId"]
    made = ec2.create_snapshot(
        VolumeId=one,
        Description="before",
        TagSpecifications=tagged("snapshot", a="b"),
    )
    assert made["State"] == "pending"
    snapshot = made["SnapshotId"]
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot])
    (own,) = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert own["SnapshotId"] == snapshot and own["VolumeSize"] == 4
    assert tags_of(own) == {"a": "b"} and own["Progress"] == "100%"
    again = ec2.create_volume(AvailabilityZone=ZONE, SnapshotId=snapshot)
    assert again["Size"] == 4 and again["SnapshotId"] == snapshot
    ec2.delete_snapshot(SnapshotId=snapshot)
    refused("InvalidSnapshot.NotFound", ec2.describe_snapshots, SnapshotIds=[snapshot])


def test_an_image_of_an_instance_launches_others(lab, ec2, instance):
    made = ec2.create_image(
        InstanceId=instance,
        Name="golden",
        NoReboot=True,
        TagSpecifications=tagged("image", Name="g") + tagged("snapshot", Name="s"),
    )["ImageId"]
    ec2.get_waiter("image_available").wait(ImageIds=[made])
    (image,) = ec2.describe_images(Owners=["self"], Filters=only("name", "gold*"))[
        "Images"
    ]
    assert image["ImageId"] == made and not image["Public"]
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", image["CreationDate"]
    )
    (mapping,) = image["BlockDeviceMappings"]
    assert mapping["DeviceName"] == image["RootDeviceName"]
    snapshot = mapping["Ebs"]["SnapshotId"]
    ec2.modify_image_attribute(
        ImageId=made,
        Description={"Value": "better"},
        LaunchPermission={"Add": [{"UserId": "111122223333"}]},
    )
    shared = ec2.describe_image_attribute(ImageId=made, Attribute="launchPermission")
    assert shared["LaunchPermissions"] == [{"UserId": "111122223333"}]
    assert ec2.describe_images(ImageIds=[made])["Images"][0]["Description"] == "better"
    ec2.modify_image_attribute(
        ImageId=made, OperationType="remove", UserIds=["111122223333"]
    )
    shared = ec2.describe_image_attribute(ImageId=made, Attribute="launchPermission")
    assert shared["LaunchPermissions"] == []
    refused("InvalidSnapshot.InUse", ec2.delete_snapshot, SnapshotId=snapshot)
    refused(
        "InvalidAMIName.Duplicate", ec2.create_image, InstanceId=instance, Name="golden"
    )
    refused("InvalidAMIName.Malformed", ec2.create_image, InstanceId=instance, Name="g")
    other = lab.run(ImageId=made)
    assert lab.wait_state(other, "running")["ImageId"] == made
    ec2.deregister_image(ImageId=made)
    # Gone without an error, as AWS shows it; one that never was is an error.
    assert ec2.describe_images(ImageIds=[made])["Images"] == []
    assert len(ec2.describe_images(ImageIds=[made, IMAGE])["Images"]) == 1
    refused("InvalidAMIID.NotFound", ec2.describe_images, ImageIds=["ami-" + "1" * 17])
    refused("InvalidAMIID.NotFound", lab.run, ImageId=made)
    ec2.delete_snapshot(SnapshotId=snapshot)
    refused("AuthFailure", ec2.deregister_image, ImageId=IMAGE)


def test_the_command_finds_the_newest_image(lab):
    found = aws_cli(
        lab.aws,
        *("ec2", "describe-images", "--owners", "amazon"),
        *("--filters", "Name=name,Values=amzn2-ami-hvm*"),
        *("--query", "sort_by(Images,&CreationDate)[-1].ImageId"),
    )
    assert found == "ami-0a1ba705500000003"
