/*
 * One condition, compiled: does it hold for a request?  For rules.c, rule_index.c and
 * tests.  Pure; the regular expressions are the heap's, everything else the arena's.
 */
#ifndef LB_ROUTING_RULE_CONDITION_H
#define LB_ROUTING_RULE_CONDITION_H

#include "lb/routing/arena.h"
#include "lb/routing/pattern.h"
#include "lb/routing/rule_regex.h"
#include "lb/routing/rules.h"

struct network {
	int family;
	uint8_t bytes[16]; /* beyond bits: zero */
	unsigned bits;
};

struct matcher {
	bool has_key;
	struct pattern key; /* query-string */
	struct pattern value;
	struct regex *regex;    /* instead of value */
	const char *source;     /* of regex */
	struct network network; /* source-ip */
};

struct compiled_condition {
	enum condition_field field;
	struct text header_name;
	size_t n_matchers;
	struct matcher *matchers;
};

struct rule {
	unsigned priority;
	size_t n_conditions;
	struct compiled_condition *conditions;
	struct transforms *transforms; /* NULL = none */
	struct action action;
};

/* -1 with err; condition_fini() in every case. */
MUST_CHECK int condition_compile(struct compiled_condition *out, const struct condition *condition,
				 struct arena *arena, struct err *err);
void condition_fini(struct compiled_condition *condition);
bool condition_holds(const struct compiled_condition *condition,
		     const struct rule_request *request);
bool rule_holds(const struct rule *rule, const struct rule_request *request);

/* The address's bytes and family, an IPv4 one inside IPv6 taken out; NULL when it is neither. */
const uint8_t *client_bytes(const struct sockaddr *addr, int *family);
/* Zeroes what lies beyond the first bits. */
void mask_address(uint8_t *bytes, size_t size, unsigned bits);

#endif
