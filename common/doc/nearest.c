/* See doc.h: did-you-mean.  Pure. */
#include "common/doc/doc.h"

#include <ctype.h>
#include <string.h>

enum { NEAREST_TEXT_MAX = 64 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static bool is_same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/*
 * Insertions, deletions, changes and swaps of neighbours (Damerau-Levenshtein, each stretch edited
 * once) that turn a into b, case aside.  Both at most NEAREST_TEXT_MAX long.
 */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][NEAREST_TEXT_MAX + 1];
	unsigned *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		above[j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned *oldest = before;

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = least(above[j - 1] + !is_same(a[i - 1], b[j - 1]),
				       least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) &&
			    is_same(a[i - 2], b[j - 1]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		before = above;
		above = row;
		row = oldest;
	}
	return above[b_len];
}

/* How many slips a word of this length may hold and still be taken for another: a third of a short
 * one at most, never more than four. */
static unsigned slips_allowed(size_t len)
{
	if (len < 3)
		return 0;
	return least((unsigned)len / 5 + 1, 4);
}

const char *doc_nearest(const char *text, const char *const candidates[])
{
	size_t len = strlen(text);
	unsigned best = slips_allowed(len) + 1;
	const char *nearest = NULL;

	if (len > NEAREST_TEXT_MAX)
		return NULL;
	for (; *candidates != NULL; candidates++) {
		size_t candidate_len = strlen(*candidates);
		unsigned d;

		if (candidate_len > NEAREST_TEXT_MAX)
			continue;
		d = distance(text, len, *candidates, candidate_len);
		if (d < best) {
			best = d;
			nearest = *candidates;
		}
	}
	return nearest;
}
