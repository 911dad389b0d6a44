/* DescribeInstanceTypes and where they are offered: the table of instance_types.c, described. */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/defaults.h"
#include "lab/ec2/instance_types.h"
#include "lab/ec2/resource.h"

static const struct filter_field type_fields[] = {
    {"instance-type", "InstanceType"},
    {"current-generation", "CurrentGeneration"},
    {"free-tier-eligible", "FreeTierEligible"},
    {"bare-metal", "BareMetal"},
    {"burstable-performance-supported", "BurstablePerformanceSupported"},
    {"hypervisor", "Hypervisor"},
    {"auto-recovery-supported", "AutoRecoverySupported"},
    {"dedicated-hosts-supported", "DedicatedHostsSupported"},
    {"hibernation-supported", "HibernationSupported"},
    {"instance-storage-supported", "InstanceStorageSupported"},
    {"processor-info.supported-architecture", "ProcessorInfo.SupportedArchitectures"},
    {"processor-info.sustained-clock-speed-in-ghz", "ProcessorInfo.SustainedClockSpeedInGhz"},
    {"vcpu-info.default-vcpus", "VCpuInfo.DefaultVCpus"},
    {"vcpu-info.default-cores", "VCpuInfo.DefaultCores"},
    {"vcpu-info.default-threads-per-core", "VCpuInfo.DefaultThreadsPerCore"},
    {"memory-info.size-in-mib", "MemoryInfo.SizeInMiB"},
    {"network-info.ena-support", "NetworkInfo.EnaSupport"},
    {"network-info.ipv6-supported", "NetworkInfo.Ipv6Supported"},
    {"network-info.maximum-network-interfaces", "NetworkInfo.MaximumNetworkInterfaces"},
    {"network-info.network-performance", "NetworkInfo.NetworkPerformance"},
    {"ebs-info.ebs-optimized-support", "EbsInfo.EbsOptimizedSupport"},
    {"ebs-info.encryption-support", "EbsInfo.EncryptionSupport"},
    {"ebs-info.nvme-support", "EbsInfo.NvmeSupport"},
    {"ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps",
     "EbsInfo.EbsOptimizedInfo.BaselineBandwidthInMbps"},
    {"ebs-info.ebs-optimized-info.baseline-iops", "EbsInfo.EbsOptimizedInfo.BaselineIops"},
    {"ebs-info.ebs-optimized-info.baseline-throughput-in-mbps",
     "EbsInfo.EbsOptimizedInfo.BaselineThroughputInMBps"},
    {"ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps",
     "EbsInfo.EbsOptimizedInfo.MaximumBandwidthInMbps"},
    {"ebs-info.ebs-optimized-info.maximum-iops", "EbsInfo.EbsOptimizedInfo.MaximumIops"},
    {"ebs-info.ebs-optimized-info.maximum-throughput-in-mbps",
     "EbsInfo.EbsOptimizedInfo.MaximumThroughputInMBps"},
    {"instance-storage-info.disk.count", "InstanceStorageInfo.Disks.Count"},
    {"instance-storage-info.disk.size-in-gb", "InstanceStorageInfo.Disks.SizeInGB"},
    {"instance-storage-info.disk.type", "InstanceStorageInfo.Disks.Type"},
    {"instance-storage-info.encryption-support", "InstanceStorageInfo.EncryptionSupport"},
    {"instance-storage-info.nvme-support", "InstanceStorageInfo.NvmeSupport"},
    {"instance-storage-info.total-size-in-gb", "InstanceStorageInfo.TotalSizeInGB"},
    {"network-info.efa-info.maximum-efa-interfaces", "NetworkInfo.EfaInfo.MaximumEfaInterfaces"},
    {"network-info.efa-supported", "NetworkInfo.EfaSupported"},
    {"network-info.encryption-in-transit-supported", "NetworkInfo.EncryptionInTransitSupported"},
    {"network-info.ipv4-addresses-per-interface", "NetworkInfo.Ipv4AddressesPerInterface"},
    {"network-info.ipv6-addresses-per-interface", "NetworkInfo.Ipv6AddressesPerInterface"},
    {"network-info.maximum-network-cards", "NetworkInfo.MaximumNetworkCards"},
    {"vcpu-info.valid-cores", "VCpuInfo.ValidCores"},
    {"vcpu-info.valid-threads-per-core", "VCpuInfo.ValidThreadsPerCore"},
    {"supported-boot-mode", "SupportedBootModes"},
    {"supported-root-device-type", "SupportedRootDeviceTypes"},
    {"supported-usage-class", "SupportedUsageClasses"},
    {"supported-virtualization-type", "SupportedVirtualizationTypes"},
    {NULL, NULL},
};

static const struct ec2_noun types = {
    .output = "InstanceTypes",
    .ids_input = "InstanceTypes",
    .id_member = "InstanceType",
    .fields = type_fields,
    .is_paged = true,
};

