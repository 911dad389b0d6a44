"""VPCs, subnets, route tables, gateways, interfaces and addresses, as AWS keeps them."""

import re

import pytest

from conftest import aws_cli, refused
from ec2_lab import ec2, lab, only, tagged, tags_of  # noqa: F401 (fixtures)

DEFAULT_VPC = "vpc-0a1ba705500000001"


def test_a_vpc_comes_with_all_that_comes_with_one(ec2):
    vpc = ec2.create_vpc(
        CidrBlock="10.7.1.9/16", TagSpecifications=tagged("vpc", Name="lab")
    )["Vpc"]
    vpc_id = vpc["VpcId"]
    assert re.fullmatch(r"vpc-[0-9a-f]{17}", vpc_id)
    assert vpc["State"] == "pending" and not vpc["IsDefault"]
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc_id])
    shown = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]
    assert shown["CidrBlock"] == "10.7.0.0/16" and tags_of(shown) == {"Name": "lab"}
    assert shown["CidrBlockAssociationSet"][0]["CidrBlockState"]["State"] == (
        "associated"
    )
    here = only("vpc-id", vpc_id)
    table = ec2.describe_route_tables(Filters=here + only("association.main", "true"))
    table = table["RouteTables"][0]
    assert [(r["DestinationCidrBlock"], r["GatewayId"]) for r in table["Routes"]] == [
        ("10.7.0.0/16", "local")
    ]
    acl = ec2.describe_network_acls(Filters=here + only("default", "true"))
    assert len(acl["NetworkAcls"]) == 1 and len(acl["NetworkAcls"][0]["Entries"]) == 4
    group = ec2.describe_security_groups(Filters=here + only("group-name", "default"))
    group = group["SecurityGroups"][0]
    assert group["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == (
        group["GroupId"]
    )
    assert group["IpPermissionsEgress"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
    assert ec2.describe_dhcp_options(DhcpOptionsIds=[shown["DhcpOptionsId"]])
    for name, value in (("enableDnsSupport", True), ("enableDnsHostnames", False)):
        answer = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=name)
        assert answer[name[0].upper() + name[1:]] == {"Value": value}
    ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    answer = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute="enableDnsHostnames")
    assert answer["EnableDnsHostnames"] == {"Value": True}
    ec2.delete_vpc(VpcId=vpc_id)
    refused("InvalidVpcID.NotFound", ec2.describe_vpcs, VpcIds=[vpc_id])
    assert not ec2.describe_route_tables(Filters=here)["RouteTables"]
    assert not ec2.describe_security_groups(Filters=here)["SecurityGroups"]
    refused(
        "InvalidSecurityGroupRuleId.NotFound",
        ec2.describe_security_group_rules,
        SecurityGroupRuleIds=["sgr-" + "0" * 17],
    )


@pytest.mark.parametrize(
    "cidr, code",
    [
        ("10.0.0.0/8", "InvalidVpc.Range"),
        ("10.0.0.0/29", "InvalidVpc.Range"),
        ("10.0.0/16", "InvalidParameterValue"),
        ("ten", "InvalidParameterValue"),
    ],
)
def test_ranges_of_vpcs_are_checked(ec2, cidr, code):
    refused(code, ec2.create_vpc, CidrBlock=cidr)


