/*
 * See cbor_read.h.  libcbor's streaming decoder tells one item's head at a time, as an event; the
 * recursion, the limits and what becomes of it are here.  Its tree builder is not used: it trusts
 * the peer's word on how many elements will follow and allocates for them.
 */
#include "common/aws/cbor_read.h"

#include <cbor/callbacks.h>
#include <cbor/streaming.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

enum event_kind {
	EVENT_NONE,
	EVENT_UNSIGNED,
	EVENT_NEGATIVE, /* -1 - number */
	EVENT_REAL,
	EVENT_BOOLEAN,
	EVENT_NULL,
	EVENT_TEXT,
	EVENT_BYTES,
	EVENT_TEXT_START, /* of chunks */
	EVENT_BYTES_START,
	EVENT_ARRAY,
	EVENT_MAP,
	EVENT_TAG,
	EVENT_BREAK,
};

/* The head of one item, with its bytes where it is a string. */
struct event {
	enum event_kind kind;
	uint64_t number; /* value, or how many follow */
	bool is_indefinite;
	bool is_true;
	double real;
	const unsigned char *bytes; /* borrowed from the input */
	size_t len;
};

struct reader {
	const unsigned char *at, *end;
	const char *why; /* set once reading has failed */
	size_t n_containers;
	struct event event;
};

static json_t *read_value(struct reader *reader, int depth);

/* --- libcbor's callbacks: each fills the event --- */

static void set(void *arg, enum event_kind kind, uint64_t number)
{
	struct reader *reader = arg;

	reader->event = (struct event){.kind = kind, .number = number};
}

#define ON_NUMBER(name, type, kind) \
	static void name(void *arg, type number) \
	{ \
		set(arg, kind, number); \
	}
ON_NUMBER(on_uint8, uint8_t, EVENT_UNSIGNED)
ON_NUMBER(on_uint16, uint16_t, EVENT_UNSIGNED)
ON_NUMBER(on_uint32, uint32_t, EVENT_UNSIGNED)
ON_NUMBER(on_uint64, uint64_t, EVENT_UNSIGNED)
ON_NUMBER(on_negint8, uint8_t, EVENT_NEGATIVE)
ON_NUMBER(on_negint16, uint16_t, EVENT_NEGATIVE)
ON_NUMBER(on_negint32, uint32_t, EVENT_NEGATIVE)
ON_NUMBER(on_negint64, uint64_t, EVENT_NEGATIVE)

static void on_double(void *arg, double number)
{
	struct reader *reader = arg;

	reader->event = (struct event){.kind = EVENT_REAL, .real = number};
}

static void on_float(void *arg, float number)
{
	on_double(arg, (double)number);
}

static void on_boolean(void *arg, bool is_true)
{
	struct reader *reader = arg;

	reader->event = (struct event){.kind = EVENT_BOOLEAN, .is_true = is_true};
}

static void on_null(void *arg)
{
	set(arg, EVENT_NULL, 0);
}

static void on_text(void *arg, cbor_data bytes, size_t len)
{
	struct reader *reader = arg;

	reader->event = (struct event){.kind = EVENT_TEXT, .bytes = bytes, .len = len};
}

static void on_bytes(void *arg, cbor_data bytes, size_t len)
{
	struct reader *reader = arg;

	reader->event = (struct event){.kind = EVENT_BYTES, .bytes = bytes, .len = len};
}

static void on_text_start(void *arg)
{
	set(arg, EVENT_TEXT_START, 0);
}

static void on_bytes_start(void *arg)
{
	set(arg, EVENT_BYTES_START, 0);
}

static void on_array(void *arg, size_t n)
{
	set(arg, EVENT_ARRAY, n);
}

static void on_map(void *arg, size_t n)
{
	set(arg, EVENT_MAP, n);
}

static void on_endless_array(void *arg)
{
	struct reader *reader = arg;

	reader->event = (struct event){.kind = EVENT_ARRAY, .is_indefinite = true};
}

static void on_endless_map(void *arg)
{
	struct reader *reader = arg;

	reader->event = (struct event){.kind = EVENT_MAP, .is_indefinite = true};
}

static void on_tag(void *arg, uint64_t number)
{
	set(arg, EVENT_TAG, number);
}

