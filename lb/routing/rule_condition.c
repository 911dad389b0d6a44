/* See rule_condition.h. */
#include "lb/routing/rule_condition.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lb/routing/rule_percent.h"

static const unsigned flags_of[] = {
    [CONDITION_HOST_HEADER] = PATTERN_NOCASE,
    [CONDITION_PATH_PATTERN] = 0,
    [CONDITION_HTTP_HEADER] = PATTERN_NOCASE,
    [CONDITION_REQUEST_METHOD] = 0,
    [CONDITION_QUERY_STRING] = PATTERN_NOCASE | PATTERN_ESCAPES,
    [CONDITION_SOURCE_IP] = 0,
};

void mask_address(uint8_t *bytes, size_t size, unsigned bits)
{
	for (size_t i = 0; i < size; i++) {
		unsigned keep = bits >= 8 ? 8 : bits;

		bytes[i] = (uint8_t)(bytes[i] & (0xff00 >> keep));
		bits -= keep;
	}
}

static int parse_network(struct network *network, const char *text, struct err *err)
{
	char address[INET6_ADDRSTRLEN + 8];
	int len = snprintf(address, sizeof(address), "%s", text);
	char *slash = strchr(address, '/');
	unsigned max;

	if (len >= (int)sizeof(address) || !slash)
		goto fail;
	*slash = '\0';
	network->family = strchr(address, ':') ? AF_INET6 : AF_INET;
	max = network->family == AF_INET6 ? 128 : 32;
	char *end;
	unsigned long bits = strtoul(slash + 1, &end, 10);
	if (end == slash + 1 || *end != '\0' || bits > max)
		goto fail;
	network->bits = (unsigned)bits;
	if (inet_pton(network->family, address, network->bytes) != 1)
		goto fail;
	mask_address(network->bytes, max / 8, network->bits);
	return 0;
fail:
	err_set(err, EINVAL, "source-ip: \"%s\" is not a CIDR block", text);
	return -1;
}

static int compile_regex(struct matcher *matcher, enum condition_field field, const char *source,
			 struct arena *arena, struct err *err)
{
	bool is_nocase = flags_of[field] & PATTERN_NOCASE;

	if (field != CONDITION_HOST_HEADER && field != CONDITION_PATH_PATTERN &&
	    field != CONDITION_HTTP_HEADER) {
		err_set(err, EINVAL, "this condition takes no regular expressions");
		return -1;
	}
	matcher->source = arena_strdup(arena, source);
	matcher->regex = regex_new(source, is_nocase, err);
	if (matcher->regex)
		return 0;
	err_wrap(err, "regular expression \"%s\": ", source);
	return -1;
}

static int compile_value(struct matcher *matcher, enum condition_field field,
			 const struct condition_value *value, struct arena *arena, struct err *err)
{
	if (field == CONDITION_SOURCE_IP)
		return parse_network(&matcher->network, value->value, err);
	matcher->has_key = field == CONDITION_QUERY_STRING && value->key;
	if (matcher->has_key)
		pattern_compile(&matcher->key, value->key, flags_of[field], arena);
	pattern_compile(&matcher->value, value->value, flags_of[field], arena);
	if (field == CONDITION_REQUEST_METHOD && matcher->value.kind != PATTERN_EXACT) {
		err_set(err, EINVAL, "http-request-method: wildcards are not allowed");
		return -1;
	}
	return 0;
}

int condition_compile(struct compiled_condition *out, const struct condition *condition,
		      struct arena *arena, struct err *err)
{
	if (condition->n_values == 0) {
		err_set(err, EINVAL, "a condition has no values");
		return -1;
	}
	out->field = condition->field;
	out->header_name = text_of(arena_strdup(arena, condition->header_name));
	out->matchers = arena_zalloc_packed(arena, condition->n_values * sizeof(*out->matchers));
	if (!out->matchers) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < condition->n_values; i++) {
		const struct condition_value *value = &condition->values[i];
		struct matcher *matcher = &out->matchers[out->n_matchers++];
		int result =
		    condition->is_regex
			? compile_regex(matcher, condition->field, value->value, arena, err)
			: compile_value(matcher, condition->field, value, arena, err);

		if (result < 0)
			return -1;
	}
	return 0;
}

