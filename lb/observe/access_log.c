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

static bool is_parsed(const struct access_entry *entry)
{
	return entry->method.len > 0;
}

/* How a format escapes what it quotes. */
typedef void (*escape_fn)(struct line *line, struct text text);

static void add_url(struct line *line, const struct access_entry *entry, escape_fn escape)
{
	escape(line, entry->scheme);
	line_literal(line, "://");
	escape(line, entry->host);
	if (entry->uri.len > 0 && entry->uri.at[0] != '/')
		line_literal(line, "/");
	if (is_parsed(entry))
		escape(line, entry->uri);
	else
		line_literal(line, "-");
}

static void add_request_line(struct line *line, const struct access_entry *entry)
{
	line_literal(line, "\"");
	line_escaped(line, is_parsed(entry) ? entry->method : TEXT("-"));
	line_literal(line, " ");
	add_url(line, entry, line_escaped);
	line_literal(line, " ");
	line_text(line, is_parsed(entry) ? text_of(entry->version) : TEXT("-"));
	line_literal(line, "\" ");
}

static void add_count(struct line *line, uint64_t number)
{
	line_number(line, number, 1);
	line_literal(line, " ");
}

/* Fields 9 and 10, 27. */
static void add_status(struct line *line, unsigned status)
{
	if (status == 0)
		line_literal(line, "-");
	else
		line_number(line, status, 3);
}

static void add_numbers(struct line *line, const struct access_entry *entry)
{
	line_duration(line, entry->request_us);  /* 6 */
	line_duration(line, entry->target_us);   /* 7 */
	line_duration(line, entry->response_us); /* 8 */
	add_status(line, entry->elb_status);     /* 9 */
	line_literal(line, " ");
	add_status(line, entry->target_status); /* 10 */
	line_literal(line, " ");
	add_count(line, entry->received_bytes); /* 11 */
	add_count(line, entry->sent_bytes);     /* 12 */
}

static void add_outcome(struct line *line, const struct access_entry *entry)
{
	line_quoted_own(line, entry->actions);      /* 23 */
	line_quoted(line, entry->redirect_url);     /* 24 */
	line_quoted_own(line, entry->error_reason); /* 25 */
	line_quoted_own(line, entry->target);       /* 26 */
	line_literal(line, "\"");
	add_status(line, entry->target_status); /* 27 */
	line_literal(line, "\" ");
	line_quoted_own(line, entry->classification);        /* 28 */
	line_quoted_own(line, entry->classification_reason); /* 29 */
}

static size_t format_alb(char *out, struct line_clock *clock, const struct access_entry *entry)
{
	struct line line = {out, out + LOG_LINE_MAX - 1};

	line_or_dash(&line, entry->type);                   /* 1 */
	line_time(&line, clock, entry->finished_us, false); /* 2 */
	line_or_dash(&line, entry->elb);                    /* 3 */
	line_or_dash(&line, entry->client);                 /* 4 */
	line_or_dash(&line, entry->target);                 /* 5 */
	add_numbers(&line, entry);                          /* 6 to 12 */
	add_request_line(&line, entry);                     /* 13 */
	line_quoted(&line, cut(entry->user_agent));         /* 14 */
	line_literal(&line, "- - ");                        /* 15, 16: TLS */
	line_or_dash(&line, entry->target_group_arn);       /* 17 */
	line_quoted(&line, entry->trace_id);                /* 18 */
	line_literal(&line, "\"-\" \"-\" ");                /* 19, 20: TLS */
	if (entry->rule_priority < 0)                       /* 21 */
		line_literal(&line, "- ");
	else
		add_count(&line, (uint64_t)entry->rule_priority);
	line_time(&line, clock, entry->created_us, true); /* 22 */
	add_outcome(&line, entry);                        /* 23 to 29 */
	line_connection_id(&line, entry->connection_id);  /* 30 */
	line_literal(&line, " ");
	line_quoted(&line, entry->transformed_host);                                      /* 31 */
	line_quoted(&line, entry->transformed_uri);                                       /* 32 */
	line_quoted_own(&line, entry->transform_status);                                  /* 33 */
	line_text(&line, entry->node && *entry->node ? text_of(entry->node) : TEXT("-")); /* 34 */
	*line.at++ = '\n';
	return (size_t)(line.at - out);
}

/* ---- the same as JSON: the names of AWS's Athena table, null where ALB writes "-" ---- */

static void json_escape(struct line *line, struct text text)
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

/* Bytes that are not ASCII are taken for Latin-1: the line is UTF-8 whatever came. */
static void json_escaped(struct line *line, struct text text)
{
	if (line_is_plain(text))
		line_text(line, text);
	else
		json_escape(line, text);
}

