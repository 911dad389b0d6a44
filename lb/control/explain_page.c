/*
 * See explain_page.h.  The rules are the workers' own, or (where these have not been told yet)
 * compiled from the store by the code that compiles them for the workers; each condition is then
 * asked on its own.
 */
#include "lb/control/explain_page.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/doc/doc.h"
#include "lb/api/resource.h"
#include "lb/control/compile_rules.h"
#include "lb/control/pages.h"
#include "lb/control/rollout.h"
#include "lb/proxy/message.h"
#include "lb/routing/redirect.h"
#include "lb/routing/rewrite.h"
#include "lb/routing/rules.h"

enum {
	HEADERS_MAX = 64,
	LISTED_MAX = 100, /* rules, unless all are asked for */
};

/* The request that is asked about; texts point into parameters, and into path. */
struct question {
	struct evkeyvalq parameters;
	json_t *listener;
	struct header headers[HEADERS_MAX];
	struct request_target target;
	struct sockaddr_storage client;
	char path[MESSAGE_MAX_LINE];
	struct rule_request request;
};

static int refuse(struct aws_page *page, int status, const char *why)
{
	json_t *answer = json_pack("{s:s}", "Error", why);
	char *text = json_dumps(answer, JSON_INDENT(1));

	page->status = status;
	buf_add_str(page->body, text ? text : "{}");
	buf_add_str(page->body, "\n");
	free(text);
	json_decref(answer);
	return -1;
}

/* ---- reading the question ---- */

static const char *parameter(const struct question *q, const char *name, const char *otherwise)
{
	const char *value = evhttp_find_header(&q->parameters, name);

	return value ? value : otherwise;
}

static json_t *find_listener(struct store *store, const char *wanted, size_t *n_found)
{
	json_t *listeners = resource_list(store, "elb/listener/"), *listener, *found = NULL;
	long port = strtol(wanted, NULL, 10);
	size_t i;

	*n_found = 0;
	json_array_foreach (listeners, i, listener) {
		bool is_it = strcmp(doc_str(listener, "ListenerArn", ""), wanted) == 0 ||
			     (port > 0 && doc_int(listener, "Port", 0) == port);

		if (!is_it)
			continue;
		++*n_found;
		json_decref(found);
		found = json_incref(listener);
	}
	json_decref(listeners);
	return found;
}

static int read_listener(struct question *q, const struct pages_context *context,
			 struct aws_page *page)
{
	size_t n;

	q->listener = find_listener(context->store, parameter(q, "listener", ""), &n);
	if (n == 1)
		return 0;
	return refuse(page, n == 0 ? 404 : 400,
		      n == 0 ? "listener: the ARN or port of a listener is needed"
			     : "listener: more than one has this port, give the ARN");
}

/* "Name: value"; values lose the blanks around them, as in HTTP. */
static int read_header(struct question *q, const char *text, struct aws_page *page)
{
	const char *colon = strchr(text, ':');
	struct header *header = &q->headers[q->request.n_headers];
	size_t len;

	if (!colon || colon == text)
		return refuse(page, 400, "header: \"Name: value\" is needed");
	if (q->request.n_headers == HEADERS_MAX)
		return refuse(page, 400, "header: too many");
	header->name = (struct text){text, (size_t)(colon - text)};
	colon += 1 + strspn(colon + 1, " \t");
	for (len = strlen(colon); len > 0 && strchr(" \t", colon[len - 1]); len--)
		;
	header->value = (struct text){colon, len};
	q->request.n_headers++;
	return 0;
}

static int read_headers(struct question *q, struct aws_page *page)
{
	const struct evkeyval *pair;

	q->request.headers = q->headers;
	for (pair = q->parameters.tqh_first; pair; pair = pair->next.tqe_next) {
		if (strcmp(pair->key, "header") == 0 && read_header(q, pair->value, page) < 0)
			return -1;
	}
	return 0;
}

