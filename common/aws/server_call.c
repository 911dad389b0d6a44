/*
 * One request to the API server: read, protected, routed, decoded, handled, answered.  Everything
 * it needs is in one struct call on the stack: handlers are synchronous, so it ends before the
 * callback does.
 */
#include "common/aws/server_call.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/server_route.h"
#include "common/base/clock.h"
#include "common/base/log.h"

static bool is_query(const struct call *call)
{
	return call->protocol.form == ANSWER_QUERY;
}

/*
 * Without credentials everybody who reaches the port is let in, and a page in a browser on this
 * machine does: by a form it posts, an image it loads, or a name of its own that it makes point
 * here.  All three show.
 */
static int check_not_a_browser(struct call *call)
{
	const char *site = call_header(call, "Sec-Fetch-Site");
	const char *host = call_header(call, "Host");

	call->answer.form = ANSWER_TEXT;
	if (call_header(call, "Origin") != NULL ||
	    (site != NULL && strcmp(site, "none") != 0 && strcmp(site, "same-origin") != 0))
		return call_refuse(
		    call, 403, "AccessDenied",
		    "This API has no Credentials configured and so takes no requests "
		    "from web pages (Origin or Sec-Fetch-Site header).");
	if (host != NULL && !route_is_local_host(host))
		return call_refuse(call, 403, "AccessDenied",
				   "This API has no Credentials configured and so answers only to "
				   "addresses and local names in Host. Use 127.0.0.1, or configure "
				   "Credentials.");
	call->answer.form = ANSWER_QUERY;
	return 0;
}

static int check_protocol(struct call *call)
{
	const struct protocol_hints hints = {.path = call->path,
					     .target = call_header(call, "X-Amz-Target"),
					     .smithy = call_header(call, "smithy-protocol"),
					     .content_type = call_header(call, "Content-Type"),
					     .has_body = call->request.body_len > 0};
	int result = protocol_find(&hints, &call->protocol, &call->error);

	call->answer.form = call->protocol.form;
	call->answer.json_type = call->protocol.json_type;
	if (call->protocol.action != NULL)
		call->action = call->protocol.action;
	return result;
}

static int read_form(struct call *call)
{
	bool is_in_body = call->body_len > 0;
	const char *text = is_in_body ? call->body : call->request.query;

	if (!is_query(call))
		return 0;
	call->form = aws_form_parse(text, is_in_body ? call->body_len : strlen(call->request.query),
				    &call->error);
	if (call->form == NULL)
		return -1;
	call->action = aws_form_get(call->form, "Action");
	if (call->action == NULL)
		call->action = "";
	return 0;
}

/* Is name one of the words in "a, b, c"? */
static bool is_word_of(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = list; *p != '\0';) {
		size_t word = strcspn(p, ", ");

		if (word == len && strncmp(p, name, len) == 0)
			return true;
		p += word;
		p += strspn(p, ", ");
	}
	return false;
}

static int refuse_service(struct call *call, const char *name)
{
	const struct aws_server *server = call->server;
	const struct aws_model *model = aws_model(name, NULL);
	struct buf ours = {0};

	if (model != NULL && is_word_of(server->beside, name)) {
		aws_error_set(&call->error, 400, "InvalidAction",
			      "This endpoint passes requests on to %s by their signature: sign it, "
			      "or put Version=%s into the query string",
			      name, model->version);
		return -1;
	}
	for (size_t i = 0; i < server->n_services; i++)
		buf_printf(&ours, "%s%s", i == 0 ? "" : ", ", server->services[i].model->service);
	if (server->beside[0] != '\0')
		buf_printf(&ours, ", %s", server->beside);
	aws_error_set(&call->error, 400, "InvalidAction",
		      "The service '%.64s' is not served here; this endpoint serves: %s", name,
		      buf_text(&ours));
	buf_fini(&ours);
	return -1;
}

/* Of a Query request; NULL with the error when nothing tells. */
static const char *service_name(struct call *call)
{
	const struct route_hints hints = {.scope_service = call->scope.service,
					  .version = aws_form_get(call->form, "Version"),
					  .host = call_header(call, "Host"),
					  .user_agent = call_header(call, "User-Agent")};
	const char *name = route_service(&hints);

	if (name != NULL)
		return name;
	if (call->action[0] == '\0')
		call_refuse(call, 400, "MissingAction",
			    "The request has no Action, no signature and no Version: nothing tells "
			    "which service and action it is for");
	else
		call_refuse(
		    call, 400, "MissingAuthenticationToken",
		    "The request has neither a signature nor a Version: nothing tells which "
		    "service its Action is of");
	return NULL;
}

