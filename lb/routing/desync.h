/*
 * How far a request's head may be read differently by two readers: ALB's desync classes, with the
 * reasons that its access log and AWS's classifier name.  Pure; knows nothing of the
 * body, and forwards nothing: lb/proxy/http1_head.h puts a doubtful head in order.
 * Reference: AWS "Desync mitigation mode".
 */
#ifndef LB_ROUTING_DESYNC_H
#define LB_ROUTING_DESYNC_H

#include <stdbool.h>

#include "lb/routing/snapshot.h"
#include "lb/routing/text.h"

enum desync_class { DESYNC_COMPLIANT, DESYNC_ACCEPTABLE, DESYNC_AMBIGUOUS, DESYNC_SEVERE };

/* X(enum suffix, name): in the access log as they stand. */
#define DESYNC_REASONS(X) \
	X(NONE, "Compliant") \
	X(BAD_HEADER, "BadHeader") \
	X(NON_COMPLIANT_HEADER, "NonCompliantHeader") \
	X(EMPTY_HEADER, "EmptyHeader") \
	X(SUSPICIOUS_HEADER, "SuspiciousHeader") \
	X(BAD_TRANSFER_ENCODING, "BadTransferEncoding") \
	X(MULTIPLE_CHUNKED, "MultipleTransferEncodingChunked") \
	X(BAD_CONTENT_LENGTH, "BadContentLength") \
	X(MULTIPLE_CONTENT_LENGTH, "MultipleContentLength") \
	X(DUPLICATE_CONTENT_LENGTH, "DuplicateContentLength") \
	X(BOTH_TE_CL, "BothTeClPresent") \
	X(UNDEFINED_TE, "UndefinedTransferEncodingSemantics") \
	X(UNDEFINED_CL, "UndefinedContentLengthSemantics") \
	X(GET_HEAD_ZERO_CL, "GetHeadZeroContentLength") \
	X(BAD_METHOD, "BadMethod") \
	X(NON_COMPLIANT_VERSION, "NonCompliantVersion") \
	X(BAD_VERSION, "BadVersion") \
	X(BAD_URI, "BadUri") \
	X(SPACE_IN_URI, "SpaceInUri") \
	X(AMBIGUOUS_URI, "AmbiguousUri") \
	/* seen in the raw bytes only */ \
	X(BARE_LF, "NonCrLfLineTermination") \
	X(MULTILINE_HEADER, "MultilineHeader") \
	X(MISSING_COLON, "MissingHeaderColon") \
	X(MISSING_URI, "MissingUri")

#define DESYNC_REASON_ENUM(suffix, name) DESYNC_REASON_##suffix,
enum desync_reason { DESYNC_REASONS(DESYNC_REASON_ENUM) DESYNC_REASON_COUNT };

struct desync_verdict {
	enum desync_class tier;
	enum desync_reason reason; /* the first that led to the class */
};

/* A head in parts, as they stood between their separators.  version: "HTTP/1.1"; empty is 0.9. */
struct desync_request {
	struct text method, uri, version;
	size_t n_headers;
	const struct header *headers;
};

struct desync_verdict desync_classify(const struct desync_request *request);
/* Takes the new class and reason if the class is worse. */
void desync_worsen(struct desync_verdict *verdict, enum desync_class tier,
		   enum desync_reason reason);

enum desync_action { DESYNC_FORWARD, DESYNC_FORWARD_AND_CLOSE, DESYNC_BLOCK };
enum desync_action desync_decide(enum desync_mode mode, enum desync_class tier);

const char *desync_class_name(enum desync_class tier); /* NULL for Compliant, as logs want it */
const char *desync_reason_name(enum desync_reason reason);

/* What the name is, spelled so that other readers may take it for a framing header. */
enum framing_name { FRAMING_OTHER, FRAMING_TE, FRAMING_CL };
/* *is_exact: it is that header; else only a reader that folds more than we do thinks so. */
enum framing_name desync_framing_name(struct text name, bool *is_exact);

bool desync_is_token(struct text text); /* RFC 9110 5.6.2 */
bool desync_is_number(struct text text, uint64_t *number);
/* Takes the first item off a comma-separated list: without blanks and parameters. */
struct text desync_next_coding(struct text *list);
bool desync_ends_in_comma(struct text list); /* an empty item, which the above does not see */

#endif
