/*
 * Conditions: limits and characters of each field, and both spellings of the values.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lb/api/limits.h"
#include "lb/api/rule_parts.h"
#include "lb/routing/rule_regex.h"

enum {
	VALUES_PER_RULE_MAX = LIMIT_CONDITION_VALUES,
	WILDCARDS_PER_RULE_MAX = LIMIT_CONDITION_WILDCARDS,
	VALUE_MAX = 128,
};

struct field {
	const char *name;
	const char *config;      /* the member that holds its values */
	const char *punctuation; /* allowed beside letters and digits; NULL = any visible ASCII */
	size_t max;
	bool has_wildcards;
	bool is_single;      /* at most one such condition in a rule */
	bool is_upper;       /* no lower-case letters, no digits */
	bool has_short_form; /* also returned as the condition's own Values */
	bool has_regex;
};

static const struct field fields[] = {
    {"host-header", "HostHeaderConfig", "-._*?", VALUE_MAX, true, true, false, true, true},
    {"path-pattern", "PathPatternConfig", "_-.$/~\"'@:+&*?", VALUE_MAX, true, true, false, true,
     true},
    {"http-header", "HttpHeaderConfig", NULL, VALUE_MAX, true, false, false, false, true},
    {"http-request-method", "HttpRequestMethodConfig", "-_", 40, false, true, true, false, false},
    {"query-string", "QueryStringConfig", NULL, VALUE_MAX, true, false, false, false, false},
    {"source-ip", "SourceIpConfig", "./:", 64, false, true, false, false, false},
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

struct tally {
	size_t values, wildcards;
	unsigned seen[FIELDS];
};

static const struct field *field_of(const char *name)
{
	for (size_t i = 0; i < FIELDS; i++) {
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	}
	return NULL;
}

static bool is_allowed(const struct field *field, char c)
{
	if (!field->punctuation)
		return c >= 0x20 && c < 0x7f;
	if (c && strchr(field->punctuation, c))
		return true;
	if (field->is_upper)
		return c >= 'A' && c <= 'Z';
	return isalnum((unsigned char)c) != 0;
}

static int check_text(const struct field *field, const char *text, struct tally *tally,
		      struct aws_error *error)
{
	bool is_query = strcmp(field->name, "query-string") == 0;
	size_t len = strlen(text);

	if (len == 0 || len > field->max) {
		error_validation(error,
				 "A condition value of '%s' must be 1 to %zu characters long",
				 field->name, field->max);
		return -1;
	}
	for (size_t i = 0; i < len; i++) {
		bool is_escaped = is_query && i > 0 && text[i - 1] == '\\';

		if (field->has_wildcards && !is_escaped && (text[i] == '*' || text[i] == '?'))
			tally->wildcards++;
		if (is_allowed(field, text[i]))
			continue;
		error_validation(error,
				 "Condition value '%.128s' contains a character that is not "
				 "valid for '%s'",
				 text, field->name);
		return -1;
	}
	return 0;
}

/* ADDRESS/BITS */
static int check_cidr(const char *text, struct aws_error *error)
{
	char address[64];
	unsigned char binary[16];
	const char *slash = strchr(text, '/');
	char *end = NULL;
	long bits = slash ? strtol(slash + 1, &end, 10) : -1;
	size_t len = slash ? (size_t)(slash - text) : 0;
	bool is_v4, is_v6;

	if (!slash || len >= sizeof(address) || !slash[1] || *end || bits < 0)
		goto bad;
	memcpy(address, text, len);
	address[len] = '\0';
	is_v4 = inet_pton(AF_INET, address, binary) == 1 && bits <= 32;
	is_v6 = inet_pton(AF_INET6, address, binary) == 1 && bits <= 128;
	if ((is_v4 || is_v6) && strcmp(text, "255.255.255.255/32") != 0)
		return 0;
bad:
	error_validation(error, "The source-ip value '%.64s' is not a valid CIDR block", text);
	return -1;
}

/* AWS also wants letters only after the last '.': addresses and "xn--" names are let through here.
 */
static int check_host(const char *text, struct aws_error *error)
{
	if (strchr(text, '.'))
		return 0;
	error_validation(error, "The host-header value '%.128s' must contain a '.'", text);
	return -1;
}

static int check_regex(const struct field *field, const char *text, struct aws_error *error)
{
	size_t len = strlen(text);
	struct err why = {0};
	struct regex *regex;

	if (len == 0 || len > VALUE_MAX) {
		error_validation(error,
				 "A regular expression of '%s' must be 1 to %d characters long",
				 field->name, VALUE_MAX);
		return -1;
	}
	regex = regex_new(text, false, &why);
	if (!regex)
		error_validation(error, "The regular expression '%.128s' is not valid: %s", text,
				 why.text);
	regex_free(regex);
	return regex ? 0 : -1;
}

static int check_value(const struct field *field, const json_t *value, struct tally *tally,
		       struct aws_error *error)
{
	const char *text = json_string_value(value);

	tally->values++;
	if (json_is_object(value)) { /* query-string */
		const char *key = doc_str(value, "Key", NULL);

		if (key && check_text(field, key, tally, error) < 0)
			return -1;
		text = doc_str(value, "Value", "");
	}
	if (!text || check_text(field, text, tally, error) < 0)
		return -1;
	if (strcmp(field->name, "source-ip") == 0)
		return check_cidr(text, error);
	if (strcmp(field->name, "host-header") == 0)
		return check_host(text, error);
	return 0;
}

static int check_header_name(const json_t *config, struct aws_error *error)
{
	const char *name = doc_str(config, "HttpHeaderName", "");
	size_t len = strlen(name);

	if (len < 1 || len > 40 || strcasecmp(name, "host") == 0)
		goto bad;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && !strchr("!#$%&'+-.^_`|~", name[i]))
			goto bad;
	}
	return 0;