static int check_version(struct call *call)
{
	const struct aws_model *model = call->service->model;
	const char *version = aws_form_get(call->form, "Version");

	if (version == NULL || strcmp(version, model->version) == 0 ||
	    model->protocol == AWS_EC2_QUERY)
		return 0;
	if (strcmp(version, "2012-06-01") == 0)
		return call_refuse(call, 400, "InvalidAction",
				   "Classic load balancers (Version 2012-06-01, 'aws elb') are not "
				   "supported; use Version 2015-12-01 ('aws elbv2')");
	aws_error_set(&call->error, 400, "NoSuchVersion",
		      "Version '%.32s' of %s is not supported; use %s", version, model->service,
		      model->version);
	return -1;
}

static int find_query_service(struct call *call)
{
	const char *name = service_name(call);

	if (name == NULL)
		return -1;
	call->answer.model = aws_model(name, NULL);
	call->service = server_service(call->server, name);
	if (call->service == NULL || call->service->model->protocol == AWS_JSON)
		return refuse_service(call, name);
	return check_version(call);
}

/* JSON and CBOR name their service in header or path. */
static int find_target_service(struct call *call)
{
	char name[64];

	for (size_t i = 0; i < call->server->n_services; i++) {
		if (!protocol_fits(&call->protocol, call->server->services[i].model))
			continue;
		call->service = &call->server->services[i];
		return 0;
	}
	snprintf(name, sizeof(name), "%.*s", (int)call->protocol.target_len, call->protocol.target);
	return refuse_service(call, name);
}

static int find_service(struct call *call)
{
	if ((is_query(call) ? find_query_service(call) : find_target_service(call)) != 0)
		return -1;
	call->answer.model = call->service->model;
	call->counted_service = call->service->model->service;
	return 0;
}

static int check_credentials(struct call *call)
{
	if (call->server->credentials == NULL)
		return 0;
	return sigv4_verify(&call->request, call->server->credentials, clock_now_ms(NULL),
			    &call->error);
}

/* What was signed for one service must not be good for another. */
static int check_scope(struct call *call)
{
	const char *service = call->service->model->service;

	if (call->server->credentials == NULL || strcmp(call->scope.service, service) == 0)
		return 0;
	aws_error_set(&call->error, 403, "SignatureDoesNotMatch",
		      "Credential should be scoped to correct service: '%s'.", service);
	return -1;
}

static const struct aws_action *find_action(const struct service *service, const char *name)
{
	for (size_t i = 0; i < service->n_actions; i++)
		if (strcmp(service->actions[i].name, name) == 0)
			return &service->actions[i];
	return NULL;
}

static void encode_answer(const struct call *call, const struct aws_operation *operation,
			  const json_t *output, struct buf *body)
{
	switch (call->protocol.form) {
	case ANSWER_JSON:
		aws_json_response_encode(operation, output, body);
		break;
	case ANSWER_CBOR:
		aws_cbor_response_encode(operation, output, body);
		break;
	case ANSWER_QUERY:
	case ANSWER_TEXT:
		aws_response_encode(call->service->model, operation, output, call->id, body);
		break;
	}
}

static void answer_call(struct call *call, const struct aws_operation *operation,
			const json_t *output)
{
	struct buf body = {0};

	encode_answer(call, operation, output, &body);
	if (buf_failed(&body))
		aws_error_set(&call->error, 500, "InternalFailure", "out of memory");
	else
		answer_body(&call->answer, 200, &body);
	buf_fini(&body);
}

static int run_handler(struct call *call, const struct aws_action *action,
		       const struct aws_operation *operation, const json_t *input)
{
	const char *host = call_header(call, "Host");
	const struct aws_call for_handler = {
	    .action = action->name,
	    .request_id = call->id,
	    .region = call->server->region,
	    .account_id = call->server->account_id,
	    .host = host == NULL ? "" : host,
	};
	json_t *output = action->handle(call->service->context, &for_handler, input, &call->error);

	if (output == NULL) {
		if (call->error.http_status != 0)
			return -1;
		log_error("api-handler", "action=%s why=\"neither output nor error\"",
			  action->name);
		return call_refuse(call, 500, "InternalFailure", "The handler gave no answer");
	}
	call->error = (struct aws_error){0};
	answer_call(call, operation, output);
	json_decref(output);
	return call->error.http_status == 0 ? 0 : -1;
}

