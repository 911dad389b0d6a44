/* Where a request goes: rule, action, transforms, target group; and the answers that a rule gives
 * itself.  See exchange.h. */
#include <stdio.h>
#include <string.h>

#include "lb/proxy/exchange_parts.h"
#include "lb/proxy/worker.h"
#include "lb/routing/redirect.h"
#include "lb/routing/rules.h"

static void answer_fixed(struct exchange *ex, const struct fixed_response *fixed)
{
	const char *type = fixed->content_type ? fixed->content_type : "text/plain";
	struct generated generated = {
	    .status = fixed->status,
	    .content_type = strcmp(type, "text/plain") == 0 ? "text/plain; charset=utf-8" : type,
	    .body = text_of(fixed->body ? fixed->body : ""),
	};

	ex->action = "fixed-response";
	exchange_count(ex, LB_COUNTER_FIXED_RESPONSES, 1);
	exchange_generate(ex, &generated);
}

static void answer_redirect(struct exchange *ex, const struct redirect *redirect)
{
	char location[REDIRECT_LOCATION_MAX], port[8];
	struct redirect_request request = {
	    .protocol = ex->client_ops->redirect_protocol,
	    .host = host_without_port(ex->target_uri.host),
	    .path = ex->target_uri.path,
	    .query = ex->target_uri.query,
	};
	struct generated generated = {.status = redirect->status};
	int len;

	if (request.host.len == 0)
		request.host = text_of(ex->listener->load_balancer->dns_name);
	snprintf(port, sizeof(port), "%u", ex->listener->port);
	request.port = text_of(port);
	ex->action = "redirect";
	len = redirect_location(redirect, &request, location);
	if (len < 0) {
		exchange_count(ex, LB_COUNTER_REDIRECT_URL_LIMIT, 1);
		exchange_answer_error(ex, 507);
		return;
	}
	generated.location = ex->redirect_url = (struct text){location, (size_t)len};
	ex->elb_status = redirect->status;
	exchange_count(ex, LB_COUNTER_REDIRECTS, 1);
	exchange_count_generated(ex);
	exchange_generate(ex, &generated);
}

/* Eight hexadecimal digits, all at once; which comes first does not matter of a random number. */
static void put_random_hex(char *out, uint32_t random)
{
	const uint64_t ones = 0x0101010101010101;
	uint64_t x = (random & 0xffff) | (uint64_t)(random & 0xffff0000) << 16;

	x = (x | x << 8) & 0x00ff00ff00ff00ff;
	x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
	x += ones * '0' + (((x + ones * 6) >> 4) & ones) * ('a' - '0' - 10);
	memcpy(out, &x, 8);
}

static void choose_trace_id(struct exchange *ex)
{
	char root[40] = "1-";
	uint64_t random = worker_random(ex->worker);

	worker_date(ex->worker); /* brings ascii_time up to date */
	memcpy(root + 2, ex->worker->ascii_time, 8);
	root[10] = '-';
	put_random_hex(root + 11, (uint32_t)random);
	put_random_hex(root + 19, (uint32_t)(random >> 32));
	put_random_hex(root + 27, (uint32_t)(worker_random(ex->worker) >> 32));
	ex->trace_id = message_trace_id(ex->request, (struct text){root, 35}, ex->trace);
}

/* False: it was answered. */
static bool transform(struct exchange *ex, const struct transforms *transforms)
{
	struct transformed *transformed = &ex->transformed;

	if (!transforms)
		return true;
	transform_request(transforms, &ex->target_uri, &ex->worker->buffers, transformed);
	if (transformed->result == REWRITE_NONE)
		return true;
	if (transformed->result != REWRITE_DONE) {
		exchange_answer_error(ex, 500);
		return false;
	}
	ex->action = "rewrite,forward";
	ex->outgoing = &transformed->target;
	return true;
}

static void count_invalid_names(const struct exchange *ex)
{
	bool has_any = ex->request->has_invalid_name;
	bool drops = has_any && ex->listener->load_balancer->attributes.drop_invalid_headers;

	if (drops || ex->has_lost_header)
		exchange_count(ex, LB_COUNTER_DROPPED_INVALID_HEADER, 1);
	if (has_any && !drops)
		exchange_count(ex, LB_COUNTER_FORWARDED_INVALID_HEADER, 1);
}

static void begin_forward(struct exchange *ex, const struct action *action,
			  const struct transforms *transforms)
{
	ex->action = "forward";
	if (!transform(ex, transforms))
		return;
	ex->group = affinity_choose_group(ex, action);
	if (!ex->group) {
		exchange_answer_error(ex, 503);
		return;
	}
	affinity_find_target(ex);
	count_invalid_names(ex);
	if (exchange_hold(ex))
		return;
	exchange_set_state(ex, EXCHANGE_CONNECT);
	exchange_forward(ex);
}

static void match(struct exchange *ex, struct rule_match *match)
{
	char path[MESSAGE_MAX_LINE];
	struct rule_request request = {
	    .host = host_without_port(ex->target_uri.host),
	    .path = path_normalise(ex->target_uri.path, path, sizeof(path)),
	    .query = ex->target_uri.query,
	    .method = ex->request->method,
	    .client = ex->client_sockaddr,
	    .headers = ex->request->headers,
	    .n_headers = ex->request->n_headers,
	};

	rules_match(ex->listener->rules, &request, match);
	ex->priority = (int)match->priority;
	exchange_count(ex, LB_COUNTER_RULE_EVALUATIONS, match->evaluated);
}

void exchange_begin(struct exchange *ex)
{
	struct rule_match matched;

	ex->view = view_ref(ex->worker->view);
	timer_start(&ex->worker->loop, &ex->timer,
		    ex->listener->load_balancer->attributes.idle_timeout_s * 1000);
	exchange_count_desync(ex);
	if (buffers_are_short(&ex->worker->buffers)) {
		worker_note_short(ex->worker);
		exchange_count(ex, LB_COUNTER_REFUSED_SHORT, 1);
		exchange_answer_error(ex, 503);
		return;
	}
	if (!request_target_parse(ex->request->uri, ex->request->host, &ex->target_uri)) {
		exchange_answer_error(ex, 400);
		return;
	}
	if (message_count_forwarded_for(ex->request) > FORWARDED_FOR_MAX) {
		exchange_answer_error(ex, 463);
		return;
	}
	choose_trace_id(ex);
	ex->outgoing = &ex->target_uri;
	match(ex, &matched);
	switch (matched.action->kind) {
	case ACTION_FORWARD:
		begin_forward(ex, matched.action, matched.transforms);
		break;
	case ACTION_REDIRECT:
		answer_redirect(ex, &matched.action->redirect);
		break;
	case ACTION_FIXED_RESPONSE:
		answer_fixed(ex, &matched.action->fixed_response);
		break;
	}
}
