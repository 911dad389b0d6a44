/* See server_answer.h. */
#include "common/aws/server_answer.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"

static void add_header(struct evhttp_request *http, const char *name, const char *value)
{
	if (evhttp_add_header(evhttp_request_get_output_headers(http), name, value) != 0)
		log_error("api-answer", "header=%s why=\"out of memory\"", name);
}

static void add_common_headers(const struct answer *answer, const char *content_type, size_t len)
{
	static const char format[] = "%a, %d %b %Y %H:%M:%S GMT";
	time_t now = time(NULL);
	char text[64];
	struct tm utc;

	gmtime_r(&now, &utc);
	strftime(text, sizeof(text), format, &utc);
	add_header(answer->http, "Date", text);
	add_header(answer->http, "x-amzn-RequestId", answer->request_id);
	add_header(answer->http, "Content-Type", content_type);
	snprintf(text, sizeof(text), "%zu", len);
	add_header(answer->http, "Content-Length", text);
}

/* HEAD gets the headers of GET: RFC 9110 9.3.2.  evhttp would send the body, so it gets none. */
static void send_body(const struct answer *answer, int status, const char *content_type,
		      const char *body, size_t len)
{
	struct evbuffer *out = evbuffer_new();
	bool is_head = evhttp_request_get_command(answer->http) == EVHTTP_REQ_HEAD;

	if (out == NULL || (!is_head && evbuffer_add(out, body, len) != 0)) {
		if (out != NULL)
			evbuffer_free(out);
		evhttp_send_error(answer->http, 500, NULL);
		return;
	}
	add_common_headers(answer, content_type, len);
	evhttp_send_reply(answer->http, status, NULL, out);
	evbuffer_free(out);
}

static const char *xml_type(const struct aws_model *model)
{
	return model != NULL && model->protocol == AWS_EC2_QUERY ? "text/xml;charset=UTF-8"
								 : "text/xml";
}

void answer_body(const struct answer *answer, int status, const struct buf *body)
{
	const char *type = NULL;

	switch (answer->form) {
	case ANSWER_QUERY:
		type = xml_type(answer->model);
		break;
	case ANSWER_JSON:
		type = answer->json_type;
		break;
	case ANSWER_CBOR:
		type = "application/cbor";
		/* Without it clients take the answer for another protocol's. */
		add_header(answer->http, "smithy-protocol", "rpc-v2-cbor");
		break;
	case ANSWER_TEXT:
		type = "text/plain; charset=utf-8";
		break;
	}
	send_body(answer, status, type, buf_text(body), body->len);
}

void answer_page(const struct answer *answer, int status, const char *content_type,
		 const struct buf *body)
{
	send_body(answer, status, content_type, buf_text(body), body->len);
}

static void add_escaped(struct buf *xml, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '<')
			buf_add_str(xml, "&lt;");
		else if (*text == '&')
			buf_add_str(xml, "&amp;");
		else if (*text == '>')
			buf_add_str(xml, "&gt;");
		else
			buf_add_char(xml, (unsigned char)*text < ' ' ? ' ' : *text);
	}
}

/* For requests that no model stands behind: the form that most services share. */
static void encode_plain_error(const struct aws_error *error, const char *request_id,
			       struct buf *xml)
{
	buf_add_str(xml, "<ErrorResponse><Error><Type>Sender</Type><Code>");
	add_escaped(xml, error->code);
	buf_add_str(xml, "</Code><Message>");
	add_escaped(xml, error->message);
	buf_printf(xml, "</Message></Error><RequestId>%s</RequestId></ErrorResponse>\n",
		   request_id);
}

static void add_query_error(const struct answer *answer, const struct aws_error *error)
{
	char text[sizeof(error->code) + 16];

	snprintf(text, sizeof(text), "%s;%s", error->code,
		 error->http_status < 500 ? "Sender" : "Receiver");
	add_header(answer->http, "x-amzn-query-error", text);
}

/* The code that clients of a Query service know, for those that now speak another protocol. */
static bool wants_query_error(const struct answer *answer)
{
	return answer->form == ANSWER_CBOR || answer->model == NULL ||
	       answer->model->protocol == AWS_QUERY;
}

static void encode_error(const struct answer *answer, const struct aws_error *error,
			 struct buf *body)
{
	switch (answer->form) {
	case ANSWER_JSON:
		aws_json_error_encode(answer->model, error, body);
		break;
	case ANSWER_CBOR:
		aws_cbor_error_encode(answer->model, error, body);
		break;
	case ANSWER_TEXT:
		buf_printf(body, "%s\n", error->message);
		break;
	case ANSWER_QUERY:
		if (answer->model != NULL)
			aws_error_encode(answer->model, error, answer->request_id, body);
		else
			encode_plain_error(error, answer->request_id, body);
		break;
	}
}

void answer_error(const struct answer *answer, const struct aws_error *error)
{
	bool is_binary = answer->form == ANSWER_JSON || answer->form == ANSWER_CBOR;
	struct buf body = {0};

	encode_error(answer, error, &body);
	if (is_binary && wants_query_error(answer))
		add_query_error(answer, error);
	answer_body(answer, error->http_status, &body);
	buf_fini(&body);
}
