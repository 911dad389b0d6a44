/* See addresses.h. */
#include "lab/runtime/addresses.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_FRONT = 4, KEPT_BACK = 1 };

int addresses_parse(const char *cidr, struct addresses *addresses)
{
	const char *slash = strchr(cidr, '/');
	struct in_addr network;
	char text[16];
	uint32_t base, size;
	char *end;
	long bits;

	if (slash == NULL || slash - cidr >= (long)sizeof(text))
		return -1;
	snprintf(text, sizeof(text), "%.*s", (int)(slash - cidr), cidr);
	bits = strtol(slash + 1, &end, 10);
	if (inet_pton(AF_INET, text, &network) != 1 || *end != '\0' || bits < 8 || bits > 29)
		return -1;
	base = ntohl(network.s_addr);
	size = UINT32_C(1) << (32 - bits);
	if (base >> 24 != 127 || (base & (size - 1)) != 0)
		return -1;
	addresses->first = base + KEPT_FRONT;
	addresses->last = base + size - 1 - KEPT_BACK;
	return 0;
}

uint32_t addresses_count(const struct addresses *addresses)
{
	return addresses->last - addresses->first + 1;
}

void addresses_at(const struct addresses *addresses, uint32_t index, char text[16])
{
	struct in_addr address = {.s_addr =
				      htonl(addresses->first + index % addresses_count(addresses))};

	if (inet_ntop(AF_INET, &address, text, 16) == NULL)
		text[0] = '\0';
}
