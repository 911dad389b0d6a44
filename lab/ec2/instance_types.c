/* See instance_types.h. */
#include "lab/ec2/instance_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define X86 "x86_64", "nitro"
#define XEN "x86_64", "xen"
#define ARM "arm64", "nitro"
#define T_SIZES "nano micro small medium large xlarge 2xlarge"
#define OLD_SIZES "large xlarge 2xlarge 4xlarge 8xlarge"
#define FIVE "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge metal"
#define SIX "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge metal"
#define SEVEN "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge metal"
#define GRAVITON "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge metal"
#define GRAVITON4 "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge"

static const struct instance_family families[] = {
    {"t1", "micro", XEN, 627, false, NULL},
    {"t2", T_SIZES, XEN, 4096, true, "standard"},
    {"t3", T_SIZES, X86, 4096, true, "unlimited"},
    {"t3a", T_SIZES, X86, 4096, true, "unlimited"},
    {"t4g", T_SIZES, ARM, 4096, true, "unlimited"},
    {"m1", "small medium large xlarge", XEN, 3840, false, NULL},
    {"m3", "medium large xlarge 2xlarge", XEN, 3840, false, NULL},
    {"m4", "large xlarge 2xlarge 4xlarge 10xlarge 16xlarge", XEN, 4096, true, NULL},
    {"m5", FIVE, X86, 4096, true, NULL},
    {"m5a", FIVE, X86, 4096, true, NULL},
    {"m5d", FIVE, X86, 4096, true, NULL},
    {"m5n", FIVE, X86, 4096, true, NULL},
    {"m6a", SIX, X86, 4096, true, NULL},
    {"m6i", SIX, X86, 4096, true, NULL},
    {"m6g", GRAVITON, ARM, 4096, true, NULL},
    {"m7a", "medium " SEVEN, X86, 4096, true, NULL},
    {"m7i", SEVEN, X86, 4096, true, NULL},
    {"m7i-flex", OLD_SIZES, X86, 4096, true, NULL},
    {"m7g", GRAVITON, ARM, 4096, true, NULL},
    {"m8g", GRAVITON4, ARM, 4096, true, NULL},
    {"m8i", SEVEN, X86, 4096, true, NULL},
    {"c3", OLD_SIZES, XEN, 1920, false, NULL},
    {"c4", OLD_SIZES, XEN, 1920, true, NULL},
    {"c5", "large xlarge 2xlarge 4xlarge 9xlarge 12xlarge 18xlarge 24xlarge metal", X86, 2048, true,
     NULL},
    {"c5a", "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge", X86, 2048, true,
     NULL},
    {"c5d", "large xlarge 2xlarge 4xlarge 9xlarge 12xlarge 18xlarge 24xlarge metal", X86, 2048,
     true, NULL},
    {"c5n", "large xlarge 2xlarge 4xlarge 9xlarge 18xlarge metal", X86, 2688, true, NULL},
    {"c6a", SIX, X86, 2048, true, NULL},
    {"c6i", SIX, X86, 2048, true, NULL},
    {"c6g", GRAVITON, ARM, 2048, true, NULL},
    {"c6gn", GRAVITON, ARM, 2048, true, NULL},
    {"c7a", "medium " SEVEN, X86, 2048, true, NULL},
    {"c7i", SEVEN, X86, 2048, true, NULL},
    {"c7i-flex", OLD_SIZES, X86, 2048, true, NULL},
    {"c7g", GRAVITON, ARM, 2048, true, NULL},
    {"c8g", GRAVITON4, ARM, 2048, true, NULL},
    {"r3", OLD_SIZES, XEN, 7808, false, NULL},
    {"r4", "large xlarge 2xlarge 4xlarge 8xlarge 16xlarge", XEN, 7808, true, NULL},
    {"r5", FIVE, X86, 8192, true, NULL},
    {"r5a", FIVE, X86, 8192, true, NULL},
    {"r5d", FIVE, X86, 8192, true, NULL},
    {"r6a", SIX, X86, 8192, true, NULL},
    {"r6i", SIX, X86, 8192, true, NULL},
    {"r6g", GRAVITON, ARM, 8192, true, NULL},
    {"r7a", "medium " SEVEN, X86, 8192, true, NULL},
    {"r7i", SEVEN, X86, 8192, true, NULL},
    {"r7g", GRAVITON, ARM, 8192, true, NULL},
    {"r8g", GRAVITON4, ARM, 8192, true, NULL},
    {"x2gd", GRAVITON, ARM, 16384, true, NULL},
    {"i3", "large xlarge 2xlarge 4xlarge 8xlarge 16xlarge metal", XEN, 7808, true, NULL},
    {"i3en", "large xlarge 2xlarge 3xlarge 6xlarge 12xlarge 24xlarge metal", X86, 8192, true, NULL},
    {"i4i", SIX, X86, 8192, true, NULL},
    {"d3", "xlarge 2xlarge 4xlarge 8xlarge", X86, 8192, true, NULL},
    {"g4dn", "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge metal", X86, 4096, true, NULL},
    {"g5", "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge", X86, 4096, true,
     NULL},
    {"p3", "2xlarge 8xlarge 16xlarge", XEN, 7808, true, NULL},
    {"z1d", "large xlarge 2xlarge 3xlarge 6xlarge 12xlarge metal", X86, 8192, true, NULL},
};
enum { N_FAMILIES = sizeof(families) / sizeof(families[0]), METAL_VCPUS = 96 };

