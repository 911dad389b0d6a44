/* See instance_types.h. */
#include "lab/ec2/instance_types.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	struct instance_type type;
} known[] = {
    {"t1.micro", {1, 627}},    {"t2.nano", {1, 512}},      {"t2.micro", {1, 1024}},
    {"t2.small", {1, 2048}},   {"t2.medium", {2, 4096}},   {"t2.large", {2, 8192}},
    {"t2.xlarge", {4, 16384}}, {"t2.2xlarge", {8, 32768}}, {"t3.nano", {2, 512}},
    {"t3.micro", {2, 1024}},   {"t3.small", {2, 2048}},    {"t3.medium", {2, 4096}},
    {"t3.large", {2, 8192}},   {"t3.xlarge", {4, 16384}},  {"t3.2xlarge", {8, 32768}},
    {"t3a.nano", {2, 512}},    {"t3a.micro", {2, 1024}},   {"t3a.small", {2, 2048}},
    {"t3a.medium", {2, 4096}}, {"t4g.nano", {2, 512}},     {"t4g.micro", {2, 1024}},
    {"t4g.small", {2, 2048}},  {"t4g.medium", {2, 4096}},  {"m1.small", {1, 1740}},
    {"m1.medium", {1, 3840}},  {"m3.medium", {1, 3840}},   {"m5.large", {2, 8192}},
    {"m5.xlarge", {4, 16384}}, {"m6i.large", {2, 8192}},   {"m7i.large", {2, 8192}},
    {"c4.large", {2, 3840}},   {"c5.large", {2, 4096}},    {"c5.xlarge", {4, 8192}},
    {"c6i.large", {2, 4096}},  {"c7g.medium", {1, 2048}},  {"r5.large", {2, 16384}},
    {"c6g.medium", {1, 2048}}, {"m6g.medium", {1, 4096}},  {"r6g.medium", {1, 8192}},
};

/* Elsewhere a size means the same in nearly every family: large is 2 vCPUs, Nxlarge 4 N. */
static const struct {
	const char *size;
	int vcpus;
} sizes[] = {
    {"nano", 2},  {"micro", 2},  {"small", 2},  {"medium", 2},
    {"large", 2}, {"xlarge", 4}, {"metal", 96},
};

static int vcpus_of_size(const char *size)
{
	enum { MAX_FACTOR = 112 };
	char *end;
	long factor;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (strcmp(size, sizes[i].size) == 0)
			return sizes[i].vcpus;
	if (!isdigit((unsigned char)size[0]))
		return -1;
	factor = strtol(size, &end, 10);
	if (strcmp(end, "xlarge") != 0 || factor < 2 || factor > MAX_FACTOR)
		return -1;
	return 4 * (int)factor;
}

int instance_type_find(const char *name, struct instance_type *type)
{
	const char *dot = strchr(name, '.');
	int vcpus;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(name, known[i].name) == 0) {
			*type = known[i].type;
			return 0;
		}
	}
	if (dot == NULL || dot - name < 2 || !islower((unsigned char)name[0]))
		return -1;
	vcpus = vcpus_of_size(dot + 1);
	if (vcpus < 0)
		return -1;
	*type = (struct instance_type){.vcpus = vcpus, .memory_mib = vcpus * 4096};
	return 0;
}
