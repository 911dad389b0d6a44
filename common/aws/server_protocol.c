/* See server_protocol.h. */
#include "common/aws/server_protocol.h"

#include <string.h>
#include <strings.h>

static int refuse(struct aws_error *error, int status, const char *code, const char *message)
{
	aws_error_set(error, status, code, "%s", message);
	return -1;
}

static bool starts_with(const char *text, const char *start)
{
	return text != NULL && strncasecmp(text, start, strlen(start)) == 0;
}

/* Apart from parameters such as charset, which must not be "application/cbor-seq". */
static bool is_media_type(const char *text, const char *type)
{
	size_t len = strlen(type);

	return starts_with(text, type) && (text[len] == '\0' || strchr("; \t", text[len]) != NULL);
}

struct segment {
	const char *text; /* NULL when the path has no more */
	size_t len;
};

/* Cuts the last segment off path[0..*len). */
static struct segment cut_segment(const char *path, size_t *len)
{
	const char *slash = memrchr(path, '/', *len);
	struct segment segment = {0};

	if (slash == NULL)
		return segment;
	segment.text = slash + 1;
	segment.len = *len - (size_t)(segment.text - path);
	*len = (size_t)(slash - path);
	return segment;
}

static bool is_word(struct segment segment, const char *word)
{
	return segment.text != NULL && strlen(word) == segment.len &&
	       memcmp(segment.text, word, segment.len) == 0;
}

/* ".../service/PREFIX/operation/ACTION", PREFIX perhaps with a namespace and a dot in front. */
static bool read_operation_path(const char *path, struct protocol *protocol)
{
	size_t left = strlen(path);
	struct segment action = cut_segment(path, &left);
	struct segment operation = cut_segment(path, &left);
	struct segment target = cut_segment(path, &left);
	struct segment service = cut_segment(path, &left);
	const char *dot;

	if (action.len == 0 || target.text == NULL || !is_word(operation, "operation") ||
	    !is_word(service, "service"))
		return false;
	dot = memrchr(target.text, '.', target.len);
	if (dot != NULL) {
		target.len -= (size_t)(dot + 1 - target.text);
		target.text = dot + 1;
	}
	protocol->action = action.text;
	protocol->target = target.text;
	protocol->target_len = target.len;
	return true;
}

static int find_cbor(const struct protocol_hints *hints, bool is_path, struct protocol *protocol,
		     struct aws_error *error)
{
	protocol->form = ANSWER_CBOR;
	if (hints->smithy == NULL || strcmp(hints->smithy, "rpc-v2-cbor") != 0)
		return refuse(error, 400, "UnsupportedOperation",
			      "A request to /service/.../operation/... needs the header "
			      "smithy-protocol: rpc-v2-cbor; no other Smithy protocol is spoken");
	if (!is_path)
		return refuse(error, 400, "InvalidAction",
			      "A request in the RPC v2 CBOR protocol goes to the path "
			      "/service/SERVICE/operation/ACTION");
	if (hints->target != NULL)
		return refuse(error, 400, "SerializationException",
			      "A request in the RPC v2 CBOR protocol must not have the header "
			      "X-Amz-Target");
	if (hints->has_body && !is_media_type(hints->content_type, "application/cbor"))
		return refuse(error, 415, "UnsupportedMediaType",
			      "Content-Type must be application/cbor");
	return 0;
}

static int find_json(const struct protocol_hints *hints, struct protocol *protocol,
		     struct aws_error *error)
{
	const char *dot = hints->target == NULL ? NULL : strchr(hints->target, '.');

	protocol->form = ANSWER_JSON;
	if (dot == NULL)
		return refuse(error, 400, "MissingAction",
			      "A request in the AWS JSON protocol needs the header X-Amz-Target: "
			      "SERVICE.ACTION");
	protocol->target = hints->target;
	protocol->target_len = (size_t)(dot - hints->target);
	protocol->action = dot + 1;
	if (strcmp(hints->path, "/") != 0)
		return refuse(error, 404, "InvalidAction",
			      "The API is at the path / of this endpoint");
	return 0;
}

int protocol_find(const struct protocol_hints *hints, struct protocol *protocol,
		  struct aws_error *error)
{
	bool is_path;

	*protocol =
	    (struct protocol){.form = ANSWER_QUERY, .json_type = "application/x-amz-json-1.0"};
	if (is_media_type(hints->content_type, "application/x-amz-json-1.1"))
		protocol->json_type = "application/x-amz-json-1.1";
	is_path = read_operation_path(hints->path, protocol);
	if (hints->smithy != NULL || is_path)
		return find_cbor(hints, is_path, protocol, error);
	if (hints->target != NULL || starts_with(hints->content_type, "application/x-amz-json"))
		return find_json(hints, protocol, error);
	if (is_media_type(hints->content_type, "application/json")) { /* some other service's */
		protocol->form = ANSWER_JSON;
		protocol->json_type = "application/json";
	}
	if (strcmp(hints->path, "/") != 0)
		return refuse(error, 404, "InvalidAction",
			      "The API is at the path / of this endpoint");
	if (hints->has_body && hints->content_type != NULL &&
	    !starts_with(hints->content_type, "application/x-www-form-urlencoded"))
		return refuse(error, 415, "UnsupportedMediaType",
			      "Content-Type must be application/x-www-form-urlencoded");
	return 0;
}

bool protocol_fits(const struct protocol *protocol, const struct aws_model *model)
{
	struct segment target = {protocol->target, protocol->target_len};

	if (!is_word(target, model->target) || target.len == 0)
		return false;
	if (protocol->form == ANSWER_CBOR)
		return model->smithy_namespace[0] != '\0';
	return strcmp(protocol->json_type, model->json_type) == 0;
}
