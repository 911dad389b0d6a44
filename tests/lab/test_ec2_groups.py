"""Security groups, their rules, and key pairs."""

import base64
import re
import subprocess

import pytest

from conftest import aws_cli, refused
from ec2_lab import ec2, lab, only, tagged, tags_of  # noqa: F401 (fixtures)

DEFAULT_VPC = "vpc-0a1ba705500000001"
HTTP = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80}


@pytest.fixture
def group(ec2):
    return ec2.create_security_group(GroupName="web", Description="web")["GroupId"]


def permissions(ec2, group, way="IpPermissions"):
    groups = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    return groups[0][way]


def cidr(*ranges, **more):
    return {**HTTP, "IpRanges": [{"CidrIp": r} for r in ranges], **more}


def test_a_group_lets_everything_out_and_nothing_in(ec2):
    made = ec2.create_security_group(
        GroupName="web",
        Description="d",
        VpcId=DEFAULT_VPC,
        TagSpecifications=tagged("security-group", Name="w"),
    )
    assert re.fullmatch(r"sg-[0-9a-f]{17}", made["GroupId"])
    ec2.get_waiter("security_group_exists").wait(GroupIds=[made["GroupId"]])
    shown = ec2.describe_security_groups(
        Filters=only("group-name", "w?b") + only("vpc-id", DEFAULT_VPC)
    )["SecurityGroups"][0]
    assert shown["IpPermissions"] == [] and tags_of(shown) == {"Name": "w"}
    assert shown["IpPermissionsEgress"] == [
        {
            "IpProtocol": "-1",
            "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
            "Ipv6Ranges": [],
            "PrefixListIds": [],
            "UserIdGroupPairs": [],
        }
    ]
    for code, name in (
        ("InvalidGroup.Duplicate", "web"),
        ("InvalidGroup.Reserved", "default"),
        ("InvalidParameterValue", "sg-web"),
    ):
        refused(code, ec2.create_security_group, GroupName=name, Description="d")
    refused(
        "InvalidVpcID.NotFound",
        ec2.create_security_group,
        GroupName="x",
        Description="d",
        VpcId="vpc-" + "0" * 17,
    )


def test_rules_of_one_kind_are_shown_together(ec2, group):
    answer = ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            cidr("10.1.2.3/8", "192.168.0.0/16"),
            {**HTTP, "Ipv6Ranges": [{"CidrIpv6": "::/0", "Description": "six"}]},
            {**HTTP, "UserIdGroupPairs": [{"GroupId": group}]},
            {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1}
            | {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        ],
    )
    assert answer["Return"] and len(answer["SecurityGroupRules"]) == 5
    assert all(
        re.fullmatch(r"sgr-[0-9a-f]{17}", r["SecurityGroupRuleId"])
        for r in answer["SecurityGroupRules"]
    )
    shown = {p["IpProtocol"]: p for p in permissions(ec2, group)}
    assert set(shown) == {"tcp", "icmp"}
    assert {r["CidrIp"] for r in shown["tcp"]["IpRanges"]} == {
        "10.0.0.0/8",
        "192.168.0.0/16",
    }
    assert shown["tcp"]["Ipv6Ranges"] == [{"CidrIpv6": "::/0", "Description": "six"}]
    assert shown["tcp"]["UserIdGroupPairs"][0]["GroupId"] == group
    assert (shown["icmp"]["FromPort"], shown["icmp"]["ToPort"]) == (-1, -1)
    rules = ec2.describe_security_group_rules(Filters=only("group-id", group))
    assert len(rules["SecurityGroupRules"]) == 6
    assert sum(r["IsEgress"] for r in rules["SecurityGroupRules"]) == 1
    found = ec2.describe_security_groups(
        Filters=only("ip-permission.cidr", "192.168.0.0/16")
    )["SecurityGroups"]
    assert [g["GroupId"] for g in found] == [group]


def test_the_same_rule_twice_is_a_duplicate(ec2, group):
    ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[cidr("10.0.0.0/8")]
    )
    message = refused(
        "InvalidPermission.Duplicate",
        ec2.authorize_security_group_ingress,
        GroupId=group,
        IpPermissions=[cidr("10.9.9.9/8", "1.0.0.0/8")],
    )
    assert "peer: 10.0.0.0/8" in message
    assert len(permissions(ec2, group)[0]["IpRanges"]) == 1
    # The other way it is another rule.
    ec2.authorize_security_group_egress(
        GroupId=group, IpPermissions=[cidr("10.0.0.0/8")]
    )


