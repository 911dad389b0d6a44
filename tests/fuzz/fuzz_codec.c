/*
 * Fuzzes the codec.  Byte 0 says what the rest is (a form, an answer's XML, a
 * document to answer with, a JSON request, an error's message), byte 1 which action of which
 * service it is for.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/codec.h"
#include "common/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const services[] = {"elasticloadbalancing", "autoscaling", "monitoring", "ec2",
				       "sts"};

struct subject {
	const struct aws_model *model;
	const struct aws_operation *operation;
};

static struct subject pick(unsigned n)
{
	const struct aws_model *model =
	    aws_model(services[n % (sizeof(services) / sizeof(services[0]))], NULL);
	size_t i = n / (sizeof(services) / sizeof(services[0])) % model->n_operations;

	return (struct subject){model, &model->operations[i]};
}

/* What was decoded can be sent again. */
static void fuzz_form(struct subject subject, const char *text, size_t len)
{
	struct aws_error error = {0};
	struct aws_form *form = aws_form_parse(text, len, &error);
	json_t *input =
	    form ? aws_request_decode(subject.model, subject.operation, form, &error) : NULL;
	struct buf again = {0};
	struct err err = {0};

	CHECK(input || error.http_status != 0);
	if (input)
		CHECK(aws_request_encode(subject.model, subject.operation, input, &again, &err) ==
		      0);
	json_decref(input);
	aws_form_free(form);
	buf_fini(&again);
}

static void fuzz_answer(struct subject subject, const char *xml, size_t len)
{
	struct aws_error error = {0};
	json_t *output = aws_response_decode(subject.model, subject.operation, xml, len, &error);
	struct buf again = {0};

	CHECK(output || error.http_status != 0);
	aws_error_decode(500, xml, len, &error);
	CHECK(error.code[0] != '\0');
	if (output)
		aws_response_encode(subject.model, subject.operation, output, "id", &again);
	json_decref(output);
	buf_fini(&again);
}

static void fuzz_document(struct subject subject, const char *text, size_t len)
{
	json_t *output = json_loadb(text, len, 0, NULL);
	struct buf xml = {0}, json = {0};

	if (output) {
		aws_response_encode(subject.model, subject.operation, output, "id", &xml);
		aws_json_response_encode(subject.operation, output, &json);
	}
	json_decref(output);
	buf_fini(&xml);
	buf_fini(&json);
}

static void fuzz_json(struct subject subject, const char *text, size_t len)
{
	struct aws_error error = {0};
	json_t *input =
	    aws_json_request_decode(subject.model, subject.operation, text, len, &error);

	CHECK(input || error.http_status != 0);
	json_decref(input);
}

/* Whatever the message holds, the client can read the code. */
static void fuzz_message(struct subject subject, const char *text, size_t len)
{
	struct aws_error error = {0}, got = {0};
	struct buf xml = {0};

	aws_error_set(&error, 400, "Some.Code", "%.*s", (int)len, text);
	aws_error_encode(subject.model, &error, "id", &xml);
	aws_error_decode(400, xml.data, xml.len, &got);
	CHECK(strcmp(got.code, "Some.Code") == 0);
	buf_fini(&xml);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct subject subject;
	const char *text = (const char *)data + 2;

	if (size < 2)
		return 0;
	subject = pick(data[1]);
	switch (data[0] % 5) {
	case 0:
		fuzz_form(subject, text, size - 2);
		break;
	case 1:
		fuzz_answer(subject, text, size - 2);
		break;
	case 2:
		fuzz_document(subject, text, size - 2);
		break;
	case 3:
		fuzz_json(subject, text, size - 2);
		break;
	default:
		fuzz_message(subject, text, size - 2);
		break;
	}
	return 0;
}
