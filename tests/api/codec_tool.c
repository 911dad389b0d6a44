/*
 * The codec for tests/api/test_codec.py: reads lines "WAY<tab>SERVICE<tab>ACTION<tab>TEXT" and
 * answers each with a line.  encode: JSON -> form; decode: form -> JSON; answer: JSON -> XML.  For
 * a service that speaks JSON the wire is JSON too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/codec.h"

struct job {
	const char *way, *text;
	const struct aws_model *model;
	const struct aws_operation *operation;
};

static void encode(const struct job *job, struct buf *out)
{
	json_t *input = json_loads(job->text, 0, NULL);
	struct err err = {0};

	if (aws_request_encode(job->model, job->operation, input, out, &err) < 0) {
		buf_clear(out);
		buf_printf(out, "error: %s", err.text);
	}
	json_decref(input);
}

static json_t *read_request(const struct job *job, struct aws_error *error)
{
	size_t len = strlen(job->text);
	struct aws_form *form;
	json_t *input;

	if (job->model->protocol == AWS_JSON)
		return aws_json_request_decode(job->model, job->operation, job->text, len, error);
	form = aws_form_parse(job->text, len, error);
	input = form ? aws_request_decode(job->model, job->operation, form, error) : NULL;
	aws_form_free(form);
	return input;
}

static void decode(const struct job *job, struct buf *out)
{
	struct aws_error error = {0};
	json_t *input = read_request(job, &error);
	char *text = input ? json_dumps(input, JSON_COMPACT) : NULL;

	if (text)
		buf_add_str(out, text);
	else
		buf_printf(out, "error: %s: %s", error.code, error.message);
	free(text);
	json_decref(input);
}

static void answer(const struct job *job, struct buf *out)
{
	json_t *output = json_loads(job->text, 0, NULL);

	if (job->model->protocol == AWS_JSON)
		aws_json_response_encode(job->operation, output, out);
	else
		aws_response_encode(job->model, job->operation, output, "id", out);
	for (size_t i = 0; i < out->len; i++) /* after the XML declaration */
		out->data[i] = out->data[i] == '\n' ? ' ' : out->data[i];
	json_decref(output);
}

static void run(char *line)
{
	struct buf out = {0};
	struct job job = {.way = strtok(line, "\t")};

	job.model = aws_model(strtok(NULL, "\t"), NULL);
	job.operation = aws_operation_find(job.model, strtok(NULL, "\t"));
	job.text = strtok(NULL, "");
	job.text = job.text ? job.text : "";
	if (strcmp(job.way, "encode") == 0)
		encode(&job, &out);
	else if (strcmp(job.way, "decode") == 0)
		decode(&job, &out);
	else
		answer(&job, &out);
	puts(buf_text(&out));
	fflush(stdout);
	buf_fini(&out);
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while ((len = getline(&line, &room, stdin)) > 0) {
		line[len - 1] = '\0';
		run(line);
	}
	free(line);
	return 0;
}
