/* See compile_edits.h. */
#include "lb/control/compile_edits.h"

#include <string.h>

#include "common/base/log.h"
#include "lb/api/resource.h"

#define RESPONSE_VALUE(name) "routing.http.response." name ".header_value"

static const struct {
	const char *key, *header;
} response_headers[] = {
    {RESPONSE_VALUE("strict_transport_security"), "Strict-Transport-Security"},
    {RESPONSE_VALUE("access_control_allow_origin"), "Access-Control-Allow-Origin"},
    {RESPONSE_VALUE("access_control_allow_methods"), "Access-Control-Allow-Methods"},
    {RESPONSE_VALUE("access_control_allow_headers"), "Access-Control-Allow-Headers"},
    {RESPONSE_VALUE("access_control_allow_credentials"), "Access-Control-Allow-Credentials"},
    {RESPONSE_VALUE("access_control_expose_headers"), "Access-Control-Expose-Headers"},
    {RESPONSE_VALUE("access_control_max_age"), "Access-Control-Max-Age"},
    {RESPONSE_VALUE("content_security_policy"), "Content-Security-Policy"},
    {RESPONSE_VALUE("x_content_type_options"), "X-Content-Type-Options"},
    {RESPONSE_VALUE("x_frame_options"), "X-Frame-Options"},
};

static const struct {
	const char *key;
	bool is_request;
	enum header_edit_kind kind;
} extensions[] = {
    {"routing.http.request.headers.insert", true, HEADER_EDIT_INSERT},
    {"routing.http.request.headers.rename", true, HEADER_EDIT_RENAME},
    {"routing.http.request.headers.remove", true, HEADER_EDIT_REMOVE},
    {"routing.http.response.headers.insert", false, HEADER_EDIT_INSERT},
    {"routing.http.response.headers.rename", false, HEADER_EDIT_RENAME},
    {"routing.http.response.headers.remove", false, HEADER_EDIT_REMOVE},
};

/* ALB's own attributes come first, so they win over the extensions. */
static void add_response_headers(const json_t *document, struct header_edit_list *list)
{
	for (size_t i = 0; i < sizeof(response_headers) / sizeof(response_headers[0]); i++) {
		const char *value = elb_listener_attribute(document, response_headers[i].key);

		if (*value)
			list->edits[list->n++] = (struct header_edit){
			    HEADER_EDIT_INSERT, text_of(response_headers[i].header),
			    text_of(value)};
	}
}

static void add_extensions(const json_t *document, struct listener_edits *edits)
{
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		const char *value = elb_listener_attribute(document, extensions[i].key);
		struct header_edit_list *list =
		    extensions[i].is_request ? &edits->request : &edits->response;
		struct err err = {0};

		/* Each was checked when it was set; together they may be too many. */
		if (header_edits_parse(list, extensions[i].kind, text_of(value), &err) < 0)
			log_error("header-edits", "attribute=%s why=\"%s\"", extensions[i].key,
				  err.text);
	}
}

void compile_listener_attributes(const json_t *document, struct listener_edits *edits,
				 struct listener_attributes *out)
{
	const char *server =
	    elb_listener_attribute(document, "routing.http.response.server.enabled");

	edits->request.n = edits->response.n = 0;
	add_response_headers(document, &edits->response);
	add_extensions(document, edits);
	out->hides_server = strcmp(server, "false") == 0;
	out->request = (struct header_edits){edits->request.n, edits->request.edits};
	out->response = (struct header_edits){edits->response.n, edits->response.edits};
}
