/* See defaults.h. */
#include "lab/ec2/defaults.h"

#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/network.h"

#define AMAZON DEFAULTS_AMAZON
#define DEBIAN "136693071363"
#define CANONICAL "099720109477"

#define DEFAULTS_ROUTE_TABLE_ID "rtb-0a1ba705500000001"
#define DEFAULTS_GATEWAY_ID "igw-0a1ba705500000001"

enum { ROOT_GIB = 8 };

/* Says that the default network was made once. */
static const char made_key[] = "ec2/defaults";

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

static void snapshot_of(const struct image *image, char id[32])
{
	snprintf(id, 32, "snap-%s", image->id + strlen("ami-"));
}

static json_t *image_document(const struct image *image)
{
	char snapshot[32];

	snapshot_of(image, snapshot);
	return json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s,"
	    " s:[{s:s, s:{s:b, s:s, s:i, s:s, s:b}}], s:s, s:s, s:[]}",
	    "ImageId", image->id, "Name", image->name, "OwnerId", image->owner, "ImageOwnerAlias",
	    "amazon", "Architecture", image->architecture, "CreationDate", image->date,
	    "Description", image->description, "ImageLocation", image->name, "Public", 1,
	    "ImageType", "machine", "State", "available", "RootDeviceName", image->root,
	    "RootDeviceType", "ebs", "VirtualizationType", "hvm", "EnaSupport", 1, "Hypervisor",
	    "xen", "PlatformDetails", "Linux/UNIX", "BlockDeviceMappings", "DeviceName",
	    image->root, "Ebs", "DeleteOnTermination", 1, "SnapshotId", snapshot, "VolumeSize",
	    ROOT_GIB, "VolumeType", "gp3", "Encrypted", 0, "UsageOperation", "RunInstances",
	    "SriovNetSupport", "simple", "Tags");
}

static json_t *snapshot_document(const struct image *image)
{
	char id[32];

	snapshot_of(image, id);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:b, s:s, s:[]}",
			 "SnapshotId", id, "OwnerId", image->owner, "OwnerAlias", "amazon",
			 "Description", image->name, "Progress", "100%", "StartTime", image->date,
			 "State", "completed", "VolumeId", "vol-ffffffff", "VolumeSize", ROOT_GIB,
			 "Encrypted", 0, "StorageTier", "standard", "Tags");
}

static json_t *dhcp_options_document(const struct ec2 *ec2)
{
	char domain[96];

	snprintf(domain, sizeof(domain), "%.64s%s",
		 strcmp(ec2->region, "us-east-1") == 0 ? "ec2" : ec2->region,
		 strcmp(ec2->region, "us-east-1") == 0 ? ".internal" : ".compute.internal");
	return json_pack("{s:s, s:s, s:[{s:s, s:[{s:s}]}, {s:s, s:[{s:s}]}], s:[]}",
			 "DhcpOptionsId", DEFAULTS_DHCP_OPTIONS_ID, "OwnerId", ec2->account_id,
			 "DhcpConfigurations", "Key", "domain-name", "Values", "Value", domain,
			 "Key", "domain-name-servers", "Values", "Value", "AmazonProvidedDNS",
			 "Tags");
}

void defaults_add_network(struct ec2 *ec2, struct store_txn *txn)
{
	static const struct network_ids ids = {
	    .vpc = DEFAULTS_VPC_ID,
	    .route_table = DEFAULTS_ROUTE_TABLE_ID,
	    .acl = "acl-0a1ba705500000001",
	    .group = DEFAULTS_GROUP_ID,
	    .gateway = DEFAULTS_GATEWAY_ID,
	};
	json_t *vpc = network_add_vpc(ec2, txn, "127.31.0.0/16", &ids, json_array());
	char id[64], cidr[CIDR_TEXT_MAX];

	json_decref(vpc);
	for (int i = 0; i < DEFAULTS_ZONES; i++) {
		snprintf(id, sizeof(id), "subnet-0a1ba7055%08d", i + 1);
		snprintf(cidr, sizeof(cidr), "127.31.%d.0/20", 16 * i);
		ec2_txn_put(txn, &ec2_subnets,
			    network_subnet(ec2, id, DEFAULTS_VPC_ID, cidr, i, true));
	}
	ec2_txn_put(txn, &ec2_internet_gateways,
		    json_pack("{s:s, s:s, s:[{s:s, s:s}], s:[]}", "InternetGatewayId",
			      DEFAULTS_GATEWAY_ID, "OwnerId", ec2->account_id, "Attachments",
			      "State", "available", "VpcId", DEFAULTS_VPC_ID, "Tags"));
}

/* Puts what is absent: tags that people gave stay.  Takes over document. */
static void put_absent(struct ec2 *ec2, struct store_txn *txn, const struct ec2_noun *noun,
		       json_t *document)
{
	char key[EC2_KEY_MAX];

	snprintf(key, sizeof(key), "%s%s", noun->folder, doc_str(document, noun->id_member, ""));
	if (store_peek(ec2->store, key, NULL) == NULL)
		ec2_txn_put(txn, noun, document);
	else
		json_decref(document);
}

int defaults_apply(struct ec2 *ec2, struct err *err)
{
	struct store_txn *txn = store_begin(ec2->store);

	for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
		put_absent(ec2, txn, &ec2_images, image_document(&images[i]));
		put_absent(ec2, txn, &ec2_snapshots, snapshot_document(&images[i]));
	}
	put_absent(ec2, txn, &ec2_dhcp_options, dhcp_options_document(ec2));
	/* Once: who deletes the default VPC does not want it back at the next start. */
	if (store_peek(ec2->store, made_key, NULL) == NULL) {
		defaults_add_network(ec2, txn);
		store_put(txn, made_key, json_pack("{s:b}", "HasNetwork", 1));
	}
	return store_commit(txn, err) == STORE_OK ? 0 : -1;
}
