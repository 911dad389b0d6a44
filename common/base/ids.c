/* See ids.h.  Any thread; the only state is the caller's id_source. */
#include "common/base/ids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* splitmix64: any seed, zero included, gives a full-period sequence. */
static uint64_t next_of(struct id_source *source)
{
	uint64_t z = source->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t id_random(struct id_source *source)
{
	uint64_t value;
	ssize_t len;

	if (source != NULL)
		return next_of(source);
	/* Eight bytes are never cut short; only the wait for the first entropy after boot can be
	 * interrupted. */
	do {
		len = getrandom(&value, sizeof(value), 0);
	} while (len < 0 && errno == EINTR);
	CHECK(len == (ssize_t)sizeof(value));
	return value;
}

char *id_hex16(struct id_source *source, char text[ID_TEXT_MAX])
{
	snprintf(text, ID_TEXT_MAX, "%016" PRIx64, id_random(source));
	return text;
}

char *id_ec2(struct id_source *source, const char *prefix, char text[ID_TEXT_MAX])
{
	CHECK(strlen(prefix) + 1 + 17 < ID_TEXT_MAX);
	/* AWS's ids begin with a zero more often than not; ours are the same shape, all random. */
	snprintf(text, ID_TEXT_MAX, "%s-%016" PRIx64 "%x", prefix, id_random(source),
		 (unsigned)(id_random(source) & 0xf));
	return text;
}

char *id_uuid(struct id_source *source, char text[ID_TEXT_MAX])
{
	uint64_t high = id_random(source);
	uint64_t low = id_random(source);

	high = (high & ~UINT64_C(0xf000)) | 0x4000;                     /* version 4 */
	low = (low & UINT64_C(0x3fffffffffffffff)) | UINT64_C(1) << 63; /* variant 10 */
	snprintf(text, ID_TEXT_MAX,
		 "%08" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64, high >> 32,
		 (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & UINT64_C(0xffffffffffff));
	return text;
}

bool id_is_ec2(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);
	size_t n_digits;

	if (strncmp(text, prefix, len) != 0 || text[len] != '-')
		return false;
	text += len + 1;
	n_digits = strspn(text, "0123456789abcdef");
	return text[n_digits] == '\0' && (n_digits == 17 || n_digits == 8);
}

/* Cuts the field that starts at *at off at its colon and moves *at behind it; NULL without one. */
static char *next_field(char **at)
{
	char *field = *at;
	char *colon = strchr(field, ':');

	if (colon == NULL)
		return NULL;
	*colon = '\0';
	*at = colon + 1;
	return field;
}

int arn_parse(const char *text, struct arn *arn)
{
	size_t len = strnlen(text, sizeof(arn->buffer));
	char *at = arn->buffer;
	char *partition;

	if (len == sizeof(arn->buffer) || strncmp(text, "arn:", 4) != 0)
		return -1;
	memcpy(arn->buffer, text, len + 1);
	at += 4;
	partition = next_field(&at);
	/* aws, aws-cn, aws-us-gov, … */
	if (partition == NULL || strncmp(partition, "aws", 3) != 0)
		return -1;
	arn->service = next_field(&at);
	arn->region = arn->service == NULL ? NULL : next_field(&at);
	arn->account = arn->region == NULL ? NULL : next_field(&at);
	if (arn->account == NULL || arn->service[0] == '\0' || at[0] == '\0')
		return -1;
	arn->resource = at;
	return 0;
}

bool arn_is(const char *text)
{
	struct arn arn;

	return arn_parse(text, &arn) == 0;
}