def test_the_network_of_a_lab_is_built_and_taken_down_in_order(ec2):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    refused(
        "InvalidSubnet.Range", ec2.create_subnet, VpcId=vpc, CidrBlock="10.1.0.0/24"
    )
    subnet = ec2.create_subnet(
        VpcId=vpc,
        CidrBlock="10.0.1.0/24",
        AvailabilityZone="us-east-1b",
        TagSpecifications=tagged("subnet", Name="b"),
    )["Subnet"]
    assert subnet["AvailabilityZoneId"] == "use1-az2"
    assert subnet["AvailableIpAddressCount"] == 251
    assert subnet["SubnetArn"].endswith(":subnet/" + subnet["SubnetId"])
    subnet = subnet["SubnetId"]
    ec2.get_waiter("subnet_available").wait(SubnetIds=[subnet])
    refused(
        "InvalidSubnet.Conflict",
        ec2.create_subnet,
        VpcId=vpc,
        CidrBlock="10.0.1.128/25",
    )
    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["MapPublicIpOnLaunch"]

    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    route = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0"}
    refused("InvalidParameterValue", ec2.create_route, GatewayId=gateway, **route)
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    refused(
        "Resource.AlreadyAssociated",
        ec2.attach_internet_gateway,
        InternetGatewayId=gateway,
        VpcId=vpc,
    )
    ec2.create_route(GatewayId=gateway, **route)
    refused("RouteAlreadyExists", ec2.create_route, GatewayId=gateway, **route)
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    association = association["AssociationId"]
    found = ec2.describe_route_tables(
        Filters=only("association.route-table-association-id", association)
    )["RouteTables"][0]
    assert found["RouteTableId"] == table
    assert found["Associations"][0]["AssociationState"]["State"] == "associated"
    assert {r["State"] for r in found["Routes"]} == {"active"}
    refused(
        "Resource.AlreadyAssociated",
        ec2.associate_route_table,
        RouteTableId=table,
        SubnetId=subnet,
    )

    # Nothing goes before what hangs on it.
    refused("DependencyViolation", ec2.delete_vpc, VpcId=vpc)
    refused("DependencyViolation", ec2.delete_route_table, RouteTableId=table)
    refused(
        "DependencyViolation", ec2.delete_internet_gateway, InternetGatewayId=gateway
    )
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    refused(
        "Gateway.NotAttached",
        ec2.detach_internet_gateway,
        InternetGatewayId=gateway,
        VpcId=vpc,
    )
    routes = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]
    assert [r["State"] for r in routes["Routes"]] == ["active", "blackhole"]
    ec2.delete_route(**route)
    refused("InvalidRoute.NotFound", ec2.delete_route, **route)
    refused(
        "InvalidParameterValue",
        ec2.delete_route,
        RouteTableId=table,
        DestinationCidrBlock="10.0.0.0/16",
    )
    ec2.disassociate_route_table(AssociationId=association)
    refused(
        "InvalidAssociationID.NotFound",
        ec2.disassociate_route_table,
        AssociationId=association,
    )
    ec2.delete_route_table(RouteTableId=table)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)
    refused("InvalidSubnetID.NotFound", ec2.describe_subnets, SubnetIds=[subnet])
    refused(
        "InvalidRouteTableID.NotFound", ec2.describe_route_tables, RouteTableIds=[table]
    )
    refused(
        "InvalidInternetGatewayID.NotFound",
        ec2.describe_internet_gateways,
        InternetGatewayIds=[gateway],
    )


def test_a_deleted_subnet_leaves_its_route_table(ec2):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    ec2.delete_subnet(SubnetId=subnet)
    found = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]
    assert found["Associations"] == []
    ec2.delete_route_table(RouteTableId=table)


def test_associations_and_routes_are_replaced(ec2):
    main = ec2.describe_route_tables(Filters=only("association.main", "true"))
    main = main["RouteTables"][0]
    table = ec2.create_route_table(VpcId=DEFAULT_VPC)["RouteTable"]["RouteTableId"]
    old = main["Associations"][0]["RouteTableAssociationId"]
    new = ec2.replace_route_table_association(AssociationId=old, RouteTableId=table)
    assert new["NewAssociationId"] != old
    found = ec2.describe_route_tables(Filters=only("association.main", "true"))
    assert [t["RouteTableId"] for t in found["RouteTables"]] == [table]
    refused(
        "InvalidParameterValue",
        ec2.disassociate_route_table,
        AssociationId=new["NewAssociationId"],
    )
    gateway = ec2.describe_internet_gateways()["InternetGateways"][0]
    refused(
        "InvalidParameterValue",
        ec2.replace_route,
        RouteTableId=table,
        DestinationCidrBlock="0.0.0.0/0",
        GatewayId=gateway["InternetGatewayId"],
    )
    ec2.create_route(
        RouteTableId=table,
        DestinationCidrBlock="0.0.0.0/0",
        GatewayId=gateway["InternetGatewayId"],
    )
    ec2.replace_route(
        RouteTableId=table,
        DestinationCidrBlock="0.0.0.0/0",
        GatewayId=gateway["InternetGatewayId"],
    )