static int read_url(struct question *q, struct aws_page *page)
{
	struct text uri = text_of(parameter(q, "url", "/")), host = {0};

	for (size_t i = 0; i < q->request.n_headers && host.len == 0; i++)
		if (text_equal_nocase(q->headers[i].name, TEXT("host")))
			host = q->headers[i].value;
	if (!request_target_parse(uri, host, &q->target))
		return refuse(page, 400, "url: \"/path?query\" or \"http://host/path\" is needed");
	q->request.host = host_without_port(q->target.host);
	q->request.path = path_normalise(q->target.path, q->path, sizeof(q->path));
	q->request.query = q->target.query;
	q->request.method = text_of(parameter(q, "method", "GET"));
	return 0;
}

static int read_source(struct question *q, struct aws_page *page)
{
	const char *text = parameter(q, "source-ip", "127.0.0.1");
	struct sockaddr_in *v4 = (struct sockaddr_in *)&q->client;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&q->client;

	q->request.client = (struct sockaddr *)&q->client;
	q->client.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(q->client.ss_family, text,
		      q->client.ss_family == AF_INET ? (void *)&v4->sin_addr
						     : (void *)&v6->sin6_addr) == 1)
		return 0;
	return refuse(page, 400, "source-ip: an IPv4 or IPv6 address is needed");
}

static int read_question(struct question *q, const struct pages_context *context,
			 struct aws_page *page)
{
	if (evhttp_parse_query_str(page->query, &q->parameters) < 0)
		return refuse(page, 400, "the query cannot be read");
	if (read_listener(q, context, page) < 0 || read_headers(q, page) < 0)
		return -1;
	return read_url(q, page) < 0 ? -1 : read_source(q, page);
}

/* ---- rules ---- */

static json_t *json_text(struct text text)
{
	json_t *string = json_stringn(text.at ? text.at : "", text.len);

	return string ? string : json_string("(not UTF-8)");
}

/* What of the request the condition looked at. */
static json_t *compared(const struct question *q, const json_t *condition)
{
	const char *field = doc_str(condition, "Field", "");
	json_t *list = json_array();

	if (strcmp(field, "host-header") == 0)
		json_array_append_new(list, json_text(q->request.host));
	else if (strcmp(field, "path-pattern") == 0)
		json_array_append_new(list, json_text(q->request.path));
	else if (strcmp(field, "http-request-method") == 0)
		json_array_append_new(list, json_text(q->request.method));
	else if (strcmp(field, "query-string") == 0)
		json_array_append_new(list, json_text(q->request.query));
	else if (strcmp(field, "source-ip") == 0)
		json_array_append_new(list, json_string(parameter(q, "source-ip", "127.0.0.1")));
	else {
		const json_t *config = doc_object(condition, "HttpHeaderConfig");
		struct text name = text_of(doc_str(config, "HttpHeaderName", ""));

		for (size_t i = 0; i < q->request.n_headers; i++)
			if (text_equal_nocase(q->headers[i].name, name))
				json_array_append_new(list, json_text(q->headers[i].value));
	}
	return list;
}

/* The condition without its short form, and what it was compared with. */
static json_t *failed_condition(const struct question *q, const json_t *condition)
{
	json_t *failed = json_copy((json_t *)condition);

	json_object_del(failed, "Values");
	json_object_del(failed, "RegexValues");
	json_object_set_new(failed, "Compared", compared(q, condition));
	return failed;
}

static json_t *explain_rule(const struct question *q, const struct rules *rules, size_t index,
			    const json_t *rule)
{
	const json_t *conditions = doc_array(rule, "Conditions"), *condition;
	json_t *failed = json_array();
	size_t i;

	json_array_foreach (conditions, i, condition) {
		if (!rules_condition_holds(rules, index, i, &q->request))
			json_array_append_new(failed, failed_condition(q, condition));
	}
	return json_pack("{s:O,s:O,s:b,s:o}", "Priority", json_object_get(rule, "Priority"),
			 "RuleArn", json_object_get(rule, "RuleArn"), "Matches",
			 json_array_size(failed) == 0, "FailedConditions", failed);
}

/* One of the listener's rules, borrowed from the store. */
struct ruling {
	long priority;
	json_t *document;
	bool holds, is_listed;
};

/* All of them but the default one, in order. */
struct rulings {
	size_t n, cap;
	struct ruling *items;
	const json_t *standard;
	bool is_failed;
};

