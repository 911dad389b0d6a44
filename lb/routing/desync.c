/* Desync classification: see desync.h. */
#include "lb/routing/desync.h"

#include "common/base/check.h"

#define REASON_NAME(suffix, name) name,
static const char *const reason_names[DESYNC_REASON_COUNT] = {DESYNC_REASONS(REASON_NAME)};

const char *desync_reason_name(enum desync_reason reason)
{
	CHECK(reason < DESYNC_REASON_COUNT);
	return reason == DESYNC_REASON_NONE ? NULL : reason_names[reason];
}

const char *desync_class_name(enum desync_class tier)
{
	static const char *const names[] = {NULL, "Acceptable", "Ambiguous", "Severe"};

	return names[tier];
}

void desync_worsen(struct desync_verdict *verdict, enum desync_class tier,
		   enum desync_reason reason)
{
	if (tier > verdict->tier)
		*verdict = (struct desync_verdict){tier, reason};
}

enum desync_action desync_decide(enum desync_mode mode, enum desync_class tier)
{
	switch (mode) {
	case DESYNC_MONITOR:
		return DESYNC_FORWARD;
	case DESYNC_STRICTEST:
		return tier == DESYNC_COMPLIANT ? DESYNC_FORWARD : DESYNC_BLOCK;
	case DESYNC_DEFENSIVE:
		break;
	}
	return tier == DESYNC_SEVERE      ? DESYNC_BLOCK
	       : tier == DESYNC_AMBIGUOUS ? DESYNC_FORWARD_AND_CLOSE
					  : DESYNC_FORWARD;
}

/* ---- characters ---- */

static bool is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

bool desync_is_token(struct text text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];

		if (!is_alnum((unsigned char)c) && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return text.len > 0;
}

static bool has_line_break_or_nul(struct text text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] == '\r' || text.at[i] == '\n' || text.at[i] == '\0')
			return true;
	return false;
}

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

static bool has_control(struct text value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.at[i] != '\t' && is_control((unsigned char)value.at[i]))
			return true;
	return false;
}

bool desync_is_number(struct text text, uint64_t *number)
{
	*number = 0;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = (unsigned)(text.at[i] - '0');

		if (digit > 9 || *number > (UINT64_MAX - digit) / 10)
			return false;
		*number = *number * 10 + digit;
	}
	return text.len > 0;
}

struct text desync_next_coding(struct text *list)
{
	const char *comma = list->len > 0 ? memchr(list->at, ',', list->len) : NULL;
	size_t len = comma ? (size_t)(comma - list->at) : list->len;
	struct text item = {list->at, len};
	const char *semicolon = len > 0 ? memchr(item.at, ';', len) : NULL;

	if (semicolon)
		item.len = (size_t)(semicolon - item.at);
	list->at += len + (comma != NULL);
	list->len -= len + (comma != NULL);
	return text_trimmed(item);
}

bool desync_ends_in_comma(struct text list)
{
	list = text_trimmed(list);
	return list.len > 0 && list.at[list.len - 1] == ',';
}

/* ---- names ---- */

/* The next letter or digit, in lower case, of a name in any disguise; 0 at the end. */
static char next_plain(struct text *name)
{
	while (name->len > 0) {
		unsigned char c = (unsigned char)*name->at++;

		name->len--;
		if (is_alnum(c))
			return (char)(c | 0x20);
		/* Letters that Unicode's case folding makes ASCII of: U+017F is s, U+0131 i. */
		if (name->len > 0 && c == 0xc5 && (unsigned char)*name->at == 0xbf)
			return 's';
		if (name->len > 0 && c == 0xc4 && (unsigned char)*name->at == 0xb1)
			return 'i';
	}
	return '\0';
}

static bool is_disguised(struct text name, const char *plain)
{
	char c;

	while ((c = next_plain(&name)))
		if (c != *plain++)
			return false;
	return *plain == '\0';
}