def test_entries_of_the_default_acl_are_managed(ec2):
    acl = ec2.describe_network_acls(Filters=only("default", "true"))["NetworkAcls"][0]
    rule = {"NetworkAclId": acl["NetworkAclId"], "RuleNumber": 100, "Egress": False}
    given = {**rule, "Protocol": "6", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"}
    refused("NetworkAclEntryAlreadyExists", ec2.create_network_acl_entry, **given)
    ec2.delete_network_acl_entry(**rule)
    refused("InvalidNetworkAclEntry.NotFound", ec2.replace_network_acl_entry, **given)
    refused("InvalidNetworkAclEntry.NotFound", ec2.delete_network_acl_entry, **rule)
    ec2.create_network_acl_entry(PortRange={"From": 80, "To": 81}, **given)
    ec2.replace_network_acl_entry(PortRange={"From": 80, "To": 90}, **given)
    (found,) = ec2.describe_network_acls(Filters=only("entry.port-range.to", "90"))[
        "NetworkAcls"
    ]
    (entry,) = [e for e in found["Entries"] if e.get("PortRange")]
    assert entry["PortRange"] == {"From": 80, "To": 90} and entry["Protocol"] == "6"
    refused(
        "InvalidParameterValue",
        ec2.delete_network_acl_entry,
        **{**rule, "RuleNumber": 32767},
    )


def test_the_default_network_may_be_deleted_and_made_again(ec2):
    refused("DefaultVpcAlreadyExists", ec2.create_default_vpc)
    refused(
        "DefaultSubnetAlreadyExistsInAvailabilityZone",
        ec2.create_default_subnet,
        AvailabilityZone="us-east-1a",
    )
    subnets = ec2.describe_subnets(Filters=only("default-for-az", "true"))["Subnets"]
    assert len(subnets) == 3
    ec2.delete_subnet(SubnetId=subnets[0]["SubnetId"])
    zone = subnets[0]["AvailabilityZone"]
    again = ec2.create_default_subnet(AvailabilityZone=zone)["Subnet"]
    assert again["DefaultForAz"] and again["CidrBlock"] == subnets[0]["CidrBlock"]
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    gateway = ec2.describe_internet_gateways(
        Filters=only("attachment.vpc-id", DEFAULT_VPC)
    )["InternetGateways"][0]["InternetGatewayId"]
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=DEFAULT_VPC)
    ec2.delete_vpc(VpcId=DEFAULT_VPC)
    assert ec2.describe_vpcs()["Vpcs"] == []
    attributes = ec2.describe_account_attributes(AttributeNames=["default-vpc"])
    assert attributes["AccountAttributes"][0]["AttributeValues"] == [
        {"AttributeValue": "none"}
    ]
    assert ec2.create_default_vpc()["Vpc"]["IsDefault"]
    assert len(ec2.describe_subnets()["Subnets"]) == 3


def test_an_instance_has_an_interface_that_knows_it(lab, ec2):
    instance = lab.run()
    lab.wait_state(instance, "running")
    shown = lab.instance(instance)["NetworkInterfaces"][0]
    assert shown["Attachment"]["DeviceIndex"] == 0
    assert shown["Attachment"]["Status"] == "attached"
    found = ec2.describe_network_interfaces(
        Filters=only("attachment.instance-id", instance)
    )["NetworkInterfaces"]
    assert [i["NetworkInterfaceId"] for i in found] == [shown["NetworkInterfaceId"]]
    subnet = lab.instance(instance)["SubnetId"]
    left = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]
    assert left["AvailableIpAddressCount"] == 4090
    refused("DependencyViolation", ec2.delete_subnet, SubnetId=subnet)
    group = ec2.create_security_group(GroupName="g", Description="d")["GroupId"]
    ec2.modify_network_interface_attribute(
        NetworkInterfaceId=shown["NetworkInterfaceId"], Groups=[group]
    )
    assert lab.instance(instance)["SecurityGroups"] == [
        {"GroupId": group, "GroupName": "g"}
    ]
    refused("DependencyViolation", ec2.delete_security_group, GroupId=group)
    ec2.terminate_instances(InstanceIds=[instance])
    lab.wait_state(instance, "terminated")
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    ec2.delete_security_group(GroupId=group)