static int by_priority(const void *a, const void *b)
{
	const struct ruling *x = a, *y = b;

	return (x->priority > y->priority) - (x->priority < y->priority);
}

static bool gather_ruling(void *arg, const char *key, const json_t *rule, int64_t revision)
{
	struct rulings *rulings = arg;

	(void)key;
	(void)revision;
	if (doc_bool(rule, "IsDefault", false)) {
		rulings->standard = rule;
		return true;
	}
	if (rulings->n == rulings->cap) {
		size_t cap = rulings->cap ? rulings->cap * 2 : 64;
		struct ruling *more = realloc(rulings->items, cap * sizeof(*more));

		rulings->is_failed = !more;
		if (!more)
			return false;
		rulings->items = more;
		rulings->cap = cap;
	}
	rulings->items[rulings->n++] =
	    (struct ruling){.priority = strtol(doc_str(rule, "Priority", ""), NULL, 10),
			    .document = (json_t *)rule};
	return true;
}

static int gather_rulings(struct store *store, const char *listener_arn, struct rulings *rulings)
{
	char prefix[ELB_KEY_MAX + 16];

	if (resource_children_prefix(listener_arn, RESOURCE_RULE, prefix) < 0)
		return -1;
	store_scan(store, prefix, gather_ruling, rulings);
	if (rulings->n > 1)
		qsort(rulings->items, rulings->n, sizeof(*rulings->items), by_priority);
	return rulings->is_failed ? -1 : 0;
}

/* Each document as the workers have it, without its action. */
static struct rules *compile_all(const struct rulings *rulings, struct arena *arena,
				 struct err *err)
{
	struct action action = {.kind = ACTION_FIXED_RESPONSE};
	struct rules *rules = rules_new(&action, arena);
	struct rule_parts parts;

	for (size_t i = 0; rules && i < rulings->n; i++) {
		if (compile_conditions(rulings->items[i].document, &parts, err) < 0 ||
		    rules_add(rules, &parts.config, err) < 0) {
			rules_fini(rules);
			return NULL;
		}
	}
	if (rules && rules_finish(rules, arena, err) < 0) {
		rules_fini(rules);
		return NULL;
	}
	return rules;
}

/* Does the question name this rule: its priority or ARN? */
static bool is_named(const struct question *q, const struct ruling *ruling)
{
	const char *wanted = parameter(q, "rule", "");

	return strcmp(doc_str(ruling->document, "Priority", ""), wanted) == 0 ||
	       strcmp(doc_str(ruling->document, "RuleArn", ""), wanted) == 0;
}

static bool holds(const struct question *q, const struct rules *rules, size_t rule,
		  const json_t *document)
{
	size_t n = json_array_size(doc_array(document, "Conditions"));

	for (size_t i = 0; i < n; i++)
		if (!rules_condition_holds(rules, rule, i, &q->request))
			return false;
	return true;
}

/*
 * Which rules are told of: the one named, or all, or as many as a page takes: those that match, and
 * the others from the front.  Returns how many that match are among those left out.
 */
static size_t choose_listed(const struct question *q, const struct rules *rules,
			    struct rulings *rulings)
{
	bool wants_all = strcmp(parameter(q, "all", ""), "true") == 0;
	bool wants_one = parameter(q, "rule", NULL) != NULL;
	size_t room = wants_all ? rulings->n : LISTED_MAX, n_hidden = 0;

	for (size_t i = 0; i < rulings->n; i++) {
		struct ruling *ruling = &rulings->items[i];

		ruling->holds = holds(q, rules, i, ruling->document);
		ruling->is_listed = wants_one ? is_named(q, ruling) : ruling->holds && room > 0;
		room -= !wants_one && ruling->is_listed;
		n_hidden += ruling->holds && !ruling->is_listed;
	}
	for (size_t i = 0; !wants_one && i < rulings->n && room > 0; i++) {
		room -= !rulings->items[i].is_listed;
		rulings->items[i].is_listed = true;
	}
	return n_hidden;
}

/* ---- what happens then ---- */

static bool is_registered(const char *state)
{
	return strcmp(state, "draining") != 0 && strcmp(state, "unused") != 0;
}

