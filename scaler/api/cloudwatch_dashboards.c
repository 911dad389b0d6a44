/*
 * Dashboards: bodies that tools put and read back ("cw/dashboard/NAME" in the store, in
 * GetDashboard's shape), checked as far as AWS's page "Dashboard body structure and syntax" says
 * what refuses them.  Nothing here draws them.  Control thread only.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"

#define KEY_PREFIX "cw/dashboard/"

enum {
	DASHBOARDS_MAX = 5000,
	DASHBOARD_BODY_MAX = 1 << 20,
	DASHBOARD_PAGE = 1000,
	WIDGETS_MAX = 500,
	MESSAGES_MAX = 20,
	GRID_WIDTH = 24,
	GRID_HEIGHT_MAX = 1000,
};

static char *dashboard_key(const char *name, char key[CLOUDWATCH_KEY_MAX])
{
	snprintf(key, CLOUDWATCH_KEY_MAX, KEY_PREFIX "%s", name);
	return key;
}

static int check_name(const char *name, struct aws_error *error)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-_";
	size_t len = strlen(name);

	if (len > 0 && len <= CLOUDWATCH_NAME_MAX && name[strspn(name, allowed)] == '\0')
		return 0;
	aws_error_set(
	    error, 400, "InvalidParameterValue",
	    "The value %.255s for field DashboardName contains invalid characters. It can "
	    "only contain alphanumerics, dash (-) and underscore (_), up to %d of them.",
	    name, CLOUDWATCH_NAME_MAX);
	return -1;
}

static json_t *not_found(const char *name, struct aws_error *error)
{
	aws_error_set(error, 404, "ResourceNotFound", "Dashboard %.255s does not exist", name);
	return NULL;
}

/* ---- the body ---- */

/* What is wrong with a body: AWS's DashboardValidationMessages. */
static void complain(json_t *messages, const char *path, const char *message)
{
	if (json_array_size(messages) < MESSAGES_MAX)
		json_array_append_new(
		    messages, json_pack("{s:s, s:s}", "DataPath", path, "Message", message));
}

static void check_number(const json_t *widget, size_t i, const char *member, int min, int max,
			 json_t *messages)
{
	const json_t *value = json_object_get(widget, member);
	char path[64], message[96];

	if (value == NULL)
		return;
	snprintf(path, sizeof(path), "/widgets/%zu/%s", i, member);
	snprintf(message, sizeof(message), "Should be an integer from %d to %d", min, max);
	if (!json_is_number(value) || json_number_value(value) < min ||
	    json_number_value(value) > max ||
	    floor(json_number_value(value)) != json_number_value(value))
		complain(messages, path, message);
}

static void check_widget(const json_t *widget, size_t i, json_t *messages)
{
	static const char *const types[] = {"metric", "text", "log", "alarm", "explorer", "custom"};
	const char *type = doc_str(widget, "type", NULL);
	bool is_known = false;
	char path[64];

	snprintf(path, sizeof(path), "/widgets/%zu", i);
	if (!json_is_object(widget)) {
		complain(messages, path, "Should be object");
		return;
	}
	if (type == NULL)
		complain(messages, path, "Should have required property 'type'");
	for (size_t t = 0; type != NULL && t < sizeof(types) / sizeof(types[0]); t++)
		is_known |= strcmp(type, types[t]) == 0;
	if (json_object_get(widget, "properties") == NULL)
		complain(messages, path, "Should have required property 'properties'");
	else if (doc_object(widget, "properties") == NULL)
		complain(messages, path, "properties should be object");
	check_number(widget, i, "x", 0, GRID_WIDTH - 1, messages);
	check_number(widget, i, "y", 0, INT32_MAX, messages);
	check_number(widget, i, "width", 1, GRID_WIDTH, messages);
	check_number(widget, i, "height", 1, GRID_HEIGHT_MAX, messages);
	snprintf(path, sizeof(path), "/widgets/%zu/type", i);
	if (type != NULL && !is_known)
		complain(messages, path,
			 "Should be one of metric, text, log, alarm, explorer, custom");
}

