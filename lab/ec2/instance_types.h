/*
 * Instance types: the common ones as data, the rest by the rule of their size.  Pure; any thread.
 */
#ifndef LAB_EC2_INSTANCE_TYPES_H
#define LAB_EC2_INSTANCE_TYPES_H

#include <stdbool.h>

struct instance_type {
	int vcpus;
	int memory_mib;
};

/* -1: not a name of the form family.size with a size that exists. */
int instance_type_find(const char *name, struct instance_type *type);

#endif
