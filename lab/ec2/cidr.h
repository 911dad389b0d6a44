/* IPv4 ranges such as "10.0.0.0/16".  Pure; any thread. */
#ifndef LAB_EC2_CIDR_H
#define LAB_EC2_CIDR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/check.h"

enum { CIDR_TEXT_MAX = 20 };

struct cidr {
	uint32_t base; /* host bits cleared */
	int bits;
};

/* -1: not a.b.c.d/0..32. */
MUST_CHECK int cidr_parse(const char *text, struct cidr *cidr);
char *cidr_format(const struct cidr *cidr, char text[CIDR_TEXT_MAX]);
bool cidr_contains(const struct cidr *outer, const struct cidr *inner);
bool cidr_overlaps(const struct cidr *a, const struct cidr *b);
/* How many addresses it has. */
uint64_t cidr_size(const struct cidr *cidr);

#endif