def test_rules_are_revoked_by_what_they_say_and_by_id(ec2, group):
    made = ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[cidr("10.0.0.0/8", "11.0.0.0/8")]
    )["SecurityGroupRules"]
    refused(
        "InvalidPermission.NotFound",
        ec2.revoke_security_group_ingress,
        GroupId=group,
        IpPermissions=[cidr("10.0.0.0/8", "12.0.0.0/8")],
    )
    assert len(permissions(ec2, group)[0]["IpRanges"]) == 2
    ec2.revoke_security_group_ingress(
        GroupId=group, IpPermissions=[cidr("10.0.0.0/8", FromPort=80)]
    )
    last = [r for r in made if r["CidrIpv4"] == "11.0.0.0/8"][0]["SecurityGroupRuleId"]
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[last])
    assert permissions(ec2, group) == []
    refused(
        "InvalidSecurityGroupRuleId.NotFound",
        ec2.revoke_security_group_ingress,
        GroupId=group,
        SecurityGroupRuleIds=[last],
    )
    # What Terraform does to every new group.
    everything = {"IpProtocol": "-1", "FromPort": 0, "ToPort": 0}
    ec2.revoke_security_group_egress(
        GroupId=group,
        IpPermissions=[{**everything, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    )
    refused(
        "InvalidPermission.NotFound",
        ec2.revoke_security_group_egress,
        GroupId=group,
        IpPermissions=[{**everything, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}],
    )
    assert permissions(ec2, group, "IpPermissionsEgress") == []


def test_rules_are_modified_and_described(ec2, group):
    rule = ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[cidr("10.0.0.0/8")],
        TagSpecifications=tagged("security-group-rule", Name="r"),
    )["SecurityGroupRules"][0]
    rule_id = rule["SecurityGroupRuleId"]
    ec2.modify_security_group_rules(
        GroupId=group,
        SecurityGroupRules=[
            {
                "SecurityGroupRuleId": rule_id,
                "SecurityGroupRule": {
                    **HTTP,
                    "CidrIpv4": "172.16.0.0/12",
                    "Description": "b",
                },
            }
        ],
    )
    (shown,) = ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])[
        "SecurityGroupRules"
    ]
    assert shown["CidrIpv4"] == "172.16.0.0/12" and shown["Description"] == "b"
    assert tags_of(shown) == {"Name": "r"}
    given = {**HTTP, "IpRanges": [{"CidrIp": "172.16.0.0/12", "Description": "c"}]}
    ec2.update_security_group_rule_descriptions_ingress(
        GroupId=group, IpPermissions=[given]
    )
    assert permissions(ec2, group)[0]["IpRanges"][0]["Description"] == "c"
    ec2.update_security_group_rule_descriptions_ingress(
        GroupId=group,
        SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": rule_id}],
    )
    assert "Description" not in permissions(ec2, group)[0]["IpRanges"][0]
    refused(
        "InvalidPermission.NotFound",
        ec2.update_security_group_rule_descriptions_egress,
        GroupId=group,
        IpPermissions=[given],
    )


@pytest.mark.parametrize(
    "code, permission",
    [
        ("InvalidParameterValue", cidr("10.0.0/8")),
        ("InvalidParameterValue", cidr("10.0.0.0/8", IpProtocol="tcpp")),
        ("InvalidParameterValue", cidr("10.0.0.0/8", FromPort=81)),
        ("InvalidParameterValue", cidr("10.0.0.0/8", ToPort=65536)),
        ("InvalidParameterValue", {**HTTP, "Ipv6Ranges": [{"CidrIpv6": "1.2.3.4/8"}]}),
        ("MissingParameter", HTTP),
        (
            "InvalidGroup.NotFound",
            {**HTTP, "UserIdGroupPairs": [{"GroupId": "sg-" + "0" * 17}]},
        ),
    ],
)
def test_permissions_are_checked(ec2, group, code, permission):
    refused(
        code,
        ec2.authorize_security_group_ingress,
        GroupId=group,
        IpPermissions=[permission],
    )


def test_a_group_in_use_stays(lab, ec2, group):
    other = ec2.create_security_group(GroupName="db", Description="d")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=other,
        IpPermissions=[{**HTTP, "UserIdGroupPairs": [{"GroupId": group}]}],
    )
    message = refused("DependencyViolation", ec2.delete_security_group, GroupId=group)
    assert message == f"resource {group} has a dependent object"
    ec2.delete_security_group(GroupName="db")
    instance = lab.run(SecurityGroupIds=[group])
    refused("DependencyViolation", ec2.delete_security_group, GroupId=group)
    ec2.terminate_instances(InstanceIds=[instance])
    lab.wait_state(instance, "terminated")
    ec2.delete_security_group(GroupId=group)
    refused("InvalidGroup.NotFound", ec2.describe_security_groups, GroupIds=[group])
    refused("CannotDelete", ec2.delete_security_group, GroupId="sg-0a1ba705500000001")


