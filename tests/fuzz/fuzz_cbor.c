/*
 * Fuzzes CBOR requests.  Byte 0 says which of CloudWatch's actions it is for, the rest is the body.
 * What is taken can be answered with, and the answer is CBOR again.
 */
#include <stdint.h>

#include "common/aws/cbor_read.h"
#include "common/aws/codec.h"
#include "common/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer_with(const struct aws_operation *operation, const json_t *document)
{
	struct buf cbor = {0};
	const char *why = NULL;
	json_t *again;

	aws_cbor_response_encode(operation, document, &cbor);
	if (!buf_failed(&cbor)) { /* too deep, or a time that is none */
		again = cbor_read(buf_text(&cbor), cbor.len, &why);
		CHECK(json_is_object(again));
		json_decref(again);
	}
	buf_fini(&cbor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct aws_model *model = aws_model("monitoring", NULL);
	const struct aws_operation *operation;
	struct aws_error error = {0};
	struct buf cbor = {0};
	const char *why = NULL;
	json_t *value, *input;

	if (size == 0)
		return 0;
	operation = &model->operations[data[0] % model->n_operations];
	value = cbor_read(data + 1, size - 1, &why);
	CHECK((value == NULL) == (why != NULL));
	if (value != NULL)
		answer_with(operation, value);
	json_decref(value);
	input = aws_cbor_request_decode(model, operation, (const char *)data + 1, size - 1, &error);
	CHECK((input == NULL) == (error.http_status != 0));
	if (input == NULL)
		aws_cbor_error_encode(model, &error, &cbor);
	CHECK(!buf_failed(&cbor));
	buf_fini(&cbor);
	json_decref(input);
	return 0;
}