static void on_break(void *arg)
{
	set(arg, EVENT_BREAK, 0);
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_uint8,
    .uint16 = on_uint16,
    .uint32 = on_uint32,
    .uint64 = on_uint64,
    .negint8 = on_negint8,
    .negint16 = on_negint16,
    .negint32 = on_negint32,
    .negint64 = on_negint64,
    .byte_string_start = on_bytes_start,
    .byte_string = on_bytes,
    .string = on_text,
    .string_start = on_text_start,
    .indef_array_start = on_endless_array,
    .array_start = on_array,
    .indef_map_start = on_endless_map,
    .map_start = on_map,
    .tag = on_tag,
    .float2 = on_float,
    .float4 = on_float,
    .float8 = on_double,
    .undefined = on_null,
    .null = on_null,
    .boolean = on_boolean,
    .indef_break = on_break,
};

/* --- reading --- */

static json_t *fail(struct reader *reader, const char *why)
{
	if (reader->why == NULL)
		reader->why = why;
	return NULL;
}

/* The next item's head becomes reader->event. */
static bool next_event(struct reader *reader)
{
	size_t left = (size_t)(reader->end - reader->at);
	struct cbor_decoder_result result;

	reader->event.kind = EVENT_NONE;
	result = cbor_stream_decode(reader->at, left, &callbacks, reader);
	if (result.status == CBOR_DECODER_FINISHED && reader->event.kind != EVENT_NONE &&
	    result.read > 0 && result.read <= left) {
		reader->at += result.read;
		return true;
	}
	fail(reader, result.status == CBOR_DECODER_NEDATA ? "it ends too early"
							  : "it holds what is no CBOR item");
	return false;
}

static json_t *text_of(struct reader *reader, const char *bytes, size_t len)
{
	json_t *text;

	if (len > 0 && memchr(bytes, '\0', len) != NULL)
		return fail(reader, "a text holds a NUL");
	text = json_stringn(len == 0 ? "" : bytes, len);
	return text != NULL ? text : fail(reader, "a text is not UTF-8");
}

static json_t *base64_of(struct reader *reader, const unsigned char *bytes, size_t len)
{
	unsigned char *base64 = malloc(len / 3 * 4 + 5);
	json_t *text = NULL;

	if (base64 != NULL) {
		base64[0] = '\0';
		EVP_EncodeBlock(base64, len == 0 ? base64 : bytes, (int)len);
		text = json_string((const char *)base64);
	}
	free(base64);
	return text != NULL ? text : fail(reader, "out of memory");
}

/* RFC 8949 3.2.3: definite strings of the same type up to the break. */
static json_t *read_chunks(struct reader *reader, enum event_kind kind)
{
	struct buf whole = {0};
	json_t *value = NULL;

	while (next_event(reader) && reader->event.kind == kind)
		buf_add(&whole, reader->event.bytes, reader->event.len);
	if (buf_failed(&whole))
		fail(reader, "out of memory");
	else if (reader->why == NULL && reader->event.kind != EVENT_BREAK)
		fail(reader, "a chunk of a string is no string of its type");
	else if (reader->why == NULL && kind == EVENT_TEXT)
		value = text_of(reader, buf_text(&whole), whole.len);
	else if (reader->why == NULL)
		value = base64_of(reader, (const unsigned char *)buf_text(&whole), whole.len);
	buf_fini(&whole);
	return value;
}

/* Is there another element?  head is the container's own. */
static bool has_next(struct reader *reader, const struct event *head, uint64_t n_read)
{
	const unsigned char *before = reader->at;

	if (!head->is_indefinite)
		return n_read < head->number;
	if (!next_event(reader) || reader->event.kind == EVENT_BREAK)
		return false;
	reader->at = before;
	return true;
}

static json_t *read_array(struct reader *reader, int depth)
{
	const struct event head = reader->event;
	json_t *array = json_array();

	for (uint64_t n = 0; array != NULL && has_next(reader, &head, n); n++) {
		json_t *value = read_value(reader, depth + 1);

		if (value == NULL)
			break;
		if (json_array_append_new(array, value) != 0) {
			fail(reader, "out of memory");
			break;
		}
	}
	if (array == NULL)
		return fail(reader, "out of memory");
	if (reader->why == NULL)
		return array;
	json_decref(array);
	return NULL;
}

