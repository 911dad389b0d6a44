/* The access log: see access_log.h. */
#include "lb/observe/access_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/observe/line.h"
#include "lb/observe/log_file.h"

enum { AGENT_MAX = 8192 };

struct access_log {
	struct log_file *file;
	enum access_log_format format;
	struct line_clock clocks[MAX_LANES]; /* each its worker's */
};

/* AWS: cut at 8 KB. */
static struct text cut(struct text agent)
{
	agent.len = agent.len < AGENT_MAX ? agent.len : AGENT_MAX;
	return agent;
}

/* ---- ALB's line ---- */

static void line_status(struct line *line, unsigned status)
{
	if (status == 0)
		line_add(line, "-", 1);
	else
		line_number(line, status, 3);
}

static bool is_parsed(const struct access_entry *entry)
{
	return entry->method.len > 0;
}

/* How a format escapes what it quotes. */
typedef void (*escape_fn)(struct line *line, struct text text);

static void add_url(struct line *line, const struct access_entry *entry, escape_fn escape)
{
	escape(line, entry->scheme);
	line_str(line, "://");
	escape(line, entry->host);
	if (entry->uri.len > 0 && entry->uri.at[0] != '/')
		line_add(line, "/", 1);
	if (is_parsed(entry))
		escape(line, entry->uri);
	else
		line_add(line, "-", 1);
}

static void add_request_line(struct line *line, const struct access_entry *entry)
{
	line_add(line, "\"", 1);
	line_escaped(line, is_parsed(entry) ? entry->method : TEXT("-"));
	line_add(line, " ", 1);
	add_url(line, entry, line_escaped);
	line_add(line, " ", 1);
	line_str(line, is_parsed(entry) ? entry->version : "-");
	line_add(line, "\" ", 2);
}

static size_t format_alb(char *out, struct line_clock *clock, const struct access_entry *entry)
{
	struct line line = {out, out + LOG_LINE_MAX - 1};
	char status[4];
	struct line status_line = {status, status + 3};

	line_status(&status_line, entry->target_status);
	*status_line.at = '\0';
	line_or_dash(&line, entry->type);                   /* 1 */
	line_time(&line, clock, entry->finished_us, false); /* 2 */
	line_or_dash(&line, entry->elb);                    /* 3 */
	line_or_dash(&line, entry->client);                 /* 4 */
	line_or_dash(&line, entry->target);                 /* 5 */
	line_duration(&line, entry->request_us);            /* 6 */
	line_duration(&line, entry->target_us);             /* 7 */
	line_duration(&line, entry->response_us);           /* 8 */
	line_status(&line, entry->elb_status);              /* 9 */
	line_add(&line, " ", 1);
	line_or_dash(&line, status);                  /* 10 */
	line_number(&line, entry->received_bytes, 1); /* 11 */
	line_add(&line, " ", 1);
	line_number(&line, entry->sent_bytes, 1); /* 12 */
	line_add(&line, " ", 1);
	add_request_line(&line, entry);               /* 13 */
	line_quoted(&line, cut(entry->user_agent));   /* 14 */
	line_str(&line, "- - ");                      /* 15, 16: TLS */
	line_or_dash(&line, entry->target_group_arn); /* 17 */
	line_quoted(&line, entry->trace_id);          /* 18 */
	line_str(&line, "\"-\" \"-\" ");              /* 19, 20: TLS */
	if (entry->rule_priority < 0)                 /* 21 */
		line_add(&line, "-", 1);
	else
		line_number(&line, (uint64_t)entry->rule_priority, 1);
	line_add(&line, " ", 1);
	line_time(&line, clock, entry->created_us, true);     /* 22 */
	line_quoted_str(&line, entry->actions);               /* 23 */
	line_quoted(&line, entry->redirect_url);              /* 24 */
	line_quoted_str(&line, entry->error_reason);          /* 25 */
	line_quoted_str(&line, entry->target);                /* 26 */
	line_quoted_str(&line, status);                       /* 27 */
	line_quoted_str(&line, entry->classification);        /* 28 */
	line_quoted_str(&line, entry->classification_reason); /* 29 */
	line_connection_id(&line, entry->connection_id);
	line_add(&line, " ", 1);                                          /* 30 */
	line_quoted(&line, entry->transformed_host);                      /* 31 */
	line_quoted(&line, entry->transformed_uri);                       /* 32 */
	line_quoted_str(&line, entry->transform_status);                  /* 33 */
	line_str(&line, entry->node && *entry->node ? entry->node : "-"); /* 34 */
	*line.at++ = '\n';
	return (size_t)(line.at - out);
}

/* ---- the same as JSON: the names of AWS's Athena table, null where ALB writes "-" ---- */

/* Bytes that are not ASCII are taken for Latin-1: the line is UTF-8 whatever came. */
static void json_escaped(struct line *line, struct text text)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];
		char unicode[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
		char escaped[2] = {'\\', (char)c};

		if (c < 0x20 || c >= 0x7f)
			line_add(line, unicode, 6);
		else if (c == '"' || c == '\\')
			line_add(line, escaped, 2);
		else
			line_add(line, text.at + i, 1);
	}
}

