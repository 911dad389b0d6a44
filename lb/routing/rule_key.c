/* See rule_key.h. */
#include "lb/routing/rule_key.h"
#include "common/base/check.h"

#include "lb/routing/rule_percent.h"

/* FNV-1a: cheap a byte at a time, so the hash of each beginning of a text comes on the way. */
#define HASH_START 0xcbf29ce484222325ull
#define HASH_STEP 0x100000001b3ull

static uint64_t step(uint64_t hash, char c)
{
	return (hash ^ (uint8_t)c) * HASH_STEP;
}

static char folded(char c, bool is_nocase)
{
	return is_nocase && c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

static uint64_t start_of(enum key_kind kind)
{
	return step(HASH_START, (char)kind);
}

static uint64_t hash_forward(uint64_t hash, struct text text, bool is_nocase)
{
	for (size_t i = 0; i < text.len; i++)
		hash = step(hash, folded(text.at[i], is_nocase));
	return hash;
}

static uint64_t hash_backward(uint64_t hash, struct text text, bool is_nocase)
{
	for (size_t i = text.len; i > 0; i--)
		hash = step(hash, folded(text.at[i - 1], is_nocase));
	return hash;
}

static bool has_length(const struct key_census *census, enum key_kind kind, size_t len)
{
	return census->lengths[kind][len / 64] >> (len % 64) & 1;
}

/* Three kinds stand in a row for each text: exact, prefix, suffix. */
enum { EXACT, PREFIX, SUFFIX };

/* A text's field, what its hashes begin with, and whether case counts. */
struct text_field {
	enum key_kind base;
	uint64_t salt; /* a header's name */
	bool is_nocase;
};

static uint64_t text_start(const struct text_field *field, int which)
{
	return start_of(field->base + which) ^ field->salt;
}

static uint64_t name_hash(struct text name)
{
	return hash_forward(HASH_START, name, true);
}

/* ---- of conditions ---- */

/* The bytes before the first wildcard, or after the last. */
static struct text fixed_part(const struct pattern *pattern, bool is_suffix)
{
	struct text text = pattern->text;
	size_t len = 0;

	while (len < text.len) {
		char c = text.at[is_suffix ? text.len - 1 - len : len];

		if (c == PATTERN_STAR || c == PATTERN_QUESTION)
			break;
		len++;
	}
	return (struct text){is_suffix ? text.at + text.len - len : text.at, len};
}

static bool text_key(struct rule_key *key, const struct text_field *field, int which,
		     struct text text)
{
	size_t len = text.len > KEY_LEN_MAX ? KEY_LEN_MAX : text.len;

	if (which != EXACT && len == 0)
		return false;
	key->kind = field->base + which;
	key->len = (unsigned)len;
	if (which == SUFFIX)
		key->hash =
		    hash_backward(text_start(field, which),
				  (struct text){text.at + text.len - len, len}, field->is_nocase);
	else
		key->hash = hash_forward(text_start(field, which), (struct text){text.at, len},
					 field->is_nocase);
	return true;
}

/* Of a pattern that is wild at both ends, its longest fixed part tells, or the end of that. */
enum { GRAM_MIN = 3, GRAM_MAX = 8 };

static struct text longest_fixed_part(const struct pattern *pattern)
{
	struct text text = pattern->text, best = {0};
	size_t start = 0;

	for (size_t i = 0; i <= text.len; i++) {
		if (i < text.len && text.at[i] != PATTERN_STAR && text.at[i] != PATTERN_QUESTION)
			continue;
		if (i - start > best.len)
			best = (struct text){text.at + start, i - start};
		start = i + 1;
	}
	return best;
}

/* len <= 8 bytes as a number: the index mixes it. */
static uint64_t gram_hash(enum key_kind kind, const char *at, size_t len, bool is_nocase)
{
	char bytes[GRAM_MAX] = {0};
	uint64_t number;

	for (size_t i = 0; i < len; i++)
		bytes[i] = folded(at[i], is_nocase);
	memcpy(&number, bytes, sizeof(number));
	return step(start_of(kind), (char)len) + number;
}

static bool gram_key(struct rule_key *key, enum key_kind kind, struct text fixed, bool is_nocase)
{
	size_t len = fixed.len > GRAM_MAX ? GRAM_MAX : fixed.len;

	key->kind = kind;
	key->len = (unsigned)len;
	key->hash = gram_hash(kind, fixed.at + fixed.len - len, len, is_nocase);
	return true;
}

static bool glob_key(struct rule_key *key, const struct text_field *field,
		     const struct pattern *pattern)
{
	struct text prefix = fixed_part(pattern, false), suffix = fixed_part(pattern, true);
	struct text inner = longest_fixed_part(pattern);
	bool is_suffix = suffix.len > prefix.len;

	if (inner.len >= GRAM_MIN && prefix.len < GRAM_MIN && suffix.len < GRAM_MIN) {
		if (field->base == KEY_HOST_EXACT)
			return gram_key(key, KEY_HOST_GRAM, inner, true);
		if (field->base == KEY_PATH_EXACT)
			return gram_key(key, KEY_PATH_GRAM, inner, false);
	}
	return text_key(key, field, is_suffix ? SUFFIX : PREFIX, is_suffix ? suffix : prefix);
}

static bool regex_key(struct rule_key *key, const struct text_field *field, const char *source)
{
	char prefix[KEY_LEN_MAX];
	size_t len = regex_literal_prefix(source, prefix, sizeof(prefix));

	return text_key(key, field, PREFIX, (struct text){prefix, len});
}

static bool pattern_key(struct rule_key *key, const struct text_field *field,
			const struct matcher *matcher)
{
	const struct pattern *pattern = &matcher->value;

	if (matcher->regex)
		return regex_key(key, field, matcher->source);
	switch (pattern->kind) {
	case PATTERN_EXACT:
		return text_key(key, field, pattern->text.len > KEY_LEN_MAX ? PREFIX : EXACT,
				pattern->text);
	case PATTERN_PREFIX:
		return text_key(key, field, PREFIX, pattern->text);
	case PATTERN_SUFFIX:
		return text_key(key, field, SUFFIX, pattern->text);
	case PATTERN_ANY:
		return false;
	case PATTERN_GLOB:
		break;
	}
	return glob_key(key, field, pattern);
}

static uint64_t pair_hash(enum key_kind kind, struct text name, struct text value)
{
	uint64_t hash = start_of(kind);

	if (kind != KEY_QUERY_VALUE)
		hash = step(hash_forward(hash, name, true), '=');
	return kind == KEY_QUERY_KEY ? hash : hash_forward(hash, value, true);
}

static bool query_key(struct rule_key *key, const struct matcher *matcher)
{
	bool has_key = matcher->has_key && matcher->key.kind == PATTERN_EXACT;
	bool has_value = matcher->value.kind == PATTERN_EXACT;

	if (!has_key && !has_value)
		return false;
	key->kind = has_key && has_value ? KEY_QUERY_PAIR
		    : has_key            ? KEY_QUERY_KEY
					 : KEY_QUERY_VALUE;
	key->hash = pair_hash(key->kind, matcher->key.text, matcher->value.text);
	return true;
}

static uint64_t network_hash(enum key_kind kind, unsigned bits, const uint8_t *bytes)
{
	size_t size = kind == KEY_SOURCE_V4 ? 4 : 16;

	return hash_forward(step(start_of(kind), (char)bits),
			    (struct text){(const char *)bytes, size}, false);
}

static bool source_key(struct rule_key *key, const struct network *network)
{
	key->kind = network->family == AF_INET ? KEY_SOURCE_V4 : KEY_SOURCE_V6;
	key->len = network->bits;
	key->hash = network_hash(key->kind, network->bits, network->bytes);
	return true;
}

bool rule_key_of(const struct compiled_condition *condition, const struct matcher *matcher,
		 struct rule_key *key)
{
	*key = (struct rule_key){0};
	switch (condition->field) {
	case CONDITION_HOST_HEADER:
		return pattern_key(key, &(struct text_field){KEY_HOST_EXACT, 0, true}, matcher);
	case CONDITION_PATH_PATTERN:
		return pattern_key(key, &(struct text_field){KEY_PATH_EXACT, 0, false}, matcher);
	case CONDITION_HTTP_HEADER:
		return pattern_key(
		    key,
		    &(struct text_field){KEY_HEADER_EXACT, name_hash(condition->header_name), true},
		    matcher);
	case CONDITION_REQUEST_METHOD:
		key->kind = KEY_METHOD;
		key->hash = hash_forward(start_of(KEY_METHOD), matcher->value.text, false);
		return true;
	case CONDITION_QUERY_STRING:
		return query_key(key, matcher);
	case CONDITION_SOURCE_IP:
		return source_key(key, &matcher->network);
	}
	return false;
}

void key_census_add(struct key_census *census, const struct compiled_condition *condition,
		    const struct rule_key *key)
{
	uint64_t name;

	census->kinds |= KEY_BIT(key->kind);
	census->lengths[key->kind][key->len / 64] |= 1ull << (key->len % 64);
	if (condition->field != CONDITION_HTTP_HEADER)
		return;
	name = name_hash(condition->header_name);
	census->header_names[name >> 8 & 3] |= 1ull << (name & 63);
}

/* ---- of requests ---- */

/* Where the keys of a text go: an array, or a function. */
struct sink {
	struct probe *probes;
	size_t n;
	probe_fn fn;
	void *arg;
};

static void emit(struct sink *sink, enum key_kind kind, uint64_t hash)
{
	CHECK(sink->fn != NULL || sink->probes != NULL);
	if (sink->fn)
		sink->fn(sink->arg, hash);
	else
		sink->probes[sink->n++] = (struct probe){KEY_BIT(kind), hash};
}

static void prefix_probes(const struct key_census *census, const struct text_field *field,
			  struct text text, struct sink *sink)
{
	enum key_kind kind = field->base + PREFIX;
	size_t len = text.len > KEY_LEN_MAX ? KEY_LEN_MAX : text.len;
	uint64_t hash = text_start(field, PREFIX);

	for (size_t i = 0; i < len; i++) {
		hash = step(hash, folded(text.at[i], field->is_nocase));
		if (has_length(census, kind, i + 1))
			emit(sink, kind, hash);
	}
}

static void suffix_probes(const struct key_census *census, const struct text_field *field,
			  struct text text, struct sink *sink)
{
	enum key_kind kind = field->base + SUFFIX;
	size_t len = text.len > KEY_LEN_MAX ? KEY_LEN_MAX : text.len;
	uint64_t hash = text_start(field, SUFFIX);

	for (size_t i = 0; i < len; i++) {
		hash = step(hash, folded(text.at[text.len - 1 - i], field->is_nocase));
		if (has_length(census, kind, i + 1))
			emit(sink, kind, hash);
	}
}

static void text_probes(const struct key_census *census, uint32_t kinds,
			const struct text_field *field, struct text text, struct sink *sink)
{
	if (kinds & KEY_BIT(field->base + EXACT) && text.len <= KEY_LEN_MAX &&
	    has_length(census, field->base + EXACT, text.len))
		emit(sink, field->base + EXACT,
		     hash_forward(text_start(field, EXACT), text, field->is_nocase));
	if (kinds & KEY_BIT(field->base + PREFIX))
		prefix_probes(census, field, text, sink);
	if (kinds & KEY_BIT(field->base + SUFFIX))
		suffix_probes(census, field, text, sink);
}

static void source_probes(const struct key_census *census, const struct sockaddr *client,
			  struct sink *sink)
{
	int family;
	const uint8_t *bytes = client_bytes(client, &family);
	enum key_kind kind = family == AF_INET ? KEY_SOURCE_V4 : KEY_SOURCE_V6;
	unsigned max = family == AF_INET ? 32 : 128;
	uint8_t masked[16];

	if (!bytes || !(census->kinds & KEY_BIT(kind)))
		return;
	for (unsigned bits = 0; bits <= max; bits++) {
		if (!has_length(census, kind, bits))
			continue;
		memcpy(masked, bytes, max / 8);
		mask_address(masked, max / 8, bits);
		emit(sink, kind, network_hash(kind, bits, masked));
	}
}

size_t request_probes(const struct key_census *census, const struct rule_request *request,
		      struct probe probes[PROBES_MAX])
{
	struct sink sink = {.probes = probes};

	text_probes(census, census->kinds, &(struct text_field){KEY_HOST_EXACT, 0, true},
		    request->host, &sink);
	text_probes(census, census->kinds, &(struct text_field){KEY_PATH_EXACT, 0, false},
		    request->path, &sink);
	if (census->kinds & KEY_BIT(KEY_METHOD))
		emit(&sink, KEY_METHOD, hash_forward(start_of(KEY_METHOD), request->method, false));
	source_probes(census, request->client, &sink);
	return sink.n;
}

void header_probes(const struct key_census *census, uint32_t kinds,
		   const struct rule_request *request, probe_fn fn, void *arg)
{
	struct sink sink = {.fn = fn, .arg = arg};

	for (size_t i = 0; i < request->n_headers; i++) {
		uint64_t name = name_hash(request->headers[i].name);

		if (census->header_names[name >> 8 & 3] >> (name & 63) & 1)
			text_probes(census, kinds,
				    &(struct text_field){KEY_HEADER_EXACT, name, true},
				    request->headers[i].value, &sink);
	}
}

/* As they came, and decoded where that is something else. */
static void pair_probes(uint32_t kinds, const struct query_pair *pair, probe_fn fn, void *arg)
{
	char buffers[2][PERCENT_DECODE_MAX];
	struct text keys[] = {pair->key, percent_decode(pair->key, buffers[0])};
	struct text values[] = {pair->value, percent_decode(pair->value, buffers[1])};
	int n_keys = keys[0].at == keys[1].at ? 1 : 2;
	int n_values = values[0].at == values[1].at ? 1 : 2;

	for (int k = 0; k < n_keys; k++) {
		if (kinds & KEY_BIT(KEY_QUERY_KEY))
			fn(arg, pair_hash(KEY_QUERY_KEY, keys[k], values[0]));
		for (int v = 0; v < n_values && kinds & KEY_BIT(KEY_QUERY_PAIR); v++)
			fn(arg, pair_hash(KEY_QUERY_PAIR, keys[k], values[v]));
	}
	for (int v = 0; v < n_values && kinds & KEY_BIT(KEY_QUERY_VALUE); v++)
		fn(arg, pair_hash(KEY_QUERY_VALUE, keys[0], values[v]));
}

void query_probes(uint32_t kinds, const struct rule_request *request, probe_fn fn, void *arg)
{
	struct text rest = request->query;
	struct query_pair pair;

	while (query_next(&rest, &pair))
		pair_probes(kinds, &pair, fn, arg);
}

static void grams_of(const struct key_census *census, enum key_kind kind, struct text text,
		     bool is_nocase, probe_fn fn, void *arg)
{
	for (size_t len = GRAM_MIN; len <= GRAM_MAX; len++) {
		if (!has_length(census, kind, len))
			continue;
		for (size_t i = 0; i + len <= text.len; i++)
			fn(arg, gram_hash(kind, text.at + i, len, is_nocase));
	}
}

void gram_probes(const struct key_census *census, uint32_t kinds,
		 const struct rule_request *request, probe_fn fn, void *arg)
{
	if (kinds & KEY_BIT(KEY_HOST_GRAM))
		grams_of(census, KEY_HOST_GRAM, request->host, true, fn, arg);
	if (kinds & KEY_BIT(KEY_PATH_GRAM))
		grams_of(census, KEY_PATH_GRAM, request->path, false, fn, arg);
}
