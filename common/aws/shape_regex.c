/* Patterns of the shape tables: compiled lazily under one lock, matched under limits. */
#include "common/aws/shape_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/log.h"

enum { MATCH_LIMIT = 200000, DEPTH_LIMIT = 2000 };

struct shape_regex {
	const char *pattern;
	pcre2_code *code; /* under lock until is_compiled */
	bool is_compiled;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct shape_regex *shape_regex_new(const char *pattern)
{
	struct shape_regex *regex = calloc(1, sizeof(*regex));

	if (regex)
		regex->pattern = pattern;
	return regex;
}

static const pcre2_code *compiled(struct shape_regex *regex)
{
	uint32_t options = PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY;
	PCRE2_SIZE offset;
	int code;

	pthread_mutex_lock(&lock);
	if (!regex->is_compiled) {
		regex->code = pcre2_compile((PCRE2_SPTR)regex->pattern, PCRE2_ZERO_TERMINATED,
					    options, &code, &offset, NULL);
		regex->is_compiled = true;
		if (!regex->code)
			log_error("shape-pattern-broken", "pattern=\"%s\" at=%zu code=%d",
				  regex->pattern, offset, code);
	}
	pthread_mutex_unlock(&lock);
	return regex->code;
}

bool shape_regex_is_sound(struct shape_regex *regex)
{
	return compiled(regex) != NULL;
}

bool shape_regex_matches(struct shape_regex *regex, const char *text, size_t len)
{
	const pcre2_code *code = compiled(regex);
	pcre2_match_data *data = NULL;
	pcre2_match_context *context = pcre2_match_context_create(NULL);
	bool is_match = false;

	if (!code || !context)
		goto out;
	pcre2_set_match_limit(context, MATCH_LIMIT);
	pcre2_set_depth_limit(context, DEPTH_LIMIT);
	data = pcre2_match_data_create(1, NULL);
	if (data)
		is_match = pcre2_match(code, (PCRE2_SPTR)text, len, 0, 0, data, context) >= 0;
out:
	pcre2_match_data_free(data);
	pcre2_match_context_free(context);
	return is_match;
}
