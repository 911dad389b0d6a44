/* See imds.h: the HTTP side. */
#include "lab/runtime/imds.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/doc/doc.h"

enum {
	MAX_TTL_S = 21600,
	TIMEOUT_S = 10,
	MAX_BODY = 1024,
	MAX_HEADERS = 8192,
	TOKEN_BYTES = 8 + 32,                  /* expiry in ms, HMAC-SHA256 over it */
	TOKEN_LEN = (TOKEN_BYTES + 2) / 3 * 4, /* in base64 */
	TOKEN_TEXT = 64,
};

#define TTL_HEADER "X-aws-ec2-metadata-token-ttl-seconds"
#define TOKEN_HEADER "X-aws-ec2-metadata-token"

struct imds {
	struct evhttp *http;
	char instance_id[ID_TEXT_MAX];
	imds_tree_fn tree;
	void *arg;
	uint64_t secret[4]; /* signs tokens: none need be remembered */
};

/* --- tokens: expiry and its HMAC, as base64 --- */

static void sign(const struct imds *imds, int64_t expires_ms, unsigned char bytes[TOKEN_BYTES])
{
	unsigned len = 32;

	memcpy(bytes, &expires_ms, 8);
	HMAC(EVP_sha256(), imds->secret, sizeof(imds->secret), bytes, 8, bytes + 8, &len);
}

static void make_token(const struct imds *imds, int64_t expires_ms, char text[TOKEN_TEXT])
{
	unsigned char bytes[TOKEN_BYTES];

	sign(imds, expires_ms, bytes);
	EVP_EncodeBlock((unsigned char *)text, bytes, TOKEN_BYTES);
	for (char *c = text; *c != '\0'; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
}

static bool is_token_good(const struct imds *imds, const char *token)
{
	unsigned char given[TOKEN_BYTES + 3], good[TOKEN_BYTES];
	char text[TOKEN_TEXT];
	int64_t expires_ms;

	if (strlen(token) != TOKEN_LEN)
		return false;
	snprintf(text, sizeof(text), "%s", token);
	for (char *c = text; *c != '\0'; c++)
		*c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
	if (EVP_DecodeBlock(given, (unsigned char *)text, (int)strlen(text)) < TOKEN_BYTES)
		return false;
	memcpy(&expires_ms, given, 8);
	sign(imds, expires_ms, good);
	return CRYPTO_memcmp(given, good, TOKEN_BYTES) == 0 && expires_ms > clock_now_ms(NULL);
}

/* --- answers --- */

static void answer(struct evhttp_request *request, int status, const char *type, const char *text,
		   size_t len)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evbuffer_new();

	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Server", "EC2ws");
	if (body == NULL || evbuffer_add(body, text, len) != 0)
		status = 500;
	evhttp_send_reply(request, status, NULL, body);
	if (body != NULL)
		evbuffer_free(body);
}

static void refuse(struct evhttp_request *request, int status, const char *why)
{
	char page[160];

	snprintf(page, sizeof(page), "<html><head><title>%d - %s</title></head></html>\n", status,
		 why);
	answer(request, status, "text/html", page, strlen(page));
}

static void give_token(const struct imds *imds, struct evhttp_request *request)
{
	struct evkeyvalq *in = evhttp_request_get_input_headers(request);
	const char *ttl = evhttp_find_header(in, TTL_HEADER);
	char token[TOKEN_TEXT], *end = NULL;
	long seconds = ttl != NULL ? strtol(ttl, &end, 10) : 0;

	if (strcmp(evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request)),
		   "/latest/api/token") != 0)
		return refuse(request, 404, "Not Found");
	if (evhttp_find_header(in, "X-Forwarded-For") != NULL)
		return refuse(request, 403, "Forbidden");
	if (ttl == NULL || end == ttl || *end != '\0' || seconds < 1 || seconds > MAX_TTL_S)
		return refuse(request, 400, "Bad Request");
	make_token(imds, clock_now_ms(NULL) + seconds * 1000, token);
	evhttp_add_header(evhttp_request_get_output_headers(request), TTL_HEADER, ttl);
	answer(request, 200, "text/plain", token, strlen(token));
}

static void give_document(const struct imds *imds, struct evhttp_request *request,
			  const json_t *tree)
{
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
	const json_t *options = doc_object(tree, "options");
	bool is_required = strcmp(doc_str(options, "HttpTokens", "required"), "required") == 0;
	const char *token =
	    evhttp_find_header(evhttp_request_get_input_headers(request), TOKEN_HEADER);
	struct buf text = {0};

	if (token != NULL ? !is_token_good(imds, token) : is_required)
		return refuse(request, 401, "Unauthorized");
	if (!imds_find(tree, path, &text)) {
		refuse(request, 404, "Not Found");
		goto out;
	}
	answer(request, 200,
	       strstr(path, "/instance-identity/document") ? "application/json" : "text/plain",
	       buf_text(&text), text.len);
out:
	buf_fini(&text);
}

static void on_request(struct evhttp_request *request, void *arg)
{
	const struct imds *imds = arg;
	json_t *tree = imds->tree(imds->arg, imds->instance_id);
	const char *endpoint = doc_str(doc_object(tree, "options"), "HttpEndpoint", "enabled");
	enum evhttp_cmd_type method = evhttp_request_get_command(request);

	if (tree == NULL)
		refuse(request, 404, "Not Found");
	else if (strcmp(endpoint, "disabled") == 0)
		refuse(request, 403, "Forbidden");
	else if (method == EVHTTP_REQ_PUT)
		give_token(imds, request);
	else if (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD)
		give_document(imds, request, tree);
	else
		refuse(request, 405, "Method Not Allowed");
	json_decref(tree);
}

struct imds *imds_new(struct event_base *base, const char *address, const char *instance_id,
		      imds_tree_fn tree, void *arg, struct err *err)
{
	struct imds *imds = calloc(1, sizeof(*imds));

	if (imds == NULL)
		goto oom;
	snprintf(imds->instance_id, sizeof(imds->instance_id), "%s", instance_id);
	imds->tree = tree;
	imds->arg = arg;
	for (int i = 0; i < 4; i++)
		imds->secret[i] = id_random(NULL);
	imds->http = evhttp_new(base);
	if (imds->http == NULL)
		goto oom;
	evhttp_set_timeout(imds->http, TIMEOUT_S);
	evhttp_set_max_body_size(imds->http, MAX_BODY);
	evhttp_set_max_headers_size(imds->http, MAX_HEADERS);
	evhttp_set_allowed_methods(imds->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
						   EVHTTP_REQ_POST | EVHTTP_REQ_DELETE);
	evhttp_set_gencb(imds->http, on_request, imds);
	errno = 0;
	if (evhttp_bind_socket_with_handle(imds->http, address, IMDS_PORT) != NULL)
		return imds;
	err_set(err, errno != 0 ? errno : EADDRINUSE, "%s:%d: %s", address, IMDS_PORT,
		strerror(errno != 0 ? errno : EADDRINUSE));
	goto fail;
oom:
	err_set(err, ENOMEM, "out of memory");
fail:
	imds_free(imds);
	return NULL;
}

void imds_free(struct imds *imds)
{
	if (imds == NULL)
		return;
	if (imds->http != NULL)
		evhttp_free(imds->http);
	free(imds);
}