static void json_quoted(struct line *line, struct text text)
{
	if (text.len == 0) {
		line_literal(line, "null");
		return;
	}
	line_literal(line, "\"");
	json_escaped(line, text);
	line_literal(line, "\"");
}

/* The key is a literal: it goes in as it is. */
#define json_key(line, key) line_literal((line), ",\"" key "\":")
#define json_text(line, key, text) (json_key((line), key), json_quoted((line), (text)))
#define json_string(line, key, string) json_text(line, key, text_of(string))

/* null instead of a negative number, or a status of 0. */
static void json_number(struct line *line, int64_t number)
{
	if (number < 0)
		line_literal(line, "null");
	else
		line_number(line, (uint64_t)number, 1);
}

static void json_status(struct line *line, unsigned status)
{
	if (status == 0)
		line_literal(line, "null");
	else
		line_number(line, status, 3);
}

/* The pieces that end in a blank lose it. */
static void json_time(struct line *line, struct line_clock *clock, int64_t us, bool is_ms)
{
	line_literal(line, "\"");
	line_time(line, clock, us, is_ms);
	line->at[-1] = '"';
}

static void json_duration(struct line *line, int64_t us)
{
	line_duration(line, us);
	line->at--;
}

static void json_numbers(struct line *line, const struct access_entry *entry)
{
	json_key(line, "request_processing_time");
	json_duration(line, entry->request_us);
	json_key(line, "target_processing_time");
	json_duration(line, entry->target_us);
	json_key(line, "response_processing_time");
	json_duration(line, entry->response_us);
	json_key(line, "elb_status_code");
	json_status(line, entry->elb_status);
	json_key(line, "target_status_code");
	json_status(line, entry->target_status);
	json_key(line, "received_bytes");
	line_number(line, entry->received_bytes, 1);
	json_key(line, "sent_bytes");
	line_number(line, entry->sent_bytes, 1);
}

static void json_request(struct line *line, const struct access_entry *entry)
{
	json_text(line, "request_verb", entry->method);
	json_key(line, "request_url");
	line_literal(line, "\"");
	add_url(line, entry, json_escaped);
	line_literal(line, "\"");
	json_string(line, "request_proto", is_parsed(entry) ? entry->version : NULL);
	json_text(line, "user_agent", cut(entry->user_agent));
}

static void json_outcome(struct line *line, const struct access_entry *entry)
{
	json_string(line, "actions_executed", entry->actions);
	json_text(line, "redirect_url", entry->redirect_url);
	json_string(line, "error_reason", entry->error_reason);
	json_string(line, "classification", entry->classification);
	json_string(line, "classification_reason", entry->classification_reason);
	json_key(line, "conn_trace_id");
	line_literal(line, "\"");
	line_connection_id(line, entry->connection_id);
	line_literal(line, "\"");
	json_text(line, "transformed_host", entry->transformed_host);
	json_text(line, "transformed_uri", entry->transformed_uri);
	json_string(line, "request_transform_status", entry->transform_status);
	json_string(line, "ip_address", entry->node);
}

static size_t format_json(char *out, struct line_clock *clock, const struct access_entry *entry)
{
	struct line line = {out, out + LOG_LINE_MAX - 2};

	line_literal(&line, "{\"type\":");
	json_quoted(&line, text_of(entry->type));
	json_key(&line, "time");
	json_time(&line, clock, entry->finished_us, false);
	json_string(&line, "elb", entry->elb);
	json_string(&line, "client", entry->client);
	json_string(&line, "target", entry->target);
	json_numbers(&line, entry);
	json_request(&line, entry);
	json_string(&line, "target_group_arn", entry->target_group_arn);
	json_text(&line, "trace_id", entry->trace_id);
	json_key(&line, "matched_rule_priority");
	json_number(&line, entry->rule_priority);
	json_key(&line, "request_creation_time");
	json_time(&line, clock, entry->created_us, true);
	json_outcome(&line, entry);
	line.end += 2;
	line_literal(&line, "}\n");
	return (size_t)(line.at - out);
}

/* ---- the log ---- */

size_t access_log_format_line(enum access_log_format format, char *line, struct line_clock *clock,
			      const struct access_entry *entry)
{
	return format == ACCESS_LOG_JSON ? format_json(line, clock, entry)
					 : format_alb(line, clock, entry);
}

void access_log_write(struct access_log *log, unsigned lane, const struct access_entry *entry)
{
	char *line = log_file_line(log->file, lane);

	log_file_put(log->file, lane,
		     access_log_format_line(log->format, line, &log->clocks[lane], entry));
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

int access_log_wake_fd(const struct access_log *log)
{
	return log ? log_file_wake_fd(log->file) : -1;
}

uint64_t access_log_dropped(const struct access_log *log)
{
	return log_file_dropped(log->file);
}