def test_the_command_opens_a_port(lab, ec2):
    made = aws_cli(
        lab.aws,
        *("ec2", "create-security-group", "--group-name", "cli"),
        *("--description", "made by the command"),
    )
    aws_cli(
        lab.aws,
        *("ec2", "authorize-security-group-ingress", "--group-id", made["GroupId"]),
        *("--protocol", "tcp", "--port", "80", "--cidr", "0.0.0.0/0"),
    )
    assert permissions(ec2, made["GroupId"])[0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]


# --- key pairs ---


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_key_pair_is_a_real_one(ec2, tmp_path, kind):
    made = ec2.create_key_pair(
        KeyName="lab", KeyType=kind, TagSpecifications=tagged("key-pair", a="b")
    )
    assert re.fullmatch(r"key-[0-9a-f]{17}", made["KeyPairId"])
    ec2.get_waiter("key_pair_exists").wait(KeyNames=["lab"])
    shown = ec2.describe_key_pairs(KeyNames=["lab"], IncludePublicKey=True)["KeyPairs"]
    shown = shown[0]
    assert shown["KeyType"] == kind and tags_of(shown) == {"a": "b"}
    assert "KeyMaterial" not in shown
    assert "PublicKey" not in ec2.describe_key_pairs()["KeyPairs"][0]
    path = tmp_path / "key"
    path.write_text(made["KeyMaterial"])
    path.chmod(0o600)
    public = run("ssh-keygen", "-y", "-f", str(path)).split()
    assert public[:2] == shown["PublicKey"].split()[:2]
    if kind == "rsa":
        assert made["KeyMaterial"].startswith("-----BEGIN RSA PRIVATE KEY-----\n")
        der = f"openssl pkcs8 -in {path} -nocrypt -topk8 -outform DER"
        digest = run("bash", "-c", f"{der} | openssl sha1 -c")
        assert digest.split("= ")[-1].strip() == shown["KeyFingerprint"]
    else:
        printed = run("ssh-keygen", "-l", "-f", str(path)).split()[1]
        assert printed == "SHA256:" + shown["KeyFingerprint"].rstrip("=")
    refused("InvalidKeyPair.Duplicate", ec2.create_key_pair, KeyName="lab")
    ec2.delete_key_pair(KeyName="lab")
    ec2.delete_key_pair(KeyName="lab")
    refused("InvalidKeyPair.NotFound", ec2.describe_key_pairs, KeyNames=["lab"])


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_an_own_key_is_imported(ec2, tmp_path, kind):
    path = tmp_path / "own"
    run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "me", "-f", str(path))
    text = (tmp_path / "own.pub").read_bytes()
    made = ec2.import_key_pair(KeyName="own", PublicKeyMaterial=text)
    if kind == "rsa":
        der = f"ssh-keygen -e -m PKCS8 -f {path}.pub | openssl pkey -pubin -outform DER"
        digest = run("bash", "-c", f"{der} | openssl md5 -c")
        assert digest.split("= ")[-1].strip() == made["KeyFingerprint"]
    else:
        printed = run("ssh-keygen", "-l", "-f", f"{path}.pub").split()[1]
        assert printed == "SHA256:" + made["KeyFingerprint"].rstrip("=")
    assert ec2.describe_key_pairs()["KeyPairs"][0]["KeyPairId"] == made["KeyPairId"]


@pytest.mark.parametrize(
    "text", [b"", b"ssh-rsa", b"ssh-rsa AAAA", b"ssh-dss AAAAB3NzaC1kc3M=", b"\x00\xff"]
)
def test_what_is_no_key_is_refused(ec2, text):
    with pytest.raises(Exception) as caught:
        ec2.import_key_pair(KeyName="x", PublicKeyMaterial=text)
    assert "InvalidKey.Format" in str(caught.value) or text == b""


def test_the_command_saves_a_key(lab, ec2):
    text = aws_cli(
        lab.aws,
        *("ec2", "create-key-pair", "--key-name", "k", "--query", "KeyMaterial"),
    )
    assert text.startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert text.rstrip().endswith("-----END RSA PRIVATE KEY-----")
    aws_cli(lab.aws, "ec2", "delete-key-pair", "--key-name", "k")
    aws_cli(lab.aws, "ec2", "delete-key-pair", "--key-name", "k")


def test_an_instance_wants_a_key_that_is_there(lab, ec2):
    message = refused("InvalidKeyPair.NotFound", lab.run, KeyName="nobody")
    assert message == "The key pair 'nobody' does not exist"
    public = base64.b64decode(
        "c3NoLWVkMjU1MTkgQUFBQUMzTnphQzFsWkRJMU5URTVBQUFBSUtrZDByUTBKRUhmZzBZY0pjUk8yenZNSFF1S2JSMXl3UlJac0NON0xZaTkgbGFi"
    )
    ec2.import_key_pair(KeyName="somebody", PublicKeyMaterial=public)
    assert lab.instance(lab.run(KeyName="somebody"))["KeyName"] == "somebody"
