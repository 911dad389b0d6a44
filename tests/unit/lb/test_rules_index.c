/*
 * The compiled form of rules against a plain evaluator that knows nothing of it: random
 * rules, random requests, the same answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "lb/routing/rules.h"

enum { RULES_MAX = 400, CONDITIONS = 4, VALUES = 3, TEXT_MAX = 64 };

static uint64_t seed;

static unsigned random_below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 32) % n;
}

static bool once_in(unsigned n)
{
	return random_below(n) == 0;
}

/* ---- what is compared: rules as data, kept apart from the code under test ---- */

struct plain_value {
	char key[TEXT_MAX], value[TEXT_MAX];
	bool has_key;
};

struct plain_condition {
	enum condition_field field;
	bool is_regex;
	char header_name[16];
	unsigned n_values;
	struct plain_value values[VALUES];
};

struct plain_rule {
	unsigned priority, n_conditions;
	struct plain_condition conditions[CONDITIONS];
};

struct plain_request {
	char host[TEXT_MAX], path[TEXT_MAX], query[TEXT_MAX * 2], method[8];
	char header_values[3][TEXT_MAX];
	struct header headers[3];
	struct sockaddr_in client;
};

static char lower(char c, bool is_nocase)
{
	return is_nocase && c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool plain_glob(const char *p, const char *t, bool is_nocase, bool has_escapes)
{
	if (*p == '\0')
		return *t == '\0';
	if (*p == '*')
		return plain_glob(p + 1, t, is_nocase, has_escapes) ||
		       (*t && plain_glob(p, t + 1, is_nocase, has_escapes));
	if (*t == '\0')
		return false;
	if (*p == '?')
		return plain_glob(p + 1, t + 1, is_nocase, has_escapes);
	if (*p == '\\' && has_escapes && p[1])
		p++;
	return lower(*p, is_nocase) == lower(*t, is_nocase) &&
	       plain_glob(p + 1, t + 1, is_nocase, has_escapes);
}

/* The only shapes of expression that the generator makes: "^text", "^text$", "text". */
static bool plain_regex(const char *regex, const char *text, bool is_nocase)
{
	char wanted[TEXT_MAX];
	bool is_start = regex[0] == '^';
	size_t len;

	snprintf(wanted, sizeof(wanted), "%s", regex + is_start);
	len = strlen(wanted);
	bool is_end = len > 0 && wanted[len - 1] == '$';
	if (is_end)
		wanted[--len] = '\0';
	for (const char *at = text;; at++) {
		bool is_here =
		    is_nocase ? strncasecmp(at, wanted, len) == 0 : strncmp(at, wanted, len) == 0;

		if (is_here && (!is_end || at[len] == '\0'))
			return true;
		if (is_start || *at == '\0')
			return false;
	}
}

static void decode(const char *text, char *out)
{
	unsigned byte;

	while (*text) {
		if (text[0] == '%' && sscanf(text + 1, "%2x", &byte) == 1) {
			*out++ = (char)byte;
			text += 3;
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
}

static bool plain_either(const char *pattern, const char *text)
{
	char decoded[TEXT_MAX * 2];

	decode(text, decoded);
	return plain_glob(pattern, text, true, true) || plain_glob(pattern, decoded, true, true);
}

static bool plain_query(const struct plain_value *value, const char *query)
{
	char copy[TEXT_MAX * 2], *rest = copy, *pair;

	snprintf(copy, sizeof(copy), "%s", query);
	while ((pair = strsep(&rest, "&"))) {
		char *equals = strchr(pair, '=');

		if (!rest && *pair == '\0')
			return false; /* nothing follows a last '&' */
		if (equals)
			*equals = '\0';
		if ((!value->has_key || plain_either(value->key, pair)) &&
		    plain_either(value->value, equals ? equals + 1 : ""))
			return true;
	}
	return false;
}

static bool plain_network(const char *cidr, const struct sockaddr_in *client)
{
	char copy[TEXT_MAX];
	struct in_addr network;

	snprintf(copy, sizeof(copy), "%s", cidr);
	char *slash = strchr(copy, '/');
	int bits = atoi(slash + 1);
	*slash = '\0';
	inet_pton(AF_INET, copy, &network);
	uint32_t mask = bits == 0 ? 0 : ~0u << (32 - bits);
	return ((ntohl(network.s_addr) ^ ntohl(client->sin_addr.s_addr)) & mask) == 0;
}

static bool plain_text(const struct plain_condition *condition, const struct plain_value *value,
		       const char *text, bool is_nocase)
{
	return condition->is_regex ? plain_regex(value->value, text, is_nocase)
				   : plain_glob(value->value, text, is_nocase, false);
}

static bool plain_value_holds(const struct plain_condition *condition,
			      const struct plain_value *value, const struct plain_request *request)
{
	switch (condition->field) {
	case CONDITION_HOST_HEADER:
		return plain_text(condition, value, request->host, true);
	case CONDITION_PATH_PATTERN:
		return plain_text(condition, value, request->path, false);
	case CONDITION_HTTP_HEADER:
		for (int i = 0; i < 3; i++)
			if (strncasecmp(request->headers[i].name.at, condition->header_name,
					strlen(condition->header_name)) == 0 &&
			    plain_text(condition, value, request->header_values[i], true))
				return true;
		return false;
	case CONDITION_REQUEST_METHOD:
		return strcmp(value->value, request->method) == 0;
	case CONDITION_QUERY_STRING:
		return plain_query(value, request->query);
	case CONDITION_SOURCE_IP:
		return plain_network(value->value, &request->client);
	}
	return false;
}

static bool plain_rule_holds(const struct plain_rule *rule, const struct plain_request *request)
{
	for (unsigned c = 0; c < rule->n_conditions; c++) {
		const struct plain_condition *condition = &rule->conditions[c];
		bool holds = false;

		for (unsigned v = 0; v < condition->n_values; v++)
			holds |= plain_value_holds(condition, &condition->values[v], request);
		if (!holds)
			return false;
	}
	return true;
}

/* 0 = the default. */
static unsigned plain_match(const struct plain_rule *rules, unsigned n,
			    const struct plain_request *request)
{
	unsigned best = 0;

	for (unsigned i = 0; i < n; i++)
		if (plain_rule_holds(&rules[i], request) && (best == 0 || rules[i].priority < best))
			best = rules[i].priority;
	return best;
}

/* ---- random rules and requests, from few words so that they meet ---- */

static const char *const hosts[] = {"a.example.com", "B.example.com", "api.a.example.com",
				    "example.org",   "x.y",           ""};
static const char *const segments[] = {"a", "b", "img", "Api", "v1", "x.jpg", ""};
static const char *const words[] = {"one", "Two", "a b", "t%65n", "x", "a%20b", ""};
static const char *const methods[] = {"GET", "PUT", "get", "POST"};
static const char *const names[] = {"X-Team", "x-user", "Accept"};
#define ONE_OF(list) ((list)[random_below(sizeof(list) / sizeof((list)[0]))])

static void random_path(char *out)
{
	int len = 0;

	for (unsigned n = 1 + random_below(3); n > 0; n--)
		len += snprintf(out + len, (size_t)(TEXT_MAX - len), "/%s", ONE_OF(segments));
}

/* Some characters become wildcards. */
static void sprinkle(char *text)
{
	size_t len = strlen(text), from, n;

	if (len == 0 || once_in(3))
		return;
	from = random_below((unsigned)len);
	if (once_in(3)) {
		text[from] = '?';
		return;
	}
	n = random_below((unsigned)(len - from)) + 1;
	text[from] = '*';
	memmove(text + from + 1, text + from + n, len - from - n + 1);
	if (once_in(4))
		sprinkle(text);
}

static void to_regex(char *text)
{
	char copy[TEXT_MAX];

	snprintf(copy, sizeof(copy), "%.50s", text);
	snprintf(text, TEXT_MAX, "%s%.50s%s", once_in(3) ? "" : "^", copy, once_in(2) ? "$" : "");
}

static void random_cidr(char *out)
{
	snprintf(out, TEXT_MAX, "10.%u.%u.%u/%u", random_below(2), random_below(2), random_below(2),
		 random_below(33));
}

static void random_value(const struct plain_condition *condition, struct plain_value *value)
{
	*value = (struct plain_value){.has_key = !once_in(3)};
	switch (condition->field) {
	case CONDITION_HOST_HEADER:
		snprintf(value->value, TEXT_MAX, "%s", ONE_OF(hosts));
		break;
	case CONDITION_PATH_PATTERN:
		random_path(value->value);
		break;
	case CONDITION_HTTP_HEADER:
		snprintf(value->value, TEXT_MAX, "%s", ONE_OF(words));
		break;
	case CONDITION_REQUEST_METHOD:
		snprintf(value->value, TEXT_MAX, "%s", ONE_OF(methods));
		return;
	case CONDITION_QUERY_STRING:
		snprintf(value->key, TEXT_MAX, "%s", ONE_OF(words));
		snprintf(value->value, TEXT_MAX, "%s", ONE_OF(words));
		sprinkle(value->key);
		break;
	case CONDITION_SOURCE_IP:
		random_cidr(value->value);
		return;
	}
	if (!condition->is_regex)
		sprinkle(value->value);
	else if (strpbrk(value->value, ".%"))
		snprintf(value->value, TEXT_MAX, "^a");
	else
		to_regex(value->value);
}

static void random_rule(struct plain_rule *rule)
{
	rule->n_conditions = 1 + random_below(CONDITIONS);
	for (unsigned c = 0; c < rule->n_conditions; c++) {
		struct plain_condition *condition = &rule->conditions[c];

		condition->field = random_below(CONDITION_SOURCE_IP + 1);
		condition->is_regex = condition->field <= CONDITION_HTTP_HEADER && once_in(5);
		snprintf(condition->header_name, sizeof(condition->header_name), "%s",
			 ONE_OF(names));
		condition->n_values = 1 + random_below(VALUES);
		for (unsigned v = 0; v < condition->n_values; v++)
			random_value(condition, &condition->values[v]);
	}
}

static void random_request(struct plain_request *request)
{
	char *query = request->query;
	int len = 0;

	snprintf(request->host, TEXT_MAX, "%s", ONE_OF(hosts));
	random_path(request->path);
	*query = '\0';
	for (unsigned n = random_below(4); n > 0; n--)
		len += snprintf(query + len, sizeof(request->query) - (size_t)len, "%s%s%s%s",
				len > 0 ? "&" : "", ONE_OF(words), once_in(4) ? "" : "=",
				ONE_OF(words));
	snprintf(request->method, sizeof(request->method), "%s", ONE_OF(methods));
	for (int i = 0; i < 3; i++) {
		snprintf(request->header_values[i], TEXT_MAX, "%s", ONE_OF(words));
		request->headers[i] =
		    (struct header){text_of(ONE_OF(names)), text_of(request->header_values[i])};
	}
	request->client = (struct sockaddr_in){.sin_family = AF_INET};
	request->client.sin_addr.s_addr =
	    htonl(0x0a000000u | random_below(2) << 16 | random_below(2) << 8 | random_below(2));
}

/* ---- the comparison ---- */

static void add_to(struct rules *rules, const struct plain_rule *plain)
{
	struct condition_value values[CONDITIONS][VALUES];
	struct condition conditions[CONDITIONS];
	struct rule_config config = {.priority = plain->priority,
				     .n_conditions = plain->n_conditions,
				     .conditions = conditions};
	struct err err = {0};

	for (unsigned c = 0; c < plain->n_conditions; c++) {
		const struct plain_condition *from = &plain->conditions[c];

		for (unsigned v = 0; v < from->n_values; v++)
			values[c][v] = (struct condition_value){
			    from->values[v].has_key ? from->values[v].key : NULL,
			    from->values[v].value};
		conditions[c] = (struct condition){.field = from->field,
						   .header_name = from->header_name,
						   .n_values = from->n_values,
						   .values = values[c],
						   .is_regex = from->is_regex};
	}
	if (rules_add(rules, &config, &err) < 0)
		fail_msg("%s", err.text);
}

static void report(uint64_t from_seed, const struct plain_request *request, unsigned expected,
		   unsigned got)
{
	fail_msg("seed %llu: %s %s%s?%s gave rule %u, not %u", (unsigned long long)from_seed,
		 request->method, request->host, request->path, request->query, got, expected);
}

static void compare(uint64_t from_seed, unsigned n_rules, unsigned n_requests)
{
	static struct plain_rule plain[RULES_MAX];
	struct action action = {.kind = ACTION_FIXED_RESPONSE};
	struct arena arena = {0};
	struct rules *rules = rules_new(&action, &arena);

	seed = from_seed;
	for (unsigned i = 0; i < n_rules; i++) {
		random_rule(&plain[i]);
		plain[i].priority = (i * 7919) % 50000 + 1;
		add_to(rules, &plain[i]);
	}
	assert_int_equal(rules_finish(rules, &arena, NULL), 0);
	for (unsigned i = 0; i < n_requests; i++) {
		struct plain_request drawn;
		struct rule_match match;

		random_request(&drawn);
		struct rule_request request = {.host = text_of(drawn.host),
					       .path = text_of(drawn.path),
					       .query = text_of(drawn.query),
					       .method = text_of(drawn.method),
					       .client = (struct sockaddr *)&drawn.client,
					       .headers = drawn.headers,
					       .n_headers = 3};
		unsigned expected = plain_match(plain, n_rules, &drawn);

		rules_match(rules, &request, &match);
		if (match.priority != expected)
			report(from_seed, &drawn, expected, match.priority);
	}
	rules_fini(rules);
	arena_fini(&arena);
}

static void compiled_rules_agree_with_a_plain_evaluator(void **state)
{
	(void)state;
	for (uint64_t s = 1; s <= 300; s++)
		compare(s * 0x9e3779b97f4a7c15ull, 1 + (unsigned)s % 30, 100);
	for (uint64_t s = 1; s <= 20; s++)
		compare(s * 0xd1b54a32d192ed03ull, RULES_MAX, 100);
}

/* ---- many rules ---- */

static struct rules *many(unsigned n, const char *host, const char *path, struct arena *arena)
{
	struct action action = {.kind = ACTION_FIXED_RESPONSE};
	struct rules *rules = rules_new(&action, arena);

	for (unsigned i = 1; i <= n; i++) {
		char texts[2][TEXT_MAX];
		struct condition_value values[2] = {{NULL, texts[0]}, {NULL, texts[1]}};
		struct condition conditions[2] = {
		    {.field = CONDITION_HOST_HEADER, .n_values = 1, .values = &values[0]},
		    {.field = CONDITION_PATH_PATTERN, .n_values = 1, .values = &values[1]}};
		struct rule_config config = {
		    .priority = i, .n_conditions = 2, .conditions = conditions};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(texts[0], TEXT_MAX, host, i % 100);
		snprintf(texts[1], TEXT_MAX, path, i / 100);
#pragma GCC diagnostic pop
		assert_int_equal(rules_add(rules, &config, NULL), 0);
	}
	assert_int_equal(rules_finish(rules, arena, NULL), 0);
	return rules;
}

static void hosts_and_paths_that_many_rules_share_still_lead_to_one(void **state)
{
	struct arena arena = {0};
	struct rules *rules = many(10000, "h%u.example.com", "/p%u/*", &arena);
	struct rule_match match;

	(void)state;
	rules_match(rules,
		    &(struct rule_request){.host = TEXT("H34.example.COM"), .path = TEXT("/p12/x")},
		    &match);
	assert_int_equal(match.priority, 1234);
	assert_int_equal(match.evaluated, 1234);
	rules_match(rules,
		    &(struct rule_request){.host = TEXT("h34.example.com"), .path = TEXT("/p12")},
		    &match);
	assert_int_equal(match.priority, 0);
	assert_int_equal(match.evaluated, 10000);
	rules_fini(rules);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(compiled_rules_agree_with_a_plain_evaluator),
	    cmocka_unit_test(hosts_and_paths_that_many_rules_share_still_lead_to_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