static int read_member(struct reader *reader, json_t *object, int depth)
{
	json_t *key = read_value(reader, depth + 1), *value;
	int result = -1;

	if (key == NULL)
		return -1;
	if (!json_is_string(key))
		fail(reader, "a key is no text");
	else if (json_object_get(object, json_string_value(key)) != NULL)
		fail(reader, "a key is given twice");
	if (reader->why == NULL) {
		value = read_value(reader, depth + 1);
		if (value != NULL &&
		    json_object_set_new(object, json_string_value(key), value) != 0)
			fail(reader, "out of memory");
		result = value != NULL && reader->why == NULL ? 0 : -1;
	}
	json_decref(key);
	return result;
}

static json_t *read_map(struct reader *reader, int depth)
{
	const struct event head = reader->event;
	json_t *object = json_object();

	for (uint64_t n = 0; object != NULL && has_next(reader, &head, n); n++)
		if (read_member(reader, object, depth) != 0)
			break;
	if (object == NULL)
		return fail(reader, "out of memory");
	if (reader->why == NULL)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *real(double number)
{
	if (isfinite(number))
		return json_real(number);
	if (isnan(number))
		return json_string("NaN");
	return json_string(number > 0 ? "Infinity" : "-Infinity");
}

/* What jansson's integers cannot hold becomes a real, which no integer's shape takes. */
static json_t *integer(const struct event *event)
{
	bool is_negative = event->kind == EVENT_NEGATIVE;
	double size = (double)event->number;

	if (event->number > INT64_MAX)
		return json_real(is_negative ? -1 - size : size);
	return json_integer(is_negative ? -1 - (json_int_t)event->number
					: (json_int_t)event->number);
}

static json_t *read_scalar(struct reader *reader)
{
	const struct event *event = &reader->event;
	json_t *value = NULL;

	switch (event->kind) {
	case EVENT_UNSIGNED:
	case EVENT_NEGATIVE:
		value = integer(event);
		break;
	case EVENT_REAL:
		value = real(event->real);
		break;
	case EVENT_BOOLEAN:
		value = json_boolean(event->is_true);
		break;
	case EVENT_NULL:
		value = json_null();
		break;
	case EVENT_TEXT:
		return text_of(reader, (const char *)event->bytes, event->len);
	case EVENT_BYTES:
		return base64_of(reader, event->bytes, event->len);
	case EVENT_TEXT_START:
		return read_chunks(reader, EVENT_TEXT);
	case EVENT_BYTES_START:
		return read_chunks(reader, EVENT_BYTES);
	case EVENT_BREAK:
		return fail(reader, "it holds a break where nothing is open");
	case EVENT_NONE:
	case EVENT_TAG:
	case EVENT_ARRAY:
	case EVENT_MAP:
		break;
	}
	return value != NULL ? value : fail(reader, "out of memory");
}

static json_t *read_value(struct reader *reader, int depth)
{
	bool is_container;

	if (depth == CBOR_MAX_DEPTH)
		return fail(reader, "it is nested too deeply");
	if (!next_event(reader))
		return NULL;
	if (reader->event.kind == EVENT_TAG)
		return read_value(reader, depth + 1);
	is_container = reader->event.kind == EVENT_ARRAY || reader->event.kind == EVENT_MAP;
	if (!is_container)
		return read_scalar(reader);
	/* An empty one is a byte on the wire and a hundred in memory. */
	if (++reader->n_containers > CBOR_MAX_CONTAINERS)
		return fail(reader, "it holds too many lists and maps");
	return reader->event.kind == EVENT_ARRAY ? read_array(reader, depth)
						 : read_map(reader, depth);
}

json_t *cbor_read(const void *bytes, size_t len, const char **why)
{
	struct reader reader = {.at = bytes, .end = (const unsigned char *)bytes + len};
	json_t *value = read_value(&reader, 0);

	if (value != NULL && reader.at != reader.end) {
		json_decref(value);
		value = fail(&reader, "something stands behind it");
	}
	*why = reader.why;
	return value;
}
