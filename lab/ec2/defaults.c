/* See defaults.h. */
#include "lab/ec2/defaults.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AMAZON "137112412989"
#define DEBIAN "136693071363"
#define CANONICAL "099720109477"

static const struct image {
	const char *id, *name, *owner, *architecture, *date, *root, *description;
} images[] = {
    {"ami-0a1ba705500000001", "al2023-ami-2023.9.20260105.0-kernel-6.1-x86_64", AMAZON, "x86_64",
     "2026-01-06T02:10:11.000Z", "/dev/xvda", "Amazon Linux 2023 AMI x86_64 HVM kernel-6.1"},
    {"ami-0a1ba705500000002", "al2023-ami-2023.9.20260105.0-kernel-6.1-arm64", AMAZON, "arm64",
     "2026-01-06T02:10:12.000Z", "/dev/xvda", "Amazon Linux 2023 AMI arm64 HVM kernel-6.1"},
    {"ami-0a1ba705500000003", "amzn2-ami-hvm-2.0.20260105.0-x86_64-gp2", AMAZON, "x86_64",
     "2026-01-06T01:00:00.000Z", "/dev/xvda", "Amazon Linux 2 AMI x86_64 HVM gp2"},
    {"ami-0a1ba705500000004", "amzn2-ami-kernel-5.10-hvm-2.0.20260105.0-x86_64-gp2", AMAZON,
     "x86_64", "2026-01-06T01:00:01.000Z", "/dev/xvda",
     "Amazon Linux 2 Kernel 5.10 AMI x86_64 HVM gp2"},
    {"ami-0a1ba705500000005", "debian-12-amd64-20260112-2355", DEBIAN, "x86_64",
     "2026-01-12T22:40:00.000Z", "/dev/xvda", "Debian 12 (bookworm)"},
    {"ami-0a1ba705500000006", "debian-12-arm64-20260112-2355", DEBIAN, "arm64",
     "2026-01-12T22:40:01.000Z", "/dev/xvda", "Debian 12 (bookworm)"},
    {"ami-0a1ba705500000007", "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260110",
     CANONICAL, "x86_64", "2026-01-10T06:00:00.000Z", "/dev/sda1",
     "Canonical, Ubuntu, 22.04, amd64 jammy image"},
    {"ami-0a1ba705500000008", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260110",
     CANONICAL, "x86_64", "2026-01-10T06:00:01.000Z", "/dev/sda1",
     "Canonical, Ubuntu, 24.04, amd64 noble image"},
};

void defaults_zone_name(const char *region, int index, char name[DEFAULTS_ZONE_MAX])
{
	snprintf(name, DEFAULTS_ZONE_MAX, "%.64s%c", region, 'a' + index);
}

/* us-east-1 -> use1, ap-southeast-2 -> apse2 */
void defaults_zone_id(const char *region, int index, char id[DEFAULTS_ZONE_MAX])
{
	static const struct {
		const char *way, *initials;
	} ways[] = {
	    {"-northeast-", "ne"}, {"-northwest-", "nw"}, {"-southeast-", "se"},
	    {"-southwest-", "sw"}, {"-north-", "n"},      {"-south-", "s"},
	    {"-east-", "e"},       {"-west-", "w"},       {"-central-", "c"},
	};
	const char *number = strrchr(region, '-'), *initials = "";

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strstr(region, ways[i].way) != NULL)
			initials = ways[i].initials;
	snprintf(id, DEFAULTS_ZONE_MAX, "%.2s%s%.8s-az%d", region, initials,
		 number != NULL ? number + 1 : "", index + 1);
}

static json_t *image_document(const struct image *image)
{
	return json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s,"
	    " s:[{s:s, s:{s:b, s:i, s:s, s:b}}], s:[]}",
	    "ImageId", image->id, "Name", image->name, "OwnerId", image->owner, "ImageOwnerAlias",
	    "amazon", "Architecture", image->architecture, "CreationDate", image->date,
	    "Description", image->description, "ImageLocation", image->name, "Public", 1,
	    "ImageType", "machine", "State", "available", "RootDeviceName", image->root,
	    "RootDeviceType", "ebs", "VirtualizationType", "hvm", "EnaSupport", 1, "Hypervisor",
	    "xen", "PlatformDetails", "Linux/UNIX", "BlockDeviceMappings", "DeviceName",
	    image->root, "Ebs", "DeleteOnTermination", 1, "VolumeSize", 8, "VolumeType", "gp3",
	    "Encrypted", 0, "Tags");
}

