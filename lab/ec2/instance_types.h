/*
 * Instance types: families as data, sizes by rule, exceptions by name.  Pure; any thread.
 */
#ifndef LAB_EC2_INSTANCE_TYPES_H
#define LAB_EC2_INSTANCE_TYPES_H

#include <stdbool.h>
#include <stddef.h>

enum { INSTANCE_TYPE_NAME_MAX = 32 };

struct instance_family {
	const char *name;  /* "m5" */
	const char *sizes; /* "large xlarge 2xlarge" */
	const char *architecture, *hypervisor;
	int mib_per_vcpu;
	bool is_current;
	const char *credits; /* burstable: the default CpuCredits; NULL: not burstable */
};

struct instance_type {
	char name[INSTANCE_TYPE_NAME_MAX];
	const struct instance_family *family;
	int vcpus, cores;
	int memory_mib;
};

/* -1: there is no such type. */
int instance_type_find(const char *name, struct instance_type *type);

/* All of them, family by family; false from index n on. */
bool instance_type_at(size_t index, struct instance_type *type);

#endif