/* Fills messages with what refuses the body. */
static void check_body(const char *text, json_t *messages)
{
	json_t *body = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const json_t *widgets = json_object_get(body, "widgets"), *one;
	size_t i;

	if (!json_is_object(body))
		complain(messages, "", "The dashboard body must be a JSON object");
	else if (!json_is_array(widgets))
		complain(messages, "/widgets",
			 widgets == NULL ? "Should have required property 'widgets'"
					 : "Should be array");
	else if (json_array_size(widgets) > WIDGETS_MAX)
		complain(messages, "/widgets", "Should not have more than 500 items");
	else
		json_array_foreach (widgets, i, one)
			check_widget(one, i, messages);
	json_decref(body);
}

/* The messages as a text: the protocols' errors carry nothing else. */
static json_t *refuse_body(const json_t *messages, struct aws_error *error)
{
	const json_t *first = json_array_get(messages, 0);

	aws_error_set(error, 400, "InvalidParameterInput",
		      "The field DashboardBody is invalid, there are %zu validation errors; the "
		      "first: %s%s%s",
		      json_array_size(messages), doc_str(first, "DataPath", ""),
		      doc_str(first, "DataPath", "")[0] != '\0' ? ": " : "",
		      doc_str(first, "Message", ""));
	return NULL;
}

/* ---- PutDashboard ---- */

static bool count_one(void *arg, const char *key, const json_t *document, int64_t revision)
{
	(void)key;
	(void)document;
	(void)revision;
	return ++*(size_t *)arg < DASHBOARDS_MAX;
}

static bool has_room(struct cloudwatch *cw, const char *key)
{
	size_t n = 0;

	if (store_peek(cw->store, key, NULL) != NULL)
		return true;
	store_scan(cw->store, KEY_PREFIX, count_one, &n);
	return n < DASHBOARDS_MAX;
}

static json_t *make_document(const struct cloudwatch *cw, const char *name, const char *body)
{
	char now[CLOCK_TEXT_MAX], arn[64 + CLOUDWATCH_KEY_MAX];

	snprintf(arn, sizeof(arn), "arn:aws:cloudwatch::%s:dashboard/%s", cw->account, name);
	return json_pack("{s:s, s:s, s:s, s:s, s:I}", "DashboardName", name, "DashboardArn", arn,
			 "DashboardBody", body, "LastModified",
			 clock_format_iso(cloudwatch_now_ms(cw), now), "Size",
			 (json_int_t)strlen(body));
}

static int check_input(struct cloudwatch *cw, const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "DashboardName", ""),
		   *body = doc_str(input, "DashboardBody", "");
	char key[CLOUDWATCH_KEY_MAX];
	json_t *messages;
	int result = -1;

	if (check_name(name, error) != 0)
		return -1;
	messages = json_array();
	check_body(body, messages);
	if (strlen(body) > DASHBOARD_BODY_MAX)
		aws_error_set(error, 400, "InvalidParameterInput",
			      "The field DashboardBody must not be longer than %d bytes.",
			      DASHBOARD_BODY_MAX);
	else if (json_array_size(messages) > 0)
		refuse_body(messages, error);
	else if (!has_room(cw, dashboard_key(name, key)))
		aws_error_set(error, 400, "LimitExceeded",
			      "The maximum number of dashboards (%d) is reached.", DASHBOARDS_MAX);
	else
		result = 0;
	json_decref(messages);
	return result;
}

json_t *handle_PutDashboard(void *context, const struct aws_call *call, const json_t *input,
			    struct aws_error *error)
{
	struct cloudwatch *cw = context;
	const char *name = doc_str(input, "DashboardName", "");
	char key[CLOUDWATCH_KEY_MAX];
	struct err err = {0};

	(void)call;
	if (check_input(cw, input, error) != 0)
		return NULL;
	if (store_put_one(cw->store, dashboard_key(name, key),
			  make_document(cw, name, doc_str(input, "DashboardBody", "")),
			  &err) == STORE_OK)
		return json_pack("{s:[]}", "DashboardValidationMessages");
	aws_error_set(error, 500, "InternalServiceError", "%s", err.text);
	return NULL;
}

