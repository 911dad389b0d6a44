/* See server_call.h: reading. */
#include "common/aws/server_call.h"

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/aws/gzip.h"

const char *call_header(const struct call *call, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(call->answer.http), name);
}

static const char *method_name(enum evhttp_cmd_type type)
{
	switch (type) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	case EVHTTP_REQ_OPTIONS:
		return "OPTIONS";
	case EVHTTP_REQ_PATCH:
		return "PATCH";
	case EVHTTP_REQ_TRACE:
	case EVHTTP_REQ_CONNECT:
		break;
	}
	return "?";
}

int call_refuse(struct call *call, int status, const char *code, const char *message)
{
	aws_error_set(&call->error, status, code, "%s", message);
	return -1;
}

/* The request as sigv4 wants it: pointers into evhttp's own. */
static int read_headers(struct call *call)
{
	struct evkeyvalq *list = evhttp_request_get_input_headers(call->answer.http);
	struct evkeyval *item;
	size_t n = 0;

	for (item = list->tqh_first; item != NULL; item = item->next.tqe_next)
		n++;
	call->headers = calloc(n + 1, sizeof(*call->headers));
	if (call->headers == NULL)
		return call_refuse(call, 500, "InternalFailure", "out of memory");
	call->request.headers = call->headers;
	for (item = list->tqh_first; item != NULL; item = item->next.tqe_next)
		call->headers[call->request.n_headers++] =
		    (struct sigv4_header){.name = item->key, .value = item->value};
	return 0;
}

int call_read(struct call *call)
{
	struct evhttp_request *http = call->answer.http;
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
	struct evbuffer *body = evhttp_request_get_input_buffer(http);
	const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);
	const char *query = uri == NULL ? NULL : evhttp_uri_get_query(uri);

	call->path = strdup(path == NULL || path[0] == '\0' ? "/" : path);
	if (call->path == NULL)
		return call_refuse(call, 500, "InternalFailure", "out of memory");
	call->request.method = method_name(evhttp_request_get_command(http));
	call->request.path = call->path;
	call->request.query = query == NULL ? "" : query;
	call->request.body_len = evbuffer_get_length(body);
	call->request.body = "";
	if (call->request.body_len > 0)
		call->request.body = (const char *)evbuffer_pullup(body, -1);
	if (call->request.body == NULL)
		return call_refuse(call, 500, "InternalFailure", "out of memory");
	return read_headers(call);
}

static int inflate_body(struct call *call)
{
	switch (gzip_inflate(call->request.body, call->request.body_len, API_MAX_BODY,
			     &call->inflated, &call->body_len)) {
	case GZIP_OK:
		call->body = call->inflated;
		return 0;
	case GZIP_MALFORMED:
		return call_refuse(call, 400, "MalformedInput", "The body is not what gzip writes");
	case GZIP_TOO_LARGE:
		return call_refuse(call, 413, "RequestEntityTooLarge",
				   "The body is larger than 2 MiB when inflated");
	case GZIP_NO_MEMORY:
		break;
	}
	return call_refuse(call, 500, "InternalFailure", "out of memory");
}

int call_read_body(struct call *call)
{
	const char *encoding = call_header(call, "Content-Encoding");

	call->body = call->request.body;
	call->body_len = call->request.body_len;
	if (encoding == NULL || strcasecmp(encoding, "identity") == 0)
		return 0;
	if (strcasecmp(encoding, "gzip") == 0)
		return inflate_body(call);
	return call_refuse(call, 415, "UnsupportedMediaType",
			   "Content-Encoding must be gzip or identity");
}

void call_fini(struct call *call)
{
	aws_form_free(call->form);
	free(call->inflated);
	free(call->headers);
	free(call->path);
}