static void json_key(struct line *line, const char *key)
{
	line_str(line, line->at[-1] == '{' ? "\"" : ",\"");
	line_str(line, key);
	line_str(line, "\":");
}

static void json_text(struct line *line, const char *key, struct text text)
{
	json_key(line, key);
	if (text.len == 0) {
		line_str(line, "null");
		return;
	}
	line_str(line, "\"");
	json_escaped(line, text);
	line_str(line, "\"");
}

static void json_count(struct line *line, const char *key, uint64_t number)
{
	json_key(line, key);
	line_number(line, number, 1);
}

/* null instead of a status of 0. */
static void json_status(struct line *line, const char *key, unsigned status)
{
	json_key(line, key);
	if (status == 0)
		line_str(line, "null");
	else
		line_number(line, status, 3);
}

/* The pieces that end in a blank lose it. */
static void json_time(struct line *line, const char *key, struct line_clock *clock, int64_t us,
		      bool is_ms)
{
	json_key(line, key);
	line_str(line, "\"");
	line_time(line, clock, us, is_ms);
	line->at[-1] = '"';
}

static void json_duration(struct line *line, const char *key, int64_t us)
{
	json_key(line, key);
	line_duration(line, us);
	line->at--;
}

static void json_request(struct line *line, const struct access_entry *entry)
{
	json_text(line, "request_verb", entry->method);
	json_key(line, "request_url");
	line_str(line, "\"");
	add_url(line, entry, json_escaped);
	line_str(line, "\"");
	json_text(line, "request_proto", text_of(is_parsed(entry) ? entry->version : NULL));
	json_text(line, "user_agent", cut(entry->user_agent));
}

static size_t format_json(char *out, struct line_clock *clock, const struct access_entry *entry)
{
	struct line line = {out, out + LOG_LINE_MAX - 2};

	line_str(&line, "{");
	json_text(&line, "type", text_of(entry->type));
	json_time(&line, "time", clock, entry->finished_us, false);
	json_text(&line, "elb", text_of(entry->elb));
	json_text(&line, "client", text_of(entry->client));
	json_text(&line, "target", text_of(entry->target));
	json_duration(&line, "request_processing_time", entry->request_us);
	json_duration(&line, "target_processing_time", entry->target_us);
	json_duration(&line, "response_processing_time", entry->response_us);
	json_status(&line, "elb_status_code", entry->elb_status);
	json_status(&line, "target_status_code", entry->target_status);
	json_count(&line, "received_bytes", entry->received_bytes);
	json_count(&line, "sent_bytes", entry->sent_bytes);
	json_request(&line, entry);
	json_text(&line, "target_group_arn", text_of(entry->target_group_arn));
	json_text(&line, "trace_id", entry->trace_id);
	json_key(&line, "matched_rule_priority");
	if (entry->rule_priority < 0)
		line_str(&line, "null");
	else
		line_number(&line, (uint64_t)entry->rule_priority, 1);
	json_time(&line, "request_creation_time", clock, entry->created_us, true);
	json_text(&line, "actions_executed", text_of(entry->actions));
	json_text(&line, "redirect_url", entry->redirect_url);
	json_text(&line, "error_reason", text_of(entry->error_reason));
	json_text(&line, "classification", text_of(entry->classification));
	json_text(&line, "classification_reason", text_of(entry->classification_reason));
	json_key(&line, "conn_trace_id");
	line_str(&line, "\"");
	line_connection_id(&line, entry->connection_id);
	line_str(&line, "\"");
	json_text(&line, "transformed_host", entry->transformed_host);
	json_text(&line, "transformed_uri", entry->transformed_uri);
	json_text(&line, "request_transform_status", text_of(entry->transform_status));
	json_text(&line, "ip_address", text_of(entry->node));
	line.end += 2;
	line_str(&line, "}\n");
	return (size_t)(line.at - out);
}

/* ---- the log ---- */

void access_log_write(struct access_log *log, unsigned lane, const struct access_entry *entry)
{
	char *line = log_file_line(log->file, lane);
	struct line_clock *clock = &log->clocks[lane];

	log_file_put(log->file, lane,
		     log->format == ACCESS_LOG_JSON ? format_json(line, clock, entry)
						    : format_alb(line, clock, entry));
}

struct access_log *access_log_open(const char *path, enum access_log_format format,
				   unsigned n_lanes, struct err *err)
{
	struct access_log *log = calloc(1, sizeof(*log));

	if (!log) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	log->format = format;
	log->file = log_file_open(path, n_lanes, err);
	if (log->file)
		return log;
	free(log);
	return NULL;
}

void access_log_close(struct access_log *log)
{
	if (!log)
		return;
	log_file_close(log->file);
	free(log);
}

void access_log_reopen(struct access_log *log)
{
	log_file_reopen(log->file);
}

uint64_t access_log_dropped(const struct access_log *log)
{
	return log_file_dropped(log->file);
}