/* ---- GetDashboard, DeleteDashboards, ListDashboards ---- */

json_t *handle_GetDashboard(void *context, const struct aws_call *call, const json_t *input,
			    struct aws_error *error)
{
	const struct cloudwatch *cw = context;
	const char *name = doc_str(input, "DashboardName", "");
	const json_t *document;
	char key[CLOUDWATCH_KEY_MAX];

	(void)call;
	if (check_name(name, error) != 0)
		return NULL;
	document = store_peek(cw->store, dashboard_key(name, key), NULL);
	if (document == NULL)
		return not_found(name, error);
	return json_pack("{s:s, s:s, s:s}", "DashboardName", name, "DashboardArn",
			 doc_str(document, "DashboardArn", ""), "DashboardBody",
			 doc_str(document, "DashboardBody", ""));
}

/* All or none, as AWS has it. */
json_t *handle_DeleteDashboards(void *context, const struct aws_call *call, const json_t *input,
				struct aws_error *error)
{
	struct cloudwatch *cw = context;
	const json_t *names = doc_array(input, "DashboardNames"), *one;
	char key[CLOUDWATCH_KEY_MAX];
	struct store_txn *txn;
	struct err err = {0};
	size_t i;

	(void)call;
	json_array_foreach (names, i, one) {
		const char *name = json_string_value(one);

		if (check_name(name, error) != 0)
			return NULL;
		if (store_peek(cw->store, dashboard_key(name, key), NULL) == NULL)
			return not_found(name, error);
	}
	txn = store_begin(cw->store);
	json_array_foreach (names, i, one)
		store_delete(txn, dashboard_key(json_string_value(one), key));
	if (store_commit(txn, &err) == STORE_OK)
		return json_object();
	aws_error_set(error, 500, "InternalServiceError", "%s", err.text);
	return NULL;
}

struct listing {
	const char *after; /* NULL: from the first */
	json_t *list;
	bool is_more;
};

static bool list_dashboard(void *arg, const char *key, const json_t *document, int64_t revision)
{
	struct listing *listing = arg;

	(void)revision;
	if (listing->after != NULL && strcmp(key + strlen(KEY_PREFIX), listing->after) <= 0)
		return true;
	listing->is_more = json_array_size(listing->list) == DASHBOARD_PAGE;
	if (listing->is_more)
		return false;
	json_array_append_new(listing->list,
			      json_pack("{s:s, s:s, s:s, s:I}", "DashboardName",
					doc_str(document, "DashboardName", ""), "DashboardArn",
					doc_str(document, "DashboardArn", ""), "LastModified",
					doc_str(document, "LastModified", ""), "Size",
					(json_int_t)doc_int(document, "Size", 0)));
	return true;
}

json_t *handle_ListDashboards(void *context, const struct aws_call *call, const json_t *input,
			      struct aws_error *error)
{
	struct cloudwatch *cw = context;
	const char *prefix = doc_str(input, "DashboardNamePrefix", "");
	const char *token = doc_str(input, "NextToken", NULL);
	char *after = NULL, *next = NULL, key[CLOUDWATCH_KEY_MAX];
	struct listing listing = {0};
	json_t *output;

	(void)call;
	if (prefix[0] != '\0' && check_name(prefix, error) != 0)
		return NULL;
	if (token != NULL && (after = cloudwatch_token_decode(token, error)) == NULL)
		return NULL;
	listing.after = after;
	listing.list = json_array();
	store_scan(cw->store, dashboard_key(prefix, key), list_dashboard, &listing);
	output = json_pack("{s:o}", "DashboardEntries", listing.list);
	if (listing.is_more)
		next = cloudwatch_token_encode(
		    doc_str(json_array_get(listing.list, DASHBOARD_PAGE - 1), "DashboardName", ""));
	if (next != NULL)
		json_object_set_new(output, "NextToken", json_string(next));
	free(next);
	free(after);
	return output;
}