/* ALB counts a target whose health is not checked as healthy. */
static bool is_healthy(const char *state)
{
	return strcmp(state, "healthy") == 0 || strcmp(state, "unavailable") == 0;
}

static const char *state_of(const json_t *description)
{
	return doc_str(doc_object(description, "TargetHealth"), "State", "");
}

static long attribute(const json_t *attributes, const char *name)
{
	char key[128];

	snprintf(key, sizeof(key), "target_group_health.unhealthy_state_routing.%s", name);
	return strtol(elb_target_group_attribute(attributes, key), NULL, 10);
}

/* Too few healthy ones: all registered targets get requests. */
static bool is_fail_open(struct store *store, const char *arn, const json_t *descriptions)
{
	char key[ELB_KEY_MAX];
	json_t *attributes = NULL;
	const json_t *description;
	long healthy = 0, registered = 0, count, percent;
	size_t i;

	if (resource_side_key(arn, "attributes", key) == 0)
		attributes = store_get(store, key, NULL);
	count = attribute(attributes, "minimum_healthy_targets.count");
	percent = attribute(attributes, "minimum_healthy_targets.percentage");
	json_decref(attributes);
	json_array_foreach (descriptions, i, description) {
		healthy += is_healthy(state_of(description));
		registered += is_registered(state_of(description));
	}
	return healthy < (count > 0 ? count : 1) || healthy * 100 < percent * registered;
}

static json_t *explain_group(const struct pages_context *context, const json_t *tuple)
{
	const char *arn = doc_str(tuple, "TargetGroupArn", "");
	int64_t weight = doc_int(tuple, "Weight", 1);
	json_t *targets = registry_describe(context->registry, arn), *target;
	bool fails_open = is_fail_open(context->store, arn, targets);
	size_t i;

	json_array_foreach (targets, i, target) {
		const char *state = state_of(target);
		bool is_choice = fails_open ? is_registered(state) : is_healthy(state);

		json_object_del(target, "HealthCheckPort");
		json_object_set_new(target, "CouldGetIt", json_boolean(weight > 0 && is_choice));
	}
	return json_pack("{s:s,s:I,s:b,s:o}", "TargetGroupArn", arn, "Weight", (json_int_t)weight,
			 "FailOpen", fails_open, "Targets", targets);
}

static json_t *explain_forward(const struct pages_context *context, const json_t *action)
{
	const json_t *tuples = doc_array(doc_object(action, "ForwardConfig"), "TargetGroups");
	json_t *groups = json_array();
	const json_t *tuple;
	size_t i;

	json_array_foreach (tuples, i, tuple)
		json_array_append_new(groups, explain_group(context, tuple));
	return groups;
}

static json_t *location_of(const struct question *q, const struct action *action)
{
	char location[REDIRECT_LOCATION_MAX], port[8];
	struct redirect_request request = {
	    .protocol = text_of(doc_str(q->listener, "Protocol", "HTTP")),
	    .host = q->request.host,
	    .path = q->target.path,
	    .query = q->target.query,
	};
	int len;

	snprintf(port, sizeof(port), "%d", (int)doc_int(q->listener, "Port", 0));
	request.port = text_of(port);
	len = redirect_location(&action->redirect, &request, location);
	return len < 0 ? json_string("(longer than 8 K: 507)")
		       : json_text((struct text){location, (size_t)len});
}

static json_t *rewritten(const struct rewrite *rewrite, struct text text)
{
	static char out[REWRITE_MAX]; /* this thread's only */
	struct text made;
	enum rewrite_result result = rewrite_apply(rewrite, text, out, sizeof(out), &made);

	if (result == REWRITE_NONE)
		return json_text(text);
	return result == REWRITE_DONE ? json_text(made) : json_string(rewrite_status(result));
}

static void explain_action(const struct pages_context *context, const struct question *q,
			   const json_t *rule, const struct transforms *transforms, json_t *answer)
{
	const json_t *actions = doc_array(rule, "Actions"), *action;
	struct action compiled;
	size_t i;

	json_object_set(answer, "Actions", (json_t *)actions);
	json_array_foreach (actions, i, action) {
		const char *type = doc_str(action, "Type", "");

		if (strcmp(type, "forward") == 0)
			json_object_set_new(answer, "TargetGroups",
					    explain_forward(context, action));
		if (strcmp(type, "redirect") == 0 &&
		    compile_action(NULL, actions, &compiled, NULL) == 0)
			json_object_set_new(answer, "Location", location_of(q, &compiled));
	}
	if (!transforms)
		return;
	json_object_set_new(answer, "TransformedHost",
			    rewritten(&transforms->host, q->request.host));
	json_object_set_new(answer, "TransformedUrl", rewritten(&transforms->url, q->target.uri));
}

