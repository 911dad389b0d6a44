/* Rules: see rules.h.  Linear over precompiled conditions, in order of priority. */
#include "lb/routing/rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lb/routing/pattern.h"

enum { QUERY_DECODE_MAX = 512 };

struct network {
	int family;
	uint8_t bytes[16];
	unsigned bits;
};

struct matcher {
	bool has_key;
	struct pattern key; /* query-string */
	struct pattern value;
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
	struct action action;
};

struct rules {
	struct action default_action;
	size_t n_rules, cap;
	struct rule *rules;
};

struct rules *rules_new(const struct action *default_action, struct arena *arena)
{
	struct rules *rules = arena_zalloc(arena, sizeof(*rules));

	if (rules)
		rules->default_action = *default_action;
	return rules;
}

static const unsigned flags_of[] = {
    [CONDITION_HOST_HEADER] = PATTERN_NOCASE,
    [CONDITION_PATH_PATTERN] = 0,
    [CONDITION_HTTP_HEADER] = PATTERN_NOCASE,
    [CONDITION_REQUEST_METHOD] = 0,
    [CONDITION_QUERY_STRING] = PATTERN_NOCASE | PATTERN_ESCAPES,
    [CONDITION_SOURCE_IP] = 0,
};

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
	return 0;
fail:
	err_set(err, EINVAL, "source-ip: \"%s\" is not a CIDR block", text);
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

static int compile_condition(struct compiled_condition *out, const struct condition *condition,
			     struct arena *arena, struct err *err)
{
	if (condition->n_values == 0) {
		err_set(err, EINVAL, "a condition has no values");
		return -1;
	}
	out->field = condition->field;
	out->header_name = text_of(arena_strdup(arena, condition->header_name));
	out->n_matchers = condition->n_values;
	out->matchers = arena_zalloc(arena, condition->n_values * sizeof(*out->matchers));
	if (!out->matchers) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < condition->n_values; i++)
		if (compile_value(&out->matchers[i], condition->field, &condition->values[i], arena,
				  err) < 0)
			return -1;
	return 0;
}

static struct rule *append(struct rules *rules, struct arena *arena)
{
	if (rules->n_rules == rules->cap) {
		size_t cap = rules->cap ? rules->cap * 2 : 8;
		struct rule *more = arena_zalloc(arena, cap * sizeof(*more));

		if (!more)
			return NULL;
		if (rules->n_rules > 0)
			memcpy(more, rules->rules, rules->n_rules * sizeof(*more));
		rules->rules = more;
		rules->cap = cap;
	}
	return &rules->rules[rules->n_rules];
}

int rules_add(struct rules *rules, const struct rule_config *config, struct arena *arena,
	      struct err *err)
{
	struct rule *rule = append(rules, arena);

	if (!rule)
		goto oom;
	rule->priority = config->priority;
	rule->action = config->action;
	rule->n_conditions = config->n_conditions;
	rule->conditions = arena_zalloc(arena, config->n_conditions * sizeof(*rule->conditions));
	if (!rule->conditions)
		goto oom;
	for (size_t i = 0; i < config->n_conditions; i++)
		if (compile_condition(&rule->conditions[i], &config->conditions[i], arena, err) < 0)
			return -1;
	rules->n_rules++;
	return 0;
oom:
	err_set(err, ENOMEM, "out of memory");
	return -1;
}

static int by_priority(const void *a, const void *b)
{
	unsigned x = ((const struct rule *)a)->priority, y = ((const struct rule *)b)->priority;

	return (x > y) - (x < y);
}

int rules_finish(struct rules *rules, struct err *err)
{
	if (rules->n_rules > 1)
		qsort(rules->rules, rules->n_rules, sizeof(*rules->rules), by_priority);
	for (size_t i = 1; i < rules->n_rules; i++) {
		if (rules->rules[i].priority != rules->rules[i - 1].priority)
			continue;
		err_set(err, EEXIST, "priority %u is used by two rules", rules->rules[i].priority);
		return -1;
	}
	return 0;
}

