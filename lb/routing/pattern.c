/* Wildcard patterns: see pattern.h. */
#include "lb/routing/pattern.h"

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

static char compiled_char(const char **source, unsigned flags)
{
	char c = *(*source)++;

	if (c == '*')
		return PATTERN_STAR;
	if (c == '?')
		return PATTERN_QUESTION;
	if (c == '\\' && (flags & PATTERN_ESCAPES) && **source != '\0')
		c = *(*source)++;
	return flags & PATTERN_NOCASE ? fold(c) : c;
}

static void choose_kind(struct pattern *pattern)
{
	struct text text = pattern->text;
	size_t n_wild = 0;

	for (size_t i = 0; i < text.len; i++)
		n_wild += text.at[i] == PATTERN_STAR || text.at[i] == PATTERN_QUESTION;
	pattern->kind = n_wild == 0 ? PATTERN_EXACT : PATTERN_GLOB;
	if (n_wild != 1)
		return;
	if (text.len == 1 && text.at[0] == PATTERN_STAR) {
		pattern->kind = PATTERN_ANY;
	} else if (text.at[text.len - 1] == PATTERN_STAR) {
		pattern->kind = PATTERN_PREFIX;
		pattern->text.len--;
	} else if (text.at[0] == PATTERN_STAR) {
		pattern->kind = PATTERN_SUFFIX;
		pattern->text.at++;
		pattern->text.len--;
	}
}

void pattern_compile(struct pattern *pattern, const char *source, unsigned flags,
		     struct arena *arena)
{
	char *bytes = arena_strdup(arena, source);
	size_t len = 0;

	*pattern = (struct pattern){.kind = PATTERN_EXACT, .is_nocase = flags & PATTERN_NOCASE};
	if (!bytes)
		return;
	while (*source)
		bytes[len++] = compiled_char(&source, flags);
	pattern->text = (struct text){bytes, len};
	choose_kind(pattern);
}

static bool equal(const struct pattern *pattern, const char *a, const char *b, size_t len)
{
	return pattern->is_nocase ? strncasecmp(a, b, len) == 0 : memcmp(a, b, len) == 0;
}

/* Greedy, going back to the latest star only: O(text x pattern) at worst, no recursion. */
static bool glob(struct text pattern, struct text text, bool is_nocase)
{
	size_t p = 0, t = 0, star = SIZE_MAX, resume = 0;

	while (t < text.len) {
		char c = is_nocase ? fold(text.at[t]) : text.at[t];

		if (p < pattern.len && pattern.at[p] == PATTERN_STAR) {
			star = p++;
			resume = t;
		} else if (p < pattern.len &&
			   (pattern.at[p] == PATTERN_QUESTION || pattern.at[p] == c)) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.at[p] == PATTERN_STAR)
		p++;
	return p == pattern.len;
}

bool pattern_match(const struct pattern *pattern, struct text text)
{
	struct text wanted = pattern->text;

	switch (pattern->kind) {
	case PATTERN_ANY:
		return true;
	case PATTERN_EXACT:
		return text.len == wanted.len && equal(pattern, text.at, wanted.at, wanted.len);
	case PATTERN_PREFIX:
		return text.len >= wanted.len && equal(pattern, text.at, wanted.at, wanted.len);
	case PATTERN_SUFFIX:
		return text.len >= wanted.len &&
		       equal(pattern, text.at + text.len - wanted.len, wanted.at, wanted.len);
	case PATTERN_GLOB:
		break;
	}
	return glob(wanted, text, pattern->is_nocase);
}
