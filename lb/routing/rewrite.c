/* See rewrite.h. */
#include "lb/routing/rewrite.h"

#include <errno.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The group that "$12" or "${12}" at template names, and its length; 0 when it is plain text. */
static size_t reference(const char *template, unsigned *group)
{
	bool is_braced = template[0] == '$' && template[1] == '{';
	const char *at = template + (is_braced ? 2 : 1);
	const char *start = at;

	if (template[0] != '$')
		return 0;
	for (*group = 0; at < start + 2 && is_digit(*at); at++)
		*group = *group * 10 + (unsigned)(*at - '0');
	if (at == start || (is_braced && *at != '}'))
		return 0;
	return (size_t)(at - template) + is_braced;
}

static int check_references(const char *replace, unsigned n_groups, struct err *err)
{
	unsigned group;

	for (const char *at = replace; *at; at++) {
		if (reference(at, &group) == 0 || group <= n_groups)
			continue;
		err_set(err, EINVAL, "$%u in \"%s\": the expression has %u groups", group, replace,
			n_groups);
		return -1;
	}
	return 0;
}

int rewrite_compile(struct rewrite *rewrite, const struct rewrite_config *config,
		    struct arena *arena, struct err *err)
{
	*rewrite = (struct rewrite){0};
	if (!config->regex)
		return 0;
	rewrite->regex = regex_new(config->regex, false, err);
	if (!rewrite->regex) {
		err_wrap(err, "regular expression \"%s\": ", config->regex);
		return -1;
	}
	rewrite->replace = arena_strdup(arena, config->replace ? config->replace : "");
	if (rewrite->replace)
		return check_references(rewrite->replace, regex_n_groups(rewrite->regex), err);
	err_set(err, ENOMEM, "out of memory");
	return -1;
}

void rewrite_fini(struct rewrite *rewrite)
{
	regex_free(rewrite->regex);
	rewrite->regex = NULL;
}

struct output {
	char *at;
	size_t len, size;
	bool is_full;
};

static void add(struct output *output, struct text text)
{
	if (text.len > output->size - output->len) {
		output->is_full = true;
		return;
	}
	if (text.len > 0)
		memcpy(output->at + output->len, text.at, text.len);
	output->len += text.len;
}

static struct text part(struct text text, struct regex_span span)
{
	if (span.from > span.to)
		return (struct text){0};
	return (struct text){text.at + span.from, span.to - span.from};
}

static void expand(struct output *output, const char *template, struct text text,
		   const struct regex_span *spans)
{
	unsigned group;

	while (*template) {
		size_t used = reference(template, &group);

		add(output, used > 0 ? part(text, spans[group]) : (struct text){template, 1});
		template += used > 0 ? used : 1;
	}
}

enum rewrite_result rewrite_apply(const struct rewrite *rewrite, struct text text, char *out,
				  size_t size, struct text *result)
{
	struct regex_span spans[REGEX_GROUPS_MAX + 1];
	struct output output = {.at = out, .size = size};

	if (!rewrite->regex)
		return REWRITE_NONE;
	switch (regex_search(rewrite->regex, text, spans, REGEX_GROUPS_MAX + 1)) {
	case REGEX_NO_MATCH:
		return REWRITE_NONE;
	case REGEX_GAVE_UP:
		return REWRITE_FAILED;
	case REGEX_MATCH:
		break;
	}
	add(&output, (struct text){text.at, spans[0].from});
	expand(&output, rewrite->replace, text, spans);
	add(&output, (struct text){text.at + spans[0].to, text.len - spans[0].to});
	*result = (struct text){out, output.len};
	return output.is_full ? REWRITE_TOO_LONG : REWRITE_DONE;
}

bool rewrite_is_url(struct text url)
{
	if (url.len == 0 || url.at[0] != '/')
		return false;
	for (size_t i = 0; i < url.len; i++)
		if (url.at[i] <= ' ' || url.at[i] == 0x7f || url.at[i] == '#')
			return false;
	return true;
}

const char *rewrite_status(enum rewrite_result result)
{
	switch (result) {
	case REWRITE_NONE:
		return NULL;
	case REWRITE_DONE:
		return "TransformSuccess";
	case REWRITE_TOO_LONG:
		return "TransformBufferTooSmall";
	case REWRITE_FAILED:
		return "TransformReplaceError";
	case REWRITE_INVALID_HOST:
		return "TransformInvalidHost";
	case REWRITE_INVALID_PATH:
		return "TransformInvalidPath";
	}
	return NULL;
}
