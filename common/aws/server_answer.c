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

void answer_xml(const struct answer *answer, int status, const struct buf *xml)
{
	send_body(answer, status, xml_type(answer->model), buf_text(xml), xml->len);
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

static void answer_json_error(const struct answer *answer, const struct aws_error *error)
{
	struct buf body = {0};

	add_query_error(answer, error);
	aws_json_error_encode(answer->model, error, &body);
	answer_page(answer, error->http_status, ANSWER_JSON_TYPE, &body);
	buf_fini(&body);
}

/* RFC 8949 3: a text string's head, then its bytes. */
static void add_cbor_text(struct buf *cbor, const char *text)
{
	size_t len = strlen(text);

	if (len < 24) {
		buf_add_char(cbor, (char)(0x60 | len));
	} else if (len < 256) {
		buf_add_char(cbor, 0x78);
		buf_add_char(cbor, (char)len);
	} else {
		buf_add_char(cbor, 0x79);
		buf_add_char(cbor, (char)(len >> 8));
		buf_add_char(cbor, (char)len);
	}
	buf_add(cbor, text, len);
}

static void answer_cbor_error(const struct answer *answer, const struct aws_error *error)
{
	struct buf cbor = {0};

	buf_add_char(&cbor, (char)0xa2); /* a map of two */
	add_cbor_text(&cbor, "__type");
	add_cbor_text(&cbor, error->code);
	add_cbor_text(&cbor, "message");
	add_cbor_text(&cbor, error->message);
	add_query_error(answer, error);
	add_header(answer->http, "smithy-protocol", "rpc-v2-cbor");
	send_body(answer, error->http_status, "application/cbor", buf_text(&cbor), cbor.len);
	buf_fini(&cbor);
}

void answer_error(const struct answer *answer, const struct aws_error *error)
{
	struct buf body = {0};

	switch (answer->form) {
	case ANSWER_JSON:
		answer_json_error(answer, error);
		return;
	case ANSWER_CBOR:
		answer_cbor_error(answer, error);
		return;
	case ANSWER_TEXT:
		buf_printf(&body, "%s\n", error->message);
		answer_page(answer, error->http_status, "text/plain; charset=utf-8", &body);
		break;
	case ANSWER_QUERY:
		if (answer->model != NULL)
			aws_error_encode(answer->model, error, answer->request_id, &body);
		else
			encode_plain_error(error, answer->request_id, &body);
		answer_xml(answer, error->http_status, &body);
		break;
	}
	buf_fini(&body);
}