bad:
	error_validation(error, "The HTTP header name '%.64s' is not valid in a condition", name);
	return -1;
}

/* The member's array ("Values", "RegexValues"), from wherever the caller put it; borrowed. */
static json_t *values_of(const struct field *field, const json_t *condition, const char *member)
{
	json_t *values = doc_array(doc_object(condition, field->config), member);
	bool may_be_short = field->has_short_form || member[0] == 'R';

	if (json_array_size(values) > 0 || !may_be_short)
		return values;
	return doc_array(condition, member);
}

static int check_values(const struct field *field, const json_t *values, struct tally *tally,
			struct aws_error *error)
{
	const json_t *value;
	size_t i;

	json_array_foreach (values, i, value) {
		if (check_value(field, value, tally, error) < 0)
			return -1;
	}
	return 0;
}

static int check_regexes(const struct field *field, const json_t *regexes, struct tally *tally,
			 struct aws_error *error)
{
	const json_t *regex;
	size_t i;

	if (json_array_size(regexes) > 0 && !field->has_regex) {
		error_validation(error, "A '%s' condition takes no regular expressions",
				 field->name);
		return -1;
	}
	json_array_foreach (regexes, i, regex) {
		const char *text = json_string_value(regex);

		tally->values++;
		if (check_regex(field, text ? text : "", error) < 0)
			return -1;
	}
	return 0;
}

/* One of values and regexes is empty. */
static json_t *build(const struct field *field, const json_t *condition, json_t *values,
		     json_t *regexes)
{
	bool is_regex = json_array_size(regexes) > 0;
	const char *member = is_regex ? "RegexValues" : "Values";
	json_t *list = is_regex ? regexes : values;
	json_t *done =
	    json_pack("{s:s,s:{s:O}}", "Field", field->name, field->config, member, list);

	if (done && field->has_short_form)
		json_object_set(done, member, list);
	if (done && strcmp(field->name, "http-header") == 0)
		json_object_set(
		    json_object_get(done, field->config), "HttpHeaderName",
		    json_object_get(doc_object(condition, field->config), "HttpHeaderName"));
	return done;
}

static const struct field *check_field(const json_t *condition, struct tally *tally,
				       struct aws_error *error)
{
	const char *name = doc_str(condition, "Field", "");
	const struct field *field = field_of(name);

	if (!field) {
		error_validation(error,
				 "Condition field '%.64s' must be one of '[path-pattern, "
				 "host-header, http-header, http-request-method, "
				 "query-string, source-ip]'",
				 name);
		return NULL;
	}
	if (tally->seen[field - fields]++ && field->is_single) {
		error_validation(error, "A rule can only have one '%s' condition", field->name);
		return NULL;
	}
	return field;
}

static json_t *complete_one(const json_t *condition, struct tally *tally, struct aws_error *error)
{
	const struct field *field = check_field(condition, tally, error);
	json_t *values, *regexes;

	if (!field)
		return NULL;
	values = values_of(field, condition, "Values");
	regexes = values_of(field, condition, "RegexValues");
	if (json_array_size(values) == 0 && json_array_size(regexes) == 0) {
		error_validation(error, "A condition value must be specified for '%s'",
				 field->name);
		return NULL;
	}
	if (json_array_size(values) > 0 && json_array_size(regexes) > 0) {
		error_validation(error,
				 "A '%s' condition can have either values or regular expressions, "
				 "not both",
				 field->name);
		return NULL;
	}
	if (check_values(field, values, tally, error) < 0 ||
	    check_regexes(field, regexes, tally, error) < 0)
		return NULL;
	if (strcmp(field->name, "http-header") == 0 &&
	    check_header_name(doc_object(condition, field->config), error) < 0)
		return NULL;
	return build(field, condition, values, regexes);
}

json_t *rule_conditions_complete(const json_t *conditions, struct aws_error *error)
{
	struct tally tally = {0};
	json_t *list = json_array();
	const json_t *condition;
	size_t i;

	if (json_array_size(conditions) == 0) {
		error_validation(error, "A rule must have at least one condition");
		goto fail;
	}
	json_array_foreach (conditions, i, condition) {
		json_t *done = complete_one(condition, &tally, error);

		if (!done || json_array_append_new(list, done) < 0)
			goto fail;
	}
	if (tally.values > VALUES_PER_RULE_MAX) {
		error_validation(error, "A rule can only have '%d' condition values",
				 VALUES_PER_RULE_MAX);
		goto fail;
	}
	if (tally.wildcards > WILDCARDS_PER_RULE_MAX) {
		error_validation(error, "A rule can only have '%d' condition wildcards",
				 WILDCARDS_PER_RULE_MAX);
		goto fail;
	}
	return list;
fail:
	json_decref(list);
	return NULL;
}
