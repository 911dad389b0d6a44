/*
 * Fuzzes SigV4 verification with whole requests: "METHOD PATH?QUERY" LF, "Name: value" LF ...,
 * LF, body.  Whatever comes in: no crash, and nothing verifies that the secret did not sign.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/sigv4.h"

enum { MAX_HEADERS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Cuts the next line off; NULL at the end of the head. */
static char *next_line(char **rest)
{
	char *line = *rest, *end = strchr(line, '\n');

	if (end == NULL)
		return NULL;
	*end = '\0';
	*rest = end + 1;
	return *line == '\0' ? NULL : line;
}

static void read_headers(char **rest, struct sigv4_request *request, struct sigv4_header *headers)
{
	char *line;

	while (request->n_headers < MAX_HEADERS && (line = next_line(rest)) != NULL) {
		char *colon = strstr(line, ": ");

		if (colon == NULL)
			continue;
		*colon = '\0';
		headers[request->n_headers++] =
		    (struct sigv4_header){.name = line, .value = colon + 2};
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static json_t *credentials;
	struct sigv4_header headers[MAX_HEADERS];
	struct sigv4_request request = {.headers = headers, .query = "", .path = "/"};
	struct sigv4_scope scope;
	struct aws_error error = {0};
	char *text = malloc(size + 1), *rest = text, *query;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (credentials == NULL) /* of nobody's vector: nothing may verify */
		credentials = json_pack("[{s:s,s:s}]", "AccessKeyId", "AKIALABEXAMPLE000001",
					"SecretAccessKey", "not the one that signed");
	request.method = next_line(&rest);
	if (request.method == NULL)
		goto out;
	request.path = strchr(request.method, ' ');
	if (request.path == NULL)
		goto out;
	*(char *)(uintptr_t)request.path++ = '\0';
	query = strchr(request.path, '?');
	if (query != NULL) {
		*query = '\0';
		request.query = query + 1;
	}
	read_headers(&rest, &request, headers);
	request.body = rest;
	request.body_len = strlen(rest);
	if (sigv4_scope(&request, &scope, &error) != 0)
		CHECK(error.http_status >= 400 && error.code[0] != '\0');
	error = (struct aws_error){0};
	CHECK(sigv4_verify(&request, credentials, 1767323045000, &error) != 0);
	CHECK(error.http_status >= 400 && error.code[0] != '\0' && error.message[0] != '\0');
out:
	free(text);
	return 0;
}