def test_a_subnet_of_another_network_has_instances_that_run(lab, ec2):
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    instance = lab.run(SubnetId=subnet)
    shown = lab.wait_state(instance, "running")
    assert shown["VpcId"] == vpc and "PublicIpAddress" not in shown
    assert shown["PrivateIpAddress"].startswith("127.31.")
    (group,) = shown["SecurityGroups"]
    assert group["GroupName"] == "default"
    found = ec2.describe_security_groups(GroupIds=[group["GroupId"]])
    assert found["SecurityGroups"][0]["VpcId"] == vpc
    elsewhere = ec2.describe_security_groups(
        Filters=only("vpc-id", DEFAULT_VPC) + only("group-name", "default")
    )["SecurityGroups"][0]["GroupId"]
    refused(
        "InvalidGroup.NotFound",
        lab.run,
        SubnetId=subnet,
        SecurityGroupIds=[elsewhere],
    )


def test_an_address_goes_where_it_is_sent(lab, ec2):
    one, two = lab.run(), lab.run()
    for instance in (one, two):
        lab.wait_state(instance, "running")
    own = lab.instance(one)["PublicIpAddress"]
    address = ec2.allocate_address(
        Domain="vpc", TagSpecifications=tagged("elastic-ip", Name="web")
    )
    allocation = address["AllocationId"]
    found = ec2.describe_addresses(AllocationIds=[allocation])["Addresses"][0]
    assert tags_of(found) == {"Name": "web"} and "InstanceId" not in found
    made = ec2.associate_address(AllocationId=allocation, InstanceId=one)
    assert lab.instance(one)["PublicIpAddress"] == address["PublicIp"]
    found = ec2.describe_addresses(
        Filters=only("association-id", made["AssociationId"])
    )["Addresses"]
    assert found[0]["InstanceId"] == one
    assert found[0]["PrivateIpAddress"] == lab.instance(one)["PrivateIpAddress"]
    refused("InvalidIPAddress.InUse", ec2.release_address, AllocationId=allocation)
    refused(
        "Resource.AlreadyAssociated",
        ec2.associate_address,
        AllocationId=allocation,
        InstanceId=two,
        AllowReassociation=False,
    )
    ec2.associate_address(AllocationId=allocation, InstanceId=two)
    assert lab.instance(one)["PublicIpAddress"] == own
    assert lab.instance(two)["PublicIpAddress"] == address["PublicIp"]
    gateway = ec2.describe_internet_gateways()["InternetGateways"][0]
    refused(
        "DependencyViolation",
        ec2.detach_internet_gateway,
        InternetGatewayId=gateway["InternetGatewayId"],
        VpcId=DEFAULT_VPC,
    )
    # The end of an instance frees it.
    ec2.terminate_instances(InstanceIds=[two])
    lab.wait_state(two, "terminated")
    found = ec2.describe_addresses(PublicIps=[address["PublicIp"]])["Addresses"][0]
    assert "AssociationId" not in found
    again = ec2.associate_address(PublicIp=address["PublicIp"], InstanceId=one)
    ec2.disassociate_address(AssociationId=again["AssociationId"])
    refused(
        "InvalidAssociationID.NotFound",
        ec2.disassociate_address,
        AssociationId=again["AssociationId"],
    )
    ec2.release_address(AllocationId=allocation)
    refused(
        "InvalidAllocationID.NotFound",
        ec2.describe_addresses,
        AllocationIds=[allocation],
    )
    assert "Addresses" in ec2.describe_addresses_attribute()


