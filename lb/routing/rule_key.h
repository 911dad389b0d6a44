/*
 * The keys of the rule index: what of a condition can be looked up, and what of a request
 * is looked for.  A condition that holds for a request always has a key among the request's.
 * For rule_index.c alone.
 */
#ifndef LB_ROUTING_RULE_KEY_H
#define LB_ROUTING_RULE_KEY_H

#include "lb/routing/rule_condition.h"

enum key_kind {
	KEY_HOST_EXACT,
	KEY_HOST_PREFIX,
	KEY_HOST_SUFFIX,
	KEY_PATH_EXACT,
	KEY_PATH_PREFIX,
	KEY_PATH_SUFFIX,
	KEY_HEADER_EXACT,
	KEY_HEADER_PREFIX,
	KEY_HEADER_SUFFIX,
	KEY_METHOD,
	KEY_QUERY_PAIR,
	KEY_QUERY_KEY,
	KEY_QUERY_VALUE,
	KEY_SOURCE_V4,
	KEY_SOURCE_V6,
	KEY_HOST_GRAM, /* some bytes in a row, anywhere */
	KEY_PATH_GRAM,
	KEY_KINDS,
};

#define KEY_BIT(kind) (1u << (kind))
#define KEY_HEADER_BITS \
	(KEY_BIT(KEY_HEADER_EXACT) | KEY_BIT(KEY_HEADER_PREFIX) | KEY_BIT(KEY_HEADER_SUFFIX))
#define KEY_QUERY_BITS (KEY_BIT(KEY_QUERY_PAIR) | KEY_BIT(KEY_QUERY_KEY) | KEY_BIT(KEY_QUERY_VALUE))

#define KEY_GRAM_BITS (KEY_BIT(KEY_HOST_GRAM) | KEY_BIT(KEY_PATH_GRAM))

/* Longer fixed parts are cut: a shorter one finds no less. */
enum { KEY_LEN_MAX = 128, KEY_LEN_WORDS = KEY_LEN_MAX / 64 + 1 };

struct rule_key {
	enum key_kind kind;
	unsigned len; /* of the fixed part, or the network's bits */
	uint64_t hash;
};

/* What keys there are at all, so that only those lengths and headers are looked for. */
struct key_census {
	uint32_t kinds;
	uint64_t lengths[KEY_KINDS][KEY_LEN_WORDS];
	uint64_t header_names[4]; /* a Bloom filter of one function */
};

/* False when this value cannot be looked up. */
bool rule_key_of(const struct compiled_condition *condition, const struct matcher *matcher,
		 struct rule_key *key);
void key_census_add(struct key_census *census, const struct compiled_condition *condition,
		    const struct rule_key *key);

/* A key of the request. */
struct probe {
	uint32_t bit; /* of the kind */
	uint64_t hash;
};

enum { PROBES_MAX = 4 * (KEY_LEN_MAX + 1) + 4 + 33 + 129 };

/* Those of host, path, method and address; returns their number. */
size_t request_probes(const struct key_census *census, const struct rule_request *request,
		      struct probe probes[PROBES_MAX]);

/* Those of headers, query and grams, of the kinds asked for: there may be very many, so they are
 * handed out one by one. */
typedef void (*probe_fn)(void *arg, uint64_t hash);
void header_probes(const struct key_census *census, uint32_t kinds,
		   const struct rule_request *request, probe_fn fn, void *arg);
void query_probes(uint32_t kinds, const struct rule_request *request, probe_fn fn, void *arg);
void gram_probes(const struct key_census *census, uint32_t kinds,
		 const struct rule_request *request, probe_fn fn, void *arg);

#endif