/* ---- the answer ---- */

static json_t *echo(const struct question *q)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:s}", "Method", json_text(q->request.method), "Host",
			 json_text(q->request.host), "Path", json_text(q->request.path), "Query",
			 json_text(q->request.query), "SourceIp",
			 parameter(q, "source-ip", "127.0.0.1"));
}

/* What is not told, and how to ask for it. */
static int add_left_out(json_t *answer, size_t n, size_t n_matching)
{
	return json_object_set_new(answer, "LeftOut",
				   json_pack("{s:I,s:I,s:s}", "Rules", (json_int_t)n, "Matching",
					     (json_int_t)n_matching, "Hint",
					     "rule=PRIORITY tells of one rule, all=true of all"));
}

static json_t *answer_with(const struct pages_context *context, const struct question *q,
			   const struct rules *rules, struct rulings *rulings)
{
	size_t n_hidden = choose_listed(q, rules, rulings);
	json_t *list = json_array(), *answer;
	const json_t *chosen = rulings->standard;
	struct rule_match match;

	rules_match(rules, &q->request, &match);
	for (size_t i = 0; i < rulings->n; i++) {
		const struct ruling *ruling = &rulings->items[i];

		if (ruling->is_listed)
			json_array_append_new(list, explain_rule(q, rules, i, ruling->document));
		if (rules_priority(rules, i) == match.priority)
			chosen = ruling->document;
	}
	answer = json_pack("{s:O,s:o,s:o,s:O*,s:O*}", "ListenerArn",
			   json_object_get(q->listener, "ListenerArn"), "Request", echo(q), "Rules",
			   list, "Priority", json_object_get(chosen, "Priority"), "RuleArn",
			   json_object_get(chosen, "RuleArn"));
	if (answer && json_array_size(list) < rulings->n)
		add_left_out(answer, rulings->n - json_array_size(list), n_hidden);
	if (answer)
		explain_action(context, q, chosen, match.transforms, answer);
	return answer;
}

static json_t *explain(const struct pages_context *context, const struct question *q,
		       struct rulings *rulings, struct err *err)
{
	const char *arn = doc_str(q->listener, "ListenerArn", "");
	const struct listener *listener;
	struct arena arena = {0};
	struct rules *own = NULL;
	json_t *answer = NULL;

	if (gather_rulings(context->store, arn, rulings) < 0)
		return NULL;
	listener = context->rollout ? rollout_listener(context->rollout, arn) : NULL;
	if (listener && rules_count(listener->rules) != rulings->n)
		listener = NULL;
	if (!listener)
		own = compile_all(rulings, &arena, err);
	if (own || listener)
		answer = answer_with(context, q, own ? own : listener->rules, rulings);
	if (own)
		rules_fini(own);
	arena_fini(&arena);
	return answer;
}

static void answer_question(const struct pages_context *context, const struct question *q,
			    struct aws_page *page)
{
	struct rulings rulings = {0};
	struct err err = {0};
	json_t *answer = explain(context, q, &rulings, &err);
	char *text = answer ? json_dumps(answer, JSON_INDENT(1)) : NULL;

	if (text) {
		buf_add_str(page->body, text);
		buf_add_str(page->body, "\n");
	} else {
		refuse(page, 500, err.text[0] ? err.text : "out of memory");
	}
	free(text);
	json_decref(answer);
	free(rulings.items);
}

void page_explain(void *context, struct aws_page *page)
{
	static struct question q; /* big; this thread's only */

	memset(&q, 0, sizeof(q));
	page->content_type = "application/json";
	if (read_question(&q, context, page) == 0)
		answer_question(context, &q, page);
	evhttp_clear_headers(&q.parameters);
	json_decref(q.listener);
}