static json_t *decode_input(struct call *call, const struct aws_operation *operation)
{
	const struct aws_model *model = call->service->model;

	switch (call->protocol.form) {
	case ANSWER_JSON:
		return aws_json_request_decode(model, operation, call->body, call->body_len,
					       &call->error);
	case ANSWER_CBOR:
		return aws_cbor_request_decode(model, operation, call->body, call->body_len,
					       &call->error);
	case ANSWER_QUERY:
	case ANSWER_TEXT:
		break;
	}
	return aws_request_decode(model, operation, call->form, &call->error);
}

static int run_action(struct call *call)
{
	const struct aws_action *action;
	const struct aws_operation *operation;
	json_t *input;
	int result;

	if (call->action[0] == '\0')
		return call_refuse(call, 400, "MissingAction", "The request has no Action");
	action = find_action(call->service, call->action);
	operation = action == NULL ? NULL : aws_operation_find(call->service->model, action->name);
	if (operation == NULL) {
		aws_error_set(&call->error, 400, "InvalidAction",
			      "The action '%.64s' is not supported for %s", call->action,
			      call->service->model->service);
		return -1;
	}
	call->counted_action = action->name;
	input = decode_input(call, operation);
	if (input == NULL)
		return -1;
	result = run_handler(call, action, operation, input);
	json_decref(input);
	return result;
}

/*
 * A request that nobody signed is refused in the form of its service too, where that shows without
 * much work for a stranger.
 */
static void guess_model(struct call *call)
{
	enum { MAX_GUESS_BODY = 4096 };
	struct aws_error why = call->error;

	if (is_query(call) && call->request.body_len <= MAX_GUESS_BODY &&
	    call_header(call, "Content-Encoding") == NULL && call_read_body(call) == 0 &&
	    read_form(call) == 0)
		(void)find_query_service(call);
	call->error = why;
}

static int check_signature(struct call *call)
{
	/* So that a bad signature is refused in the form of the service it is for. */
	if (call->scope.is_present)
		call->answer.model = aws_model(call->scope.service, NULL);
	if (check_credentials(call) == 0)
		return 0;
	if (!call->scope.is_present)
		guess_model(call);
	return -1;
}

/* Before the signature, which costs by the byte. */
static int check_size(struct call *call)
{
	if (call->request.body_len <= API_MAX_BODY)
		return 0;
	if (call->scope.is_present)
		call->answer.model = aws_model(call->scope.service, NULL);
	return call_refuse(call, 413, "RequestEntityTooLarge", "The body is larger than 2 MiB");
}

/* REST services that read errors in XML; the others want JSON. */
static bool reads_xml(const char *service)
{
	static const char *const services[] = {"s3", "route53", "cloudfront"};

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (strcmp(services[i], service) == 0)
			return true;
	return false;
}

/* Services of others have paths, methods and types of their own: their name says more. */
static int refuse_protocol(struct call *call, const struct aws_error *why)
{
	const char *service = call->scope.service;

	if (!call->scope.is_present || server_service(call->server, service) != NULL) {
		call->error = *why;
		return -1;
	}
	if (is_query(call) && !reads_xml(service)) {
		call->answer.form = ANSWER_JSON;
		call->answer.json_type = "application/json";
	}
	return refuse_service(call, service);
}

/* 0: answered.  -1: the error is to be. */
static int handle_api(struct call *call)
{
	struct aws_error why;
	int is_foreign;

	if (call->server->credentials == NULL && check_not_a_browser(call) != 0)
		return -1;
	is_foreign = check_protocol(call);
	why = call->error;
	if (sigv4_scope(&call->request, &call->scope, &call->error) != 0 || check_size(call) != 0 ||
	    check_signature(call) != 0)
		return -1;
	if (is_foreign != 0)
		return refuse_protocol(call, &why);
	if (call_read_body(call) != 0 || read_form(call) != 0 || find_service(call) != 0 ||
	    check_scope(call) != 0)
		return -1;
	return run_action(call);
}

static void log_call(const struct call *call, int64_t started_us)
{
	const char *invocation = call_header(call, "amz-sdk-invocation-id");

	log_debug("api-call",
		  "id=%s service=%s action=%s status=%d code=%s us=%lld invocation=%s why=\"%s\"",
		  call->id, call->counted_service, call->counted_action,
		  call->error.http_status == 0 ? 200 : call->error.http_status,
		  call->error.code[0] == '\0' ? "OK" : call->error.code,
		  (long long)(clock_monotonic_us() - started_us),
		  invocation == NULL ? "-" : invocation, call->error.message);
}

static void serve_api(struct call *call)
{
	int64_t started_us = clock_monotonic_us();

	if (handle_api(call) != 0)
		answer_error(&call->answer, &call->error);
	api_counts_add(call->server->counts, call->counted_service, call->counted_action,
		       call->error.code);
	log_call(call, started_us);
}

