/* What an exchange leaves behind: its line in the access log and its counts.  See exchange.h. */
#include "lb/observe/line.h"
#include "lb/proxy/exchange_parts.h"
#include "lb/proxy/worker.h"

void exchange_count_bytes(const struct exchange *ex)
{
	uint64_t n = ex->received_bytes + ex->sent_bytes;

	exchange_count(ex, LB_COUNTER_PROCESSED_BYTES, n);
	if (exchange_is_ipv6(ex))
		exchange_count(ex, LB_COUNTER_IPV6_PROCESSED_BYTES, n);
}

void exchange_count_generated(const struct exchange *ex)
{
	static const struct {
		unsigned status;
		enum lb_counter counter;
	} singles[] = {
	    {500, LB_COUNTER_ELB_500},
	    {502, LB_COUNTER_ELB_502},
	    {503, LB_COUNTER_ELB_503},
	    {504, LB_COUNTER_ELB_504},
	};

	if (ex->elb_status / 100 == 3)
		exchange_count(ex, LB_COUNTER_ELB_3XX, 1);
	if (ex->elb_status / 100 == 4)
		exchange_count(ex, LB_COUNTER_ELB_4XX, 1);
	if (ex->elb_status / 100 == 5)
		exchange_count(ex, LB_COUNTER_ELB_5XX, 1);
	for (size_t i = 0; i < sizeof(singles) / sizeof(singles[0]); i++)
		if (singles[i].status == ex->elb_status)
			exchange_count(ex, singles[i].counter, 1);
}

void exchange_count_desync(const struct exchange *ex)
{
	if (ex->desync.tier != DESYNC_COMPLIANT)
		exchange_count(ex, LB_COUNTER_DESYNC_NON_COMPLIANT, 1);
}

static int64_t log_wall(struct exchange *ex, int64_t monotonic_us)
{
	return worker_wall_us(ex->worker) - ex->worker->loop.now_us + monotonic_us;
}

enum { LOG_HOST_MAX = 300 };

/* "host:80", in out[LOG_HOST_MAX]; a longer host is cut. */
static struct text log_host(struct text name, unsigned port, char *out)
{
	struct line line = {out, out + LOG_HOST_MAX};

	line_text(&line, name);
	line_literal(&line, ":");
	line_number(&line, port, 1);
	return (struct text){out, (size_t)(line.at - out)};
}

void exchange_write_log(struct exchange *ex)
{
	const struct load_balancer *lb = ex->listener->load_balancer;
	bool is_parsed = ex->request->is_head_done;
	bool is_answered = ex->answered_us != 0;
	char host[LOG_HOST_MAX];
	struct text name =
	    ex->target_uri.host.len > 0 && is_parsed ? ex->target_uri.host : text_of(lb->dns_name);
	struct access_entry entry = {
	    .type = ex->client_ops->log_type,
	    .scheme = ex->client_ops->scheme,
	    .created_us = log_wall(ex, ex->created_us),
	    .finished_us = worker_wall_us(ex->worker),
	    .elb = lb->resource,
	    .client = ex->client_addr.at,
	    .target = ex->last_target ? ex->last_target->label : NULL,
	    .request_us = ex->sent_us ? ex->sent_us - ex->created_us : -1,
	    .target_us = is_answered ? ex->answered_us - ex->sent_us : -1,
	    .response_us = is_answered && !ex->is_target_lost ? 0 : -1,
	    .elb_status = ex->elb_status,
	    .target_status = ex->target_status,
	    .received_bytes = is_parsed ? ex->received_bytes : 0,
	    .sent_bytes = ex->sent_bytes,
	    .method = is_parsed ? ex->request->method : (struct text){0},
	    .host = log_host(host_without_port(name), ex->listener->port, host),
	    .uri = ex->target_uri.uri,
	    .version = ex->request->protocol,
	    .user_agent = is_parsed ? ex->request->user_agent : (struct text){0},
	    .target_group_arn = ex->group ? ex->group->arn : NULL,
	    .trace_id = ex->trace_id,
	    .rule_priority = ex->priority,
	    .actions = ex->action,
	    .redirect_url = ex->redirect_url,
	    .transform_status = rewrite_status(ex->transformed.result),
	    .error_reason = ex->error_reason,
	    .connection_id = ex->connection_id,
	    .classification = desync_class_name(ex->desync.tier),
	    .classification_reason = desync_reason_name(ex->desync.reason),
	    .node = ex->node,
	};

	if (ex->transformed.is_host_new)
		entry.transformed_host = ex->transformed.target.host;
	if (ex->transformed.is_url_new)
		entry.transformed_uri = ex->transformed.target.uri;
	access_log_write(ex->worker->config->access_log, ex->worker->lane, &entry);
}