/* Where the rule of the size does not hold. */
static const struct {
	const char *name;
	int vcpus, memory_mib;
} exceptions[] = {
    {"t1.micro", 1, 627},      {"t2.nano", 1, 512},       {"t2.micro", 1, 1024},
    {"t2.small", 1, 2048},     {"t2.medium", 2, 4096},    {"t3.nano", 2, 512},
    {"t3.micro", 2, 1024},     {"t3.small", 2, 2048},     {"t3.medium", 2, 4096},
    {"t3a.nano", 2, 512},      {"t3a.micro", 2, 1024},    {"t3a.small", 2, 2048},
    {"t3a.medium", 2, 4096},   {"t4g.nano", 2, 512},      {"t4g.micro", 2, 1024},
    {"t4g.small", 2, 2048},    {"t4g.medium", 2, 4096},   {"m1.small", 1, 1740},
    {"c6g.metal", 64, 131072}, {"m6g.metal", 64, 262144}, {"r6g.metal", 64, 524288},
    {"m1.medium", 1, 3840},    {"m3.medium", 1, 3840},    {"z1d.metal", 48, 393216},
};
enum { N_EXCEPTIONS = sizeof(exceptions) / sizeof(exceptions[0]) };

static int vcpus_of_size(const char *size)
{
	if (strcmp(size, "metal") == 0)
		return METAL_VCPUS;
	if (strcmp(size, "medium") == 0)
		return 1;
	if (strcmp(size, "xlarge") == 0)
		return 4;
	return strcmp(size, "large") == 0 ? 2 : 4 * atoi(size);
}

static void fill(struct instance_type *type, const struct instance_family *family, const char *size,
		 size_t len)
{
	bool has_threads = strcmp(family->architecture, "x86_64") == 0;
	char text[16];

	snprintf(text, sizeof(text), "%.*s", (int)len, size);
	*type = (struct instance_type){.family = family, .vcpus = vcpus_of_size(text)};
	snprintf(type->name, sizeof(type->name), "%s.%s", family->name, text);
	type->memory_mib = type->vcpus * family->mib_per_vcpu;
	for (int i = 0; i < N_EXCEPTIONS; i++) {
		if (strcmp(type->name, exceptions[i].name) != 0)
			continue;
		type->vcpus = exceptions[i].vcpus;
		type->memory_mib = exceptions[i].memory_mib;
	}
	type->cores = has_threads && type->vcpus > 1 ? type->vcpus / 2 : type->vcpus;
	/* t2's burst on whole cores. */
	if (strcmp(family->name, "t2") == 0)
		type->cores = type->vcpus;
}

bool instance_type_at(size_t index, struct instance_type *type)
{
	for (size_t i = 0; i < N_FAMILIES; i++) {
		const char *size = families[i].sizes;

		for (; *size != '\0'; size += strspn(size, " ")) {
			size_t len = strcspn(size, " ");

			if (index-- == 0) {
				fill(type, &families[i], size, len);
				return true;
			}
			size += len;
		}
	}
	return false;
}

int instance_type_find(const char *name, struct instance_type *type)
{
	for (size_t i = 0; instance_type_at(i, type); i++)
		if (strcmp(type->name, name) == 0)
			return 0;
	return -1;
}