static json_t *vpc_document(const struct ec2 *ec2)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:[{s:s, s:s, s:{s:s}}], s:[], s:[]}",
			 "VpcId", DEFAULTS_VPC_ID, "CidrBlock", "127.31.0.0/16", "DhcpOptionsId",
			 "dopt-0a1ba705500000001", "State", "available", "OwnerId", ec2->account_id,
			 "InstanceTenancy", "default", "IsDefault", 1, "CidrBlockAssociationSet",
			 "AssociationId", "vpc-cidr-assoc-0a1ba705500000001", "CidrBlock",
			 "127.31.0.0/16", "CidrBlockState", "State", "associated",
			 "Ipv6CidrBlockAssociationSet", "Tags");
}

static json_t *subnet_document(const struct ec2 *ec2, int index, char id[64])
{
	char zone[DEFAULTS_ZONE_MAX], zone_id[DEFAULTS_ZONE_MAX], cidr[32], arn[256];

	defaults_zone_name(ec2->region, index, zone);
	defaults_zone_id(ec2->region, index, zone_id);
	snprintf(id, 64, "subnet-0a1ba7055%08d", index + 1);
	snprintf(cidr, sizeof(cidr), "127.31.%d.0/20", 16 * index);
	snprintf(arn, sizeof(arn), "arn:aws:ec2:%.64s:%.12s:subnet/%s", ec2->region,
		 ec2->account_id, id);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:b, s:b, s:b, s:s, s:s, s:[], s:[]}",
			 "SubnetId", id, "VpcId", DEFAULTS_VPC_ID, "State", "available",
			 "CidrBlock", cidr, "AvailabilityZone", zone, "AvailabilityZoneId", zone_id,
			 "AvailableIpAddressCount", 4091, "DefaultForAz", 1, "MapPublicIpOnLaunch",
			 1, "AssignIpv6AddressOnCreation", 0, "OwnerId", ec2->account_id,
			 "SubnetArn", arn, "Ipv6CidrBlockAssociationSet", "Tags");
}

static json_t *group_document(const struct ec2 *ec2)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:[{s:s, s:[{s:s, s:s}], s:[], s:[], s:[]}],"
			 " s:[{s:s, s:[], s:[{s:s}], s:[], s:[]}], s:[]}",
			 "GroupId", DEFAULTS_GROUP_ID, "GroupName", "default", "Description",
			 "default VPC security group", "OwnerId", ec2->account_id, "VpcId",
			 DEFAULTS_VPC_ID, "IpPermissions", "IpProtocol", "-1", "UserIdGroupPairs",
			 "GroupId", DEFAULTS_GROUP_ID, "UserId", ec2->account_id, "IpRanges",
			 "Ipv6Ranges", "PrefixListIds", "IpPermissionsEgress", "IpProtocol", "-1",
			 "UserIdGroupPairs", "IpRanges", "CidrIp", "0.0.0.0/0", "Ipv6Ranges",
			 "PrefixListIds", "Tags");
}

/* Takes over document.  Only the first failure is kept: the transaction is given up then. */
static bool put_absent(struct ec2 *ec2, struct store_txn *txn, const char *folder, const char *id,
		       json_t *document)
{
	char key[EC2_KEY_MAX];
	json_t *old;

	if (document == NULL)
		return false;
	snprintf(key, sizeof(key), "%s%s", folder, id);
	old = store_get(ec2->store, key, NULL);
	if (old != NULL) {
		json_decref(old);
		json_decref(document);
		return true;
	}
	store_put(txn, key, document);
	return true;
}

int defaults_apply(struct ec2 *ec2, struct err *err)
{
	struct store_txn *txn = store_begin(ec2->store);
	bool is_ok = txn != NULL;
	char id[64];

	for (size_t i = 0; is_ok && i < sizeof(images) / sizeof(images[0]); i++)
		is_ok = put_absent(ec2, txn, ec2_images.folder, images[i].id,
				   image_document(&images[i]));
	for (int i = 0; is_ok && i < DEFAULTS_ZONES; i++) {
		json_t *subnet = subnet_document(ec2, i, id);

		is_ok = put_absent(ec2, txn, ec2_subnets.folder, id, subnet);
	}
	is_ok = is_ok &&
		put_absent(ec2, txn, ec2_vpcs.folder, DEFAULTS_VPC_ID, vpc_document(ec2)) &&
		put_absent(ec2, txn, ec2_security_groups.folder, DEFAULTS_GROUP_ID,
			   group_document(ec2));
	if (is_ok)
		return store_commit(txn, err) == STORE_OK ? 0 : -1;
	if (txn != NULL)
		store_abort(txn);
	err_set(err, ENOMEM, "out of memory");
	return -1;
}
