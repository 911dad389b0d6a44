/*
 * Addresses of a subnet: which one to try next.  Pure.  Whether one is free is for the caller to
 * find out (by binding it).
 */
#ifndef LAB_RUNTIME_ADDRESSES_H
#define LAB_RUNTIME_ADDRESSES_H

#include <stdint.h>

#include "common/base/check.h"

struct addresses {
	uint32_t first, last; /* usable ones, host order */
};

/* "127.31.16.0/20": its addresses but for the first four and the last, which AWS keeps.  -1 when
 * it is not a CIDR block of 127.0.0.0/8 with at least one usable address. */
MUST_CHECK int addresses_parse(const char *cidr, struct addresses *addresses);

uint32_t addresses_count(const struct addresses *addresses);

/* The address at index modulo count, as text. */
void addresses_at(const struct addresses *addresses, uint32_t index, char text[16]);

#endif