enum framing_name desync_framing_name(struct text name, bool *is_exact)
{
	*is_exact = true;
	if (text_equal_nocase(name, TEXT("transfer-encoding")))
		return FRAMING_TE;
	if (text_equal_nocase(name, TEXT("content-length")))
		return FRAMING_CL;
	*is_exact = false;
	if (is_disguised(name, "transferencoding"))
		return FRAMING_TE;
	if (is_disguised(name, "contentlength"))
		return FRAMING_CL;
	return FRAMING_OTHER;
}

/* ---- the checks, in the classifier's order ---- */

static void check_header(struct desync_verdict *verdict, const struct header *header)
{
	bool is_exact;

	if (has_line_break_or_nul(header->name) || has_line_break_or_nul(header->value))
		desync_worsen(verdict, DESYNC_SEVERE, DESYNC_REASON_BAD_HEADER);
	if (text_trimmed(header->name).len == 0 || header->name.at[0] == ':')
		desync_worsen(verdict, DESYNC_AMBIGUOUS, DESYNC_REASON_EMPTY_HEADER);
	if (!desync_is_token(header->name) || has_control(header->value))
		desync_worsen(verdict, DESYNC_ACCEPTABLE, DESYNC_REASON_NON_COMPLIANT_HEADER);
	if (desync_framing_name(header->name, &is_exact) != FRAMING_OTHER && !is_exact)
		desync_worsen(verdict, DESYNC_AMBIGUOUS, DESYNC_REASON_SUSPICIOUS_HEADER);
}

struct framing {
	unsigned n_encodings, n_lengths;
	bool is_bad_encoding, is_chunked_twice, was_chunked;
	bool is_bad_length, are_lengths_different;
	uint64_t length;
};

static void read_encoding(struct framing *framing, struct text value)
{
	framing->n_encodings++;
	framing->is_bad_encoding |= desync_ends_in_comma(value);
	do {
		struct text coding = desync_next_coding(&value);
		bool is_chunked = text_equal_nocase(coding, TEXT("chunked"));

		if (!is_chunked && !text_equal_nocase(coding, TEXT("compress")) &&
		    !text_equal_nocase(coding, TEXT("deflate")) &&
		    !text_equal_nocase(coding, TEXT("gzip")) &&
		    !text_equal_nocase(coding, TEXT("identity")))
			framing->is_bad_encoding = true;
		framing->is_chunked_twice |= is_chunked && framing->was_chunked;
		framing->was_chunked = is_chunked;
	} while (value.len > 0);
}

static void read_length(struct framing *framing, struct text value)
{
	uint64_t length;

	if (!desync_is_number(text_trimmed(value), &length))
		framing->is_bad_length = true;
	else if (framing->n_lengths > 0 && length != framing->length)
		framing->are_lengths_different = true;
	framing->length = length;
	framing->n_lengths++;
}

static void check_body(struct desync_verdict *verdict, const struct desync_request *request,
		       const struct framing *framing)
{
	bool is_get_or_head =
	    text_equal(request->method, TEXT("GET")) || text_equal(request->method, TEXT("HEAD"));

	if (framing->n_encodings > 0 && is_get_or_head)
		desync_worsen(verdict, DESYNC_AMBIGUOUS, DESYNC_REASON_UNDEFINED_TE);
	if (framing->n_lengths > 0 && is_get_or_head)
		desync_worsen(verdict, framing->length > 0 ? DESYNC_AMBIGUOUS : DESYNC_ACCEPTABLE,
			      framing->length > 0 ? DESYNC_REASON_UNDEFINED_CL
						  : DESYNC_REASON_GET_HEAD_ZERO_CL);
}

