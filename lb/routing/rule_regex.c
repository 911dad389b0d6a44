/* See rule_regex.h. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "lb/routing/rule_regex.h"

#include <errno.h>
#include <pcre2.h>
#include <stdalign.h>
#include <stdlib.h>

/* A search may start at each byte: the longer the text, the less work each start gets. */
enum { WORK_TOTAL = 4000000, WORK_MIN = 20000, SCRATCH_BYTES = 4096 };

struct regex {
	pcre2_code *code;
	unsigned n_groups;
};

/* ---- what ALB does not take ---- */

static const char *refused_group(const char *at)
{
	if (at[1] == '*')
		return "verbs";
	if (at[1] != '?')
		return NULL;
	switch (at[2]) {
	case '=':
	case '!':
		return "look-ahead";
	case '<':
		return at[3] == '=' || at[3] == '!' ? "look-behind" : NULL;
	case '>':
		return "atomic groups";
	case 'P':
		return at[3] == '<' ? NULL : "back-references and subroutines";
	case '(':
		return "conditional groups";
	case '|':
		return "branch reset groups";
	case 'C':
	case '#':
		return "callouts and comments";
	case 'R':
	case '&':
	case '+':
		return "subroutines and recursion";
	default:
		return at[2] >= '0' && at[2] <= '9' ? "subroutines and recursion" : NULL;
	}
}

static const char *refused_escape(char c)
{
	if ((c >= '1' && c <= '9') || c == 'g' || c == 'k')
		return "back-references";
	if (c == 'p' || c == 'P' || c == 'X')
		return "Unicode classes";
	if (c == 'K' || c == 'C' || c == 'G' || c == 'Q')
		return "\\K, \\C, \\G and \\Q";
	return NULL;
}

/* Past the class that starts at "[". */
static const char *skip_class(const char *at)
{
	at++;
	if (*at == '^')
		at++;
	if (*at == ']')
		at++;
	while (*at && *at != ']') {
		if (*at == '\\' && at[1])
			at++;
		else if (*at == '[' && at[1] == ':' && strstr(at + 2, ":]"))
			at = strstr(at + 2, ":]") + 1;
		at++;
	}
	return *at ? at + 1 : at;
}

/* The end of a quantifier "{2}", "{2,}", "{2,3}" that starts here, or NULL. */
static const char *end_of_braces(const char *at)
{
	size_t digits = strspn(at + 1, "0123456789");
	const char *end = at + 1 + digits;

	if (digits == 0)
		return NULL;
	if (*end == ',')
		end += 1 + strspn(end + 1, "0123456789");
	return *end == '}' ? end + 1 : NULL;
}

/* Past the quantifier that starts here; NULL when there is none. */
static const char *end_of_quantifier(const char *at)
{
	if (*at == '*' || *at == '+' || *at == '?')
		return at + 1;
	return *at == '{' ? end_of_braces(at) : NULL;
}

/* What of it ALB refuses, or NULL. */
static const char *refused_feature(const char *source)
{
	const char *at = source, *end, *what = NULL;

	while (*at && !what) {
		if (*at == '\\') {
			what = refused_escape(at[1]);
			at += at[1] ? 2 : 1;
		} else if (*at == '[') {
			at = skip_class(at);
		} else if (*at == '(') {
			what = refused_group(at);
			at += at[1] == '?' ? 2 : 1;
		} else if ((end = end_of_quantifier(at))) {
			what = *end == '+' ? "possessive quantifiers" : NULL;
			at = *end == '?' ? end + 1 : end;
		} else {
			at++;
		}
	}
	return what;
}

/* ---- compiling ---- */

struct regex *regex_new(const char *source, bool is_nocase, struct err *err)
{
	const char *refused = refused_feature(source);
	struct regex *regex;
	uint32_t options = PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP |
			   PCRE2_NEVER_BACKSLASH_C | (is_nocase ? PCRE2_CASELESS : 0);
	int code;
	PCRE2_SIZE offset;
	PCRE2_UCHAR text[120];

	if (refused) {
		err_set(err, EINVAL, "%s are not supported", refused);
		return NULL;
	}
	regex = calloc(1, sizeof(*regex));
	if (!regex) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	regex->code =
	    pcre2_compile((PCRE2_SPTR)source, PCRE2_ZERO_TERMINATED, options, &code, &offset, NULL);
	if (!regex->code) {
		pcre2_get_error_message(code, text, sizeof(text));
		err_set(err, EINVAL, "%s at offset %zu", (const char *)text, (size_t)offset);
		free(regex);
		return NULL;
	}
	/* Without it, searches are interpreted: slower, nothing else. */
	(void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
	pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &regex->n_groups);
	return regex;
}