static bool any_value(const struct compiled_condition *condition, struct text text)
{
	for (size_t i = 0; i < condition->n_matchers; i++)
		if (pattern_match(&condition->matchers[i].value, text))
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

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte that "%xx" at text[i] stands for; -1 if it is no such thing. */
static int percent_byte(struct text text, size_t i)
{
	if (text.at[i] != '%' || i + 2 >= text.len)
		return -1;
	int high = hex_digit(text.at[i + 1]), low = hex_digit(text.at[i + 2]);

	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static struct text percent_decode(struct text text, char *buffer)
{
	size_t len = 0;

	if (text.len > QUERY_DECODE_MAX || text.len == 0 || !memchr(text.at, '%', text.len))
		return text;
	for (size_t i = 0; i < text.len; i++) {
		int byte = percent_byte(text, i);

		buffer[len++] = byte < 0 ? text.at[i] : (char)byte;
		if (byte >= 0)
			i += 2;
	}
	return (struct text){buffer, len};
}

static bool matches_either(const struct pattern *pattern, struct text raw)
{
	char buffer[QUERY_DECODE_MAX];
	struct text decoded;

	if (pattern_match(pattern, raw))
		return true;
	decoded = percent_decode(raw, buffer);
	return decoded.at != raw.at && pattern_match(pattern, decoded);
}

static bool pair_holds(const struct compiled_condition *condition, struct text key,
		       struct text value)
{
	for (size_t i = 0; i < condition->n_matchers; i++) {
		const struct matcher *matcher = &condition->matchers[i];

		if (matcher->has_key && !matches_either(&matcher->key, key))
			continue;
		if (matches_either(&matcher->value, value))
			return true;
	}
	return false;
}

static bool query_holds(const struct compiled_condition *condition, struct text query)
{
	while (query.len > 0) {
		const char *amp = memchr(query.at, '&', query.len);
		size_t len = amp ? (size_t)(amp - query.at) : query.len;
		const char *equals = len > 0 ? memchr(query.at, '=', len) : NULL;
		struct text key = {query.at, equals ? (size_t)(equals - query.at) : len};
		struct text value = {query.at + len, 0};

		if (equals)
			value = (struct text){equals + 1, len - key.len - 1};
		if (pair_holds(condition, key, value))
			return true;
		if (!amp)
			return false;
		query = (struct text){amp + 1, query.len - len - 1};
	}
	return false;
}

static bool in_network(const struct network *network, const struct sockaddr *addr)
{
	const uint8_t *bytes;
	unsigned whole = network->bits / 8, rest = network->bits % 8;

	if (!addr || addr->sa_family != network->family)
		return false;
	if (addr->sa_family == AF_INET)
		bytes =
		    (const uint8_t *)&((const struct sockaddr_in *)(const void *)addr)->sin_addr;
	else
		bytes =
		    (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
	if (memcmp(bytes, network->bytes, whole) != 0)
		return false;
	return rest == 0 || ((bytes[whole] ^ network->bytes[whole]) >> (8 - rest)) == 0;
}

static bool source_holds(const struct compiled_condition *condition, const struct sockaddr *addr)
{
	for (size_t i = 0; i < condition->n_matchers; i++)
		if (in_network(&condition->matchers[i].network, addr))
			return true;
	return false;
}

static bool condition_holds(const struct compiled_condition *condition,
			    const struct rule_request *request)
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

static bool rule_holds(const struct rule *rule, const struct rule_request *request)
{
	for (size_t i = 0; i < rule->n_conditions; i++)
		if (!condition_holds(&rule->conditions[i], request))
			return false;
	return true;
}

void rules_match(const struct rules *rules, const struct rule_request *request,
		 struct rule_match *match)
{
	for (size_t i = 0; i < rules->n_rules; i++) {
		const struct rule *rule = &rules->rules[i];

		if (!rule_holds(rule, request))
			continue;
		*match = (struct rule_match){&rule->action, rule->priority, (unsigned)i + 1};
		return;
	}
	*match = (struct rule_match){&rules->default_action, 0, (unsigned)rules->n_rules};
}

static bool is_unreserved(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

/* Is the segment that ends at out[len] "." or ".."?  Returns its number of dots, else 0. */
static size_t dots_at_end(const char *out, size_t len)
{
	if (len >= 2 && out[len - 1] == '.' && out[len - 2] == '/')
		return 1;
	if (len >= 3 && out[len - 1] == '.' && out[len - 2] == '.' && out[len - 3] == '/')
		return 2;
	return 0;
}

/* RFC 3986 5.2.4, on the output: drops "/." and "/.." with the segment before it; keeps the slash
 * that follows. */
static size_t drop_dots(const char *out, size_t len, size_t dots)
{
	len -= dots + 1;
	if (dots == 2)
		while (len > 0 && out[--len] != '/')
			;
	return len;
}

struct text path_normalise(struct text path, char *buffer, size_t size)
{
	size_t len = 0, dots;

	if (!memchr(path.at, '%', path.len) && !memmem(path.at, path.len, "/.", 2))
		return path;
	if (path.len + 1 > size)
		return path;
	for (size_t i = 0; i < path.len; i++) {
		int byte = percent_byte(path, i);
		char c = path.at[i];

		if (byte >= 0 && is_unreserved(byte)) {
			c = (char)byte;
			i += 2;
		}
		dots = c == '/' ? dots_at_end(buffer, len) : 0;
		if (dots > 0)
			len = drop_dots(buffer, len, dots);
		buffer[len++] = c;
	}
	dots = dots_at_end(buffer, len);
	if (dots > 0) {
		len = drop_dots(buffer, len, dots);
		buffer[len++] = '/';
	}
	return (struct text){buffer, len};
}
