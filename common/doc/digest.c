/*
 * Telling documents apart by a number: see doc_digest() in doc.h.  Members of an object count in
 * any order, so what they come to is summed.
 */
#include <string.h>

#include "common/doc/doc.h"

/* The finishing steps of MurmurHash3's 64-bit variant. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 33) * 0xff51afd7ed558ccdull;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

static uint64_t digest_bytes(const char *bytes, size_t len, uint64_t seed)
{
	uint64_t h = mix(seed ^ len), word;

	for (; len >= sizeof(word); bytes += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		h = mix(h ^ word) + seed;
	}
	word = 0;
	memcpy(&word, bytes, len);
	return mix(h ^ word);
}

static uint64_t digest(const json_t *document, uint64_t seed);

static uint64_t digest_object(const json_t *object, uint64_t seed)
{
	uint64_t sum = json_object_size(object);
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)object, key, value)
		sum += digest(value, digest_bytes(key, strlen(key), seed));
	return mix(sum ^ seed);
}

static uint64_t digest_array(const json_t *array, uint64_t seed)
{
	uint64_t h = json_array_size(array);
	const json_t *value;
	size_t i;

	json_array_foreach (array, i, value)
		h = mix(h + digest(value, seed));
	return h;
}

static uint64_t digest_real(double real, uint64_t seed)
{
	return digest_bytes((const char *)&real, sizeof(real), seed);
}

static uint64_t digest(const json_t *document, uint64_t seed)
{
	if (!document)
		return seed;
	seed = mix(seed + json_typeof(document) + 1);
	switch (json_typeof(document)) {
	case JSON_OBJECT:
		return digest_object(document, seed);
	case JSON_ARRAY:
		return digest_array(document, seed);
	case JSON_STRING:
		return digest_bytes(json_string_value(document), json_string_length(document),
				    seed);
	case JSON_INTEGER:
		return mix((uint64_t)json_integer_value(document) ^ seed);
	case JSON_REAL:
		return digest_real(json_real_value(document), seed);
	case JSON_TRUE:
	case JSON_FALSE:
	case JSON_NULL:
		break;
	}
	return seed;
}

uint64_t doc_digest(const json_t *document)
{
	return digest(document, 0x9e3779b97f4a7c15ull);
}