void regex_free(struct regex *regex)
{
	if (!regex)
		return;
	pcre2_code_free(regex->code);
	free(regex);
}

unsigned regex_n_groups(const struct regex *regex)
{
	return regex->n_groups;
}

/* ---- searching ---- */

/* PCRE2's few small blocks come from the caller's stack; what is too big, from the heap. */
struct scratch {
	alignas(16) char bytes[SCRATCH_BYTES];
	size_t used;
};

static void *scratch_take(PCRE2_SIZE size, void *arg)
{
	struct scratch *scratch = arg;
	size_t rounded = (size + 15) & ~(size_t)15;
	void *memory = scratch->bytes + scratch->used;

	if (rounded > sizeof(scratch->bytes) - scratch->used)
		return malloc(size);
	scratch->used += rounded;
	return memory;
}

static void scratch_give_back(void *memory, void *arg)
{
	struct scratch *scratch = arg;
	uintptr_t at = (uintptr_t)memory, start = (uintptr_t)scratch->bytes;

	if (at < start || at >= start + sizeof(scratch->bytes))
		free(memory);
}

static uint32_t work_limit(size_t len)
{
	size_t share = WORK_TOTAL / (len + 1);

	return share > WORK_MIN ? (uint32_t)share : WORK_MIN;
}

static void copy_spans(pcre2_match_data *data, int found, struct regex_span *spans,
		       unsigned n_spans)
{
	const PCRE2_SIZE *pairs = pcre2_get_ovector_pointer(data);

	for (unsigned i = 0; i < n_spans; i++) {
		bool is_set = (int)i < found && pairs[2 * i] != PCRE2_UNSET;

		spans[i] = is_set ? (struct regex_span){pairs[2 * i], pairs[2 * i + 1]}
				  : (struct regex_span){1, 0};
	}
}

enum regex_result regex_search(const struct regex *regex, struct text text,
			       struct regex_span *spans, unsigned n_spans)
{
	struct scratch scratch;
	enum regex_result result = REGEX_GAVE_UP;
	pcre2_general_context *general;
	pcre2_match_context *context;
	pcre2_match_data *data;
	int found;

	scratch.used = 0;
	general = pcre2_general_context_create(scratch_take, scratch_give_back, &scratch);
	if (!general)
		return REGEX_GAVE_UP;
	context = pcre2_match_context_create(general);
	data = pcre2_match_data_create(n_spans > 0 ? n_spans : 1, general);
	if (!context || !data)
		goto out;
	pcre2_set_match_limit(context, work_limit(text.len));
	found = pcre2_match(regex->code, (PCRE2_SPTR)(text.at ? text.at : ""), text.len, 0, 0, data,
			    context);
	if (found == PCRE2_ERROR_NOMATCH)
		result = REGEX_NO_MATCH;
	if (found >= 0) {
		result = REGEX_MATCH;
		copy_spans(data, found > 0 ? found : (int)n_spans, spans, n_spans);
	}
out:
	pcre2_match_data_free(data);
	pcre2_match_context_free(context);
	pcre2_general_context_free(general);
	return result;
}

/* ---- for the index ---- */

/* The literal character at *at, which moves on; -1 when something else is there. */
static int literal_at(const char **at)
{
	const char *here = *at;
	bool is_escaped = *here == '\\';

	if (is_escaped)
		here++;
	/* An escaped letter or digit is a class, not itself. */
	if (*here == '\0' || (is_escaped && !strchr("./-+*?|()[]{}^$_~%:@", *here)))
		return -1;
	if (!is_escaped && strchr(".*+?|()[]{}^$\\", *here))
		return -1;
	*at = here + 1;
	return (unsigned char)*here;
}

size_t regex_literal_prefix(const char *source, char *out, size_t size)
{
	const char *at = source + 1;
	size_t len = 0;

	if (*source != '^' || strchr(source, '|'))
		return 0;
	while (len < size) {
		int c = literal_at(&at);

		if (c < 0)
			break;
		/* What a quantifier follows may be absent. */
		if (*at == '*' || *at == '?' || *at == '{')
			break;
		out[len++] = (char)c;
		if (*at == '+')
			break;
	}
	return len;
}