static void check_framing(struct desync_verdict *verdict, const struct desync_request *request,
			  const struct framing *framing)
{
	struct text version = text_trimmed(request->version);
	bool is_09 = version.len == 0 || text_equal(version, TEXT("HTTP/0.9"));

	if (framing->n_encodings > 0 && (is_09 || text_equal(version, TEXT("HTTP/1.0")))) {
		desync_worsen(verdict, DESYNC_AMBIGUOUS, DESYNC_REASON_UNDEFINED_TE);
		return;
	}
	if (framing->n_lengths > 0 && is_09) {
		desync_worsen(verdict, DESYNC_AMBIGUOUS, DESYNC_REASON_UNDEFINED_CL);
		return;
	}
	if (framing->is_bad_encoding)
		desync_worsen(verdict, DESYNC_SEVERE, DESYNC_REASON_BAD_TRANSFER_ENCODING);
	if (framing->is_chunked_twice)
		desync_worsen(verdict, DESYNC_SEVERE, DESYNC_REASON_MULTIPLE_CHUNKED);
	if (framing->is_bad_length)
		desync_worsen(verdict, DESYNC_SEVERE, DESYNC_REASON_BAD_CONTENT_LENGTH);
	if (framing->are_lengths_different)
		desync_worsen(verdict, DESYNC_SEVERE, DESYNC_REASON_MULTIPLE_CONTENT_LENGTH);
	if (framing->n_lengths > 1)
		desync_worsen(verdict, DESYNC_AMBIGUOUS, DESYNC_REASON_DUPLICATE_CONTENT_LENGTH);
	if (framing->n_encodings > 0 && framing->n_lengths > 0)
		desync_worsen(verdict, DESYNC_AMBIGUOUS, DESYNC_REASON_BOTH_TE_CL);
	check_body(verdict, request, framing);
}

static void check_version(struct desync_verdict *verdict, struct text given)
{
	struct text version = text_trimmed(given);
	bool is_http1 = version.len == 8 && memcmp(version.at, "HTTP/1.", 7) == 0 &&
			version.at[7] >= '0' && version.at[7] <= '9';

	if (version.len > 0 && !is_http1 && !text_equal(version, TEXT("HTTP/0.9")))
		desync_worsen(verdict, DESYNC_SEVERE, DESYNC_REASON_BAD_VERSION);
	else if (!is_http1 || version.at[7] > '1' || version.len != given.len)
		desync_worsen(verdict, DESYNC_ACCEPTABLE, DESYNC_REASON_NON_COMPLIANT_VERSION);
}

static void check_uri(struct desync_verdict *verdict, struct text uri)
{
	if (has_line_break_or_nul(uri))
		desync_worsen(verdict, DESYNC_SEVERE, DESYNC_REASON_BAD_URI);
	for (size_t i = 0; i < uri.len; i++) {
		if (uri.at[i] == ' ')
			desync_worsen(verdict, DESYNC_ACCEPTABLE, DESYNC_REASON_SPACE_IN_URI);
		else if (is_control((unsigned char)uri.at[i]))
			desync_worsen(verdict, DESYNC_AMBIGUOUS, DESYNC_REASON_AMBIGUOUS_URI);
	}
}

struct desync_verdict desync_classify(const struct desync_request *request)
{
	struct desync_verdict verdict = {DESYNC_COMPLIANT, DESYNC_REASON_NONE};
	struct framing framing = {0};
	bool is_exact;

	for (size_t i = 0; i < request->n_headers; i++) {
		const struct header *header = &request->headers[i];
		enum framing_name name = desync_framing_name(header->name, &is_exact);

		check_header(&verdict, header);
		if (name == FRAMING_TE)
			read_encoding(&framing, header->value);
		else if (name == FRAMING_CL)
			read_length(&framing, header->value);
	}
	check_framing(&verdict, request, &framing);
	if (!desync_is_token(request->method))
		desync_worsen(&verdict, DESYNC_SEVERE, DESYNC_REASON_BAD_METHOD);
	check_version(&verdict, request->version);
	check_uri(&verdict, request->uri);
	return verdict;
}