void condition_fini(struct compiled_condition *condition)
{
	for (size_t i = 0; i < condition->n_matchers; i++)
		regex_free(condition->matchers[i].regex);
	condition->n_matchers = 0;
}

/* ---- evaluation ---- */

static bool value_matches(const struct matcher *matcher, struct text text)
{
	if (matcher->regex)
		return regex_search(matcher->regex, text, NULL, 0) == REGEX_MATCH;
	return pattern_match(&matcher->value, text);
}

static bool any_value(const struct compiled_condition *condition, struct text text)
{
	for (size_t i = 0; i < condition->n_matchers; i++)
		if (value_matches(&condition->matchers[i], text))
			return true;
	return false;
}

/* Repeated fields are tried one after another, never joined. */
static bool header_holds(const struct compiled_condition *condition,
			 const struct rule_request *request)
{
	for (size_t i = 0; i < request->n_headers; i++) {
		const struct header *header = &request->headers[i];

		if (text_equal_nocase(header->name, condition->header_name) &&
		    any_value(condition, header->value))
			return true;
	}
	return false;
}

static bool matches_either(const struct pattern *pattern, struct text raw)
{
	char buffer[PERCENT_DECODE_MAX];
	struct text decoded;

	if (pattern_match(pattern, raw))
		return true;
	decoded = percent_decode(raw, buffer);
	return decoded.at != raw.at && pattern_match(pattern, decoded);
}

static bool pair_holds(const struct compiled_condition *condition, const struct query_pair *pair)
{
	for (size_t i = 0; i < condition->n_matchers; i++) {
		const struct matcher *matcher = &condition->matchers[i];

		if (matcher->has_key && !matches_either(&matcher->key, pair->key))
			continue;
		if (matches_either(&matcher->value, pair->value))
			return true;
	}
	return false;
}

static bool query_holds(const struct compiled_condition *condition, struct text query)
{
	struct query_pair pair;

	while (query_next(&query, &pair))
		if (pair_holds(condition, &pair))
			return true;
	return false;
}

const uint8_t *client_bytes(const struct sockaddr *addr, int *family)
{
	const struct in6_addr *v6;

	*family = addr ? addr->sa_family : AF_UNSPEC;
	if (*family == AF_INET)
		return (const uint8_t *)&((const struct sockaddr_in *)(const void *)addr)->sin_addr;
	if (*family != AF_INET6)
		return NULL;
	v6 = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
	if (!IN6_IS_ADDR_V4MAPPED(v6))
		return v6->s6_addr;
	*family = AF_INET;
	return v6->s6_addr + 12;
}

static bool in_network(const struct network *network, const uint8_t *bytes)
{
	unsigned whole = network->bits / 8, rest = network->bits % 8;

	if (memcmp(bytes, network->bytes, whole) != 0)
		return false;
	return rest == 0 || ((bytes[whole] ^ network->bytes[whole]) >> (8 - rest)) == 0;
}

static bool source_holds(const struct compiled_condition *condition, const struct sockaddr *addr)
{
	int family;
	const uint8_t *bytes = client_bytes(addr, &family);

	for (size_t i = 0; bytes && i < condition->n_matchers; i++) {
		const struct network *network = &condition->matchers[i].network;

		if (network->family == family && in_network(network, bytes))
			return true;
	}
	return false;
}

bool condition_holds(const struct compiled_condition *condition, const struct rule_request *request)
{
	switch (condition->field) {
	case CONDITION_HOST_HEADER:
		return any_value(condition, request->host);
	case CONDITION_PATH_PATTERN:
		return any_value(condition, request->path);
	case CONDITION_HTTP_HEADER:
		return header_holds(condition, request);
	case CONDITION_REQUEST_METHOD:
		return any_value(condition, request->method);
	case CONDITION_QUERY_STRING:
		return query_holds(condition, request->query);
	case CONDITION_SOURCE_IP:
		return source_holds(condition, request->client);
	}
	return false;
}

bool rule_holds(const struct rule *rule, const struct rule_request *request)
{
	for (size_t i = 0; i < rule->n_conditions; i++)
		if (!condition_holds(&rule->conditions[i], request))
			return false;
	return true;
}
