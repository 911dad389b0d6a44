/* AWS errors: as structs, and as the XML of an answer. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/aws/codec.h"
#include "common/aws/xml_text.h"

void aws_error_set(struct aws_error *error, int http_status, const char *code, const char *format,
		   ...)
{
	va_list args;

	error->http_status = http_status;
	snprintf(error->code, sizeof(error->code), "%s", code);
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
}

static void add_code_and_message(struct buf *xml, const struct aws_error *error)
{
	xml_add_element(xml, "Code", error->code);
	xml_add_element(xml, "Message", error->message);
}

static void encode_ec2(const struct aws_error *error, const char *request_id, struct buf *xml)
{
	buf_add_str(xml, XML_DECLARATION "<Response><Errors><Error>");
	add_code_and_message(xml, error);
	buf_add_str(xml, "</Error></Errors>");
	xml_add_element(xml, "RequestID", request_id);
	buf_add_str(xml, "</Response>");
}

void aws_error_encode(const struct aws_model *model, const struct aws_error *error,
		      const char *request_id, struct buf *xml)
{
	if (model->protocol == AWS_EC2_QUERY) {
		encode_ec2(error, request_id, xml);
		return;
	}
	buf_printf(xml, "<ErrorResponse xmlns=\"%s\"><Error>", model->xml_namespace);
	xml_add_element(xml, "Type", error->http_status >= 500 ? "Receiver" : "Sender");
	add_code_and_message(xml, error);
	buf_add_str(xml, "</Error>");
	xml_add_element(xml, "RequestId", request_id);
	buf_add_str(xml, "</ErrorResponse>");
}