static void serve_page(struct call *call, const struct page *page)
{
	struct buf body = {0};
	struct aws_page request = {
	    .path = call->path, .query = call->request.query, .status = 200, .body = &body};

	page->fn(page->context, &request);
	if (buf_failed(&body)) {
		aws_error_set(&call->error, 500, "InternalFailure", "out of memory");
		call->answer.form = ANSWER_TEXT;
		answer_error(&call->answer, &call->error);
	} else {
		answer_page(&call->answer, request.status,
			    request.content_type == NULL ? "text/plain; charset=utf-8"
							 : request.content_type,
			    &body);
	}
	buf_fini(&body);
}

static bool has_key(const struct call *call, const struct page *inbox)
{
	const char *given = call_header(call, "X-Api-Key");
	size_t len = strlen(inbox->key);

	return given != NULL && strlen(given) == len && CRYPTO_memcmp(given, inbox->key, len) == 0;
}

static int check_inbox(struct call *call, const struct page *inbox)
{
	if (inbox->key != NULL && has_key(call, inbox))
		return 0;
	if (inbox->key != NULL)
		return call_refuse(call, 403, "AccessDenied",
				   "The header X-Api-Key is missing or wrong.");
	if (call->server->credentials != NULL)
		return call_refuse(call, 403, "AccessDenied",
				   "This API has Credentials; who posts here needs a key of his "
				   "own, and none is configured.");
	return check_not_a_browser(call);
}

static void serve_inbox(struct call *call, const struct page *inbox)
{
	struct buf body = {0};
	struct aws_page request = {
	    .path = call->path, .query = call->request.query, .status = 200, .body = &body};

	call->answer.form = ANSWER_TEXT;
	if (check_inbox(call, inbox) != 0 || check_size(call) != 0 || call_read_body(call) != 0) {
		call->answer.form = ANSWER_TEXT;
		answer_error(&call->answer, &call->error);
		return;
	}
	request.sent = call->body;
	request.sent_len = call->body_len;
	inbox->fn(inbox->context, &request);
	answer_page(&call->answer, request.status,
		    request.content_type == NULL ? "text/plain; charset=utf-8"
						 : request.content_type,
		    &body);
	buf_fini(&body);
}

static const struct page *find_page(const struct aws_server *server, const char *path,
				    bool is_inbox)
{
	for (size_t i = 0; i < server->n_pages; i++)
		if (server->pages[i].is_inbox == is_inbox &&
		    strcmp(server->pages[i].path, path) == 0)
			return &server->pages[i];
	return NULL;
}

/* A GET that carries an Action, or a signature, is an API call too. */
static bool is_api_query(const char *query)
{
	return strncmp(query, "Action=", 7) == 0 || strstr(query, "&Action=") != NULL ||
	       strstr(query, "X-Amz-Signature=") != NULL;
}

static bool is_signed(const struct call *call)
{
	const char *authorization = call_header(call, "Authorization");

	return authorization != NULL && strncmp(authorization, "AWS4-", 5) == 0;
}

static void dispatch(struct call *call)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(call->answer.http);
	bool is_get = method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD;
	bool is_root = strcmp(call->path, "/") == 0;
	const struct page *page = find_page(call->server, call->path, false);
	const struct page *inbox = find_page(call->server, call->path, true);

	if (method == EVHTTP_REQ_POST && inbox != NULL) {
		serve_inbox(call, inbox);
		return;
	}
	if (method == EVHTTP_REQ_POST || (is_signed(call) && (!is_get || page == NULL)) ||
	    (is_get && is_root && is_api_query(call->request.query)) ||
	    (is_get && is_root && page == NULL)) {
		serve_api(call);
		return;
	}
	if (is_get && page != NULL) {
		serve_page(call, page);
		return;
	}
	call->answer.form = ANSWER_TEXT;
	if (is_get)
		call_refuse(call, 404, "NotFound", "There is no such page here.");
	else
		call_refuse(call, 405, "MethodNotAllowed",
			    "Only GET, HEAD and POST are served here.");
	answer_error(&call->answer, &call->error);
}

void server_on_request(struct evhttp_request *http, void *arg)
{
	struct call call = {.server = arg,
			    .answer = {.http = http},
			    .action = "",
			    .counted_service = "none",
			    .counted_action = "none"};

	call.answer.request_id = id_uuid(NULL, call.id);
	if (call_read(&call) == 0)
		dispatch(&call);
	else
		answer_error(&call.answer, &call.error);
	call_fini(&call);
}