static json_t *network_info(bool is_nitro)
{
	return json_pack("{s:s, s:i, s:i, s:i, s:[{s:i, s:s, s:i}], s:i, s:i, s:b, s:s, s:b}",
			 "NetworkPerformance", is_nitro ? "Up to 5 Gigabit" : "Low to Moderate",
			 "MaximumNetworkInterfaces", 2, "MaximumNetworkCards", 1,
			 "DefaultNetworkCardIndex", 0, "NetworkCards", "NetworkCardIndex", 0,
			 "NetworkPerformance", is_nitro ? "Up to 5 Gigabit" : "Low to Moderate",
			 "MaximumNetworkInterfaces", 2, "Ipv4AddressesPerInterface", 2,
			 "Ipv6AddressesPerInterface", 2, "Ipv6Supported", 1, "EnaSupport",
			 is_nitro ? "required" : "unsupported", "EfaSupported", 0);
}

static json_t *type_document(const struct instance_type *type)
{
	const struct instance_family *family = type->family;
	bool is_nitro = strcmp(family->hypervisor, "nitro") == 0;
	bool is_metal = strstr(type->name, ".metal") != NULL;
	bool is_free = strcmp(type->name, "t2.micro") == 0 || strcmp(type->name, "t3.micro") == 0;

	return json_pack(
	    "{s:s, s:b, s:b, s:[s,s], s:[s], s:[s], s:b, s:s*, s:{s:[s], s:f}, s:{s:i, s:i, s:i},"
	    " s:{s:i}, s:b, s:{s:s, s:s, s:s}, s:o, s:{s:[s,s,s]}, s:b, s:b, s:b, s:b, s:[s]}",
	    "InstanceType", type->name, "CurrentGeneration", family->is_current, "FreeTierEligible",
	    is_free, "SupportedUsageClasses", "on-demand", "spot", "SupportedRootDeviceTypes",
	    "ebs", "SupportedVirtualizationTypes", "hvm", "BareMetal", is_metal, "Hypervisor",
	    is_metal ? NULL : family->hypervisor, "ProcessorInfo", "SupportedArchitectures",
	    family->architecture, "SustainedClockSpeedInGhz", 2.5, "VCpuInfo", "DefaultVCpus",
	    type->vcpus, "DefaultCores", type->cores, "DefaultThreadsPerCore",
	    type->vcpus / type->cores, "MemoryInfo", "SizeInMiB", type->memory_mib,
	    "InstanceStorageSupported", 0, "EbsInfo", "EbsOptimizedSupport",
	    is_nitro ? "default" : "unsupported", "EncryptionSupport", "supported", "NvmeSupport",
	    is_nitro ? "required" : "unsupported", "NetworkInfo", network_info(is_nitro),
	    "PlacementGroupInfo", "SupportedStrategies", "partition", "spread", "cluster",
	    "HibernationSupported", 0, "BurstablePerformanceSupported", family->credits != NULL,
	    "DedicatedHostsSupported", 0, "AutoRecoverySupported", 1, "SupportedBootModes",
	    is_nitro ? "uefi" : "legacy-bios");
}

static json_t *asked_types(const json_t *names, struct aws_error *error)
{
	json_t *list = json_array();
	struct instance_type type;
	const json_t *name;
	size_t i;

	json_array_foreach (names, i, name) {
		if (instance_type_find(json_string_value(name), &type) != 0) {
			aws_error_set(error, 400, "InvalidInstanceType",
				      "The following supplied instance types do not exist: "
				      "[%.80s]",
				      json_string_value(name));
			json_decref(list);
			return NULL;
		}
		json_array_append_new(list, type_document(&type));
	}
	for (i = 0; json_array_size(names) == 0 && instance_type_at(i, &type); i++)
		json_array_append_new(list, type_document(&type));
	return list;
}

EC2_HANDLER(DescribeInstanceTypes)
{
	json_t *list = asked_types(doc_array(input, "InstanceTypes"), error);

	return list == NULL ? NULL : ec2_describe_list(ec2, &types, list, input, NULL, error);
}

/* --- offerings --- */

static const struct filter_field offering_fields[] = {
    {"instance-type", "InstanceType"},
    {"location", "Location"},
    {NULL, NULL},
};

static const struct ec2_noun offerings = {
    .output = "InstanceTypeOfferings",
    .ids_input = "-",
    .id_member = "InstanceType",
    .sort_member = "Location",
    .fields = offering_fields,
    .is_paged = true,
};

static void add_offerings(json_t *list, const char *location_type, const char *location)
{
	struct instance_type type;

	for (size_t i = 0; instance_type_at(i, &type); i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "InstanceType", type.name,
						      "LocationType", location_type, "Location",
						      location));
}

/* Every type is offered everywhere. */
EC2_HANDLER(DescribeInstanceTypeOfferings)
{
	const char *location_type = doc_str(input, "LocationType", "region");
	json_t *list = json_array();
	char zone[DEFAULTS_ZONE_MAX];

	if (strcmp(location_type, "region") == 0)
		add_offerings(list, location_type, ec2->region);
	for (int i = 0; strcmp(location_type, "region") != 0 && i < DEFAULTS_ZONES; i++) {
		if (strcmp(location_type, "availability-zone-id") == 0)
			defaults_zone_id(ec2->region, i, zone);
		else
			defaults_zone_name(ec2->region, i, zone);
		add_offerings(list, location_type, zone);
	}
	return ec2_describe_list(ec2, &offerings, list, input, NULL, error);
}
