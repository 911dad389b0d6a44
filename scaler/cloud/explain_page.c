/* See explain_page.h. */
#include "scaler/cloud/explain_page.h"

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>

#include "scaler/cloud/rim_parts.h"

/* False: there is something else in it than a group. */
static bool is_fine(const struct evkeyvalq *pairs)
{
	const struct evkeyval *pair;

	TAILQ_FOREACH (pair, pairs, next) {
		if (strcmp(pair->key, "group") != 0)
			return false;
	}
	return true;
}

static json_t *explain(struct rim *rim, const char *name)
{
	const struct metric_source source = {rim_read_metric, rim};
	json_t *list = json_array();
	struct group *group;

	TAILQ_FOREACH (group, &rim->engine->groups, link) {
		if (!name || strcmp(group->name, name) == 0)
			json_array_append_new(
			    list, group_explain(rim->engine, group, &source, rim_now_ms()));
	}
	return json_pack("{s:o}", "AutoScalingGroups", list);
}

static int print(struct rim *rim, const char *name, struct buf *text)
{
	json_t *answer = explain(rim, name);
	char *page = answer ? json_dumps(answer, JSON_INDENT(1)) : NULL;

	json_decref(answer);
	if (!page) {
		buf_add_str(text, "out of memory\n");
		return 500;
	}
	buf_printf(text, "%s\n", page);
	free(page);
	return 200;
}

int explain_page(struct rim *rim, const char *query, struct buf *text)
{
	struct evkeyvalq pairs = {0};
	const char *name;
	int status = 400;

	TAILQ_INIT(&pairs);
	if (evhttp_parse_query_str(query ? query : "", &pairs) == 0 && is_fine(&pairs)) {
		name = evhttp_find_header(&pairs, "group");
		status = 404;
		if (!name || engine_group(rim->engine, name))
			status = print(rim, name, text);
	}
	if (status == 400)
		buf_add_str(text, "group=NAME is all that may be asked; without it all groups\n");
	if (status == 404)
		buf_add_str(text, "there is no group of this name\n");
	evhttp_clear_headers(&pairs);
	return status;
}