def test_dry_runs_change_nothing(lab, ec2):
    before = ec2.describe_vpcs()["Vpcs"]
    for call, parameters in (
        (ec2.create_vpc, {"CidrBlock": "10.0.0.0/16"}),
        (ec2.create_subnet, {"VpcId": DEFAULT_VPC, "CidrBlock": "127.31.64.0/24"}),
        (ec2.create_route_table, {"VpcId": DEFAULT_VPC}),
        (ec2.create_internet_gateway, {}),
        (ec2.create_security_group, {"GroupName": "g", "Description": "d"}),
        (ec2.create_key_pair, {"KeyName": "k"}),
        (ec2.create_volume, {"AvailabilityZone": "us-east-1a", "Size": 1}),
        (ec2.allocate_address, {}),
        (ec2.describe_volumes, {}),
        (ec2.describe_instance_types, {}),
    ):
        refused("DryRunOperation", call, DryRun=True, **parameters)
    assert ec2.describe_vpcs()["Vpcs"] == before
    assert not ec2.describe_key_pairs()["KeyPairs"]
    assert not ec2.describe_volumes()["Volumes"]
    assert not ec2.describe_addresses()["Addresses"]
    assert len(ec2.describe_route_tables()["RouteTables"]) == 1


def test_filters_are_spelt_both_ways_and_pages_end(ec2):
    for name in ("isDefault", "is-default"):
        found = ec2.describe_vpcs(Filters=only(name, "true"))["Vpcs"]
        assert [v["VpcId"] for v in found] == [DEFAULT_VPC]
    for name in ("defaultForAz", "default-for-az"):
        assert len(ec2.describe_subnets(Filters=only(name, "true"))["Subnets"]) == 3
    for i in range(6):
        ec2.create_subnet(VpcId=DEFAULT_VPC, CidrBlock=f"127.31.{64 + i}.0/24")
    pages = list(
        ec2.get_paginator("describe_subnets").paginate(
            Filters=only("vpc-id", DEFAULT_VPC), PaginationConfig={"PageSize": 5}
        )
    )
    assert [len(p["Subnets"]) for p in pages] == [5, 4]
    assert len({s["SubnetId"] for p in pages for s in p["Subnets"]}) == 9
    refused("InvalidNextToken", ec2.describe_subnets, NextToken="nonsense")
    refused("InvalidParameterValue", ec2.describe_subnets, Filters=only("color", "x"))


def test_tokens_make_one_thing_only(ec2):
    parameters = {"AvailabilityZone": "us-east-1a", "Size": 4, "ClientToken": "t"}
    one = ec2.create_volume(**parameters)["VolumeId"]
    assert ec2.create_volume(**parameters)["VolumeId"] == one
    parameters["Size"] = 5
    refused("IdempotentParameterMismatch", ec2.create_volume, **parameters)
    assert len(ec2.describe_volumes()["Volumes"]) == 1


def test_the_command_finds_the_default_vpc(lab):
    vpcs = aws_cli(
        lab.aws, "ec2", "describe-vpcs", "--filters", "Name=is-default,Values=true"
    )["Vpcs"]
    assert [v["VpcId"] for v in vpcs] == [DEFAULT_VPC]
    assert len(aws_cli(lab.aws, "ec2", "describe-subnets")["Subnets"]) == 3


def test_what_is_not_supported_is_an_invalid_action(ec2):
    for call, parameters in (
        (ec2.describe_nat_gateways, {}),
        (ec2.describe_placement_groups, {}),
        (ec2.describe_vpc_endpoints, {}),
        (ec2.describe_managed_prefix_lists, {}),
        (ec2.describe_spot_price_history, {}),
        (ec2.get_ebs_encryption_by_default, {}),
        (ec2.create_network_interface, {"SubnetId": "subnet-" + "0" * 17}),
    ):
        refused("InvalidAction", call, **parameters)
    refused("UnsupportedOperation", ec2.describe_vpc_classic_link)
    refused("UnsupportedOperation", ec2.describe_vpc_classic_link_dns_support)
