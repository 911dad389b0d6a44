/* See cidr.h. */
#include "lab/ec2/cidr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t mask_of(int bits)
{
	return bits == 0 ? 0 : UINT32_MAX << (32 - bits);
}

int cidr_parse(const char *text, struct cidr *cidr)
{
	const char *slash = strchr(text, '/');
	struct in_addr address;
	char host[16], *end;
	long bits;

	if (slash == NULL || slash - text >= (long)sizeof(host) ||
	    !isdigit((unsigned char)slash[1]))
		return -1;
	snprintf(host, sizeof(host), "%.*s", (int)(slash - text), text);
	bits = strtol(slash + 1, &end, 10);
	if (inet_pton(AF_INET, host, &address) != 1 || *end != '\0' || bits < 0 || bits > 32)
		return -1;
	*cidr =
	    (struct cidr){.base = ntohl(address.s_addr) & mask_of((int)bits), .bits = (int)bits};
	return 0;
}

char *cidr_format(const struct cidr *cidr, char text[CIDR_TEXT_MAX])
{
	snprintf(text, CIDR_TEXT_MAX, "%u.%u.%u.%u/%d", cidr->base >> 24, cidr->base >> 16 & 255,
		 cidr->base >> 8 & 255, cidr->base & 255, cidr->bits);
	return text;
}

bool cidr_contains(const struct cidr *outer, const struct cidr *inner)
{
	return inner->bits >= outer->bits && (inner->base & mask_of(outer->bits)) == outer->base;
}

bool cidr_overlaps(const struct cidr *a, const struct cidr *b)
{
	return cidr_contains(a, b) || cidr_contains(b, a);
}

uint64_t cidr_size(const struct cidr *cidr)
{
	return UINT64_C(1) << (32 - cidr->bits);
}
