/*
 * The inside of struct cloudwatch, shared by the files cloudwatch*.c.  See cloudwatch.h.
 */
#ifndef SCALER_API_CLOUDWATCH_STATE_H
#define SCALER_API_CLOUDWATCH_STATE_H

#include <bsd/sys/queue.h>
#include <uthash.h>

#include "scaler/api/cloudwatch.h"
#include "scaler/metrics/alarm_expression.h"

enum {
	CLOUDWATCH_ALARMS_MAX = 5000, /* AWS's quota */
	CLOUDWATCH_HISTORY_MAX = 20000,
	CLOUDWATCH_NAME_MAX = 255,                         /* characters */
	CLOUDWATCH_KEY_MAX = 16 + 4 * CLOUDWATCH_NAME_MAX, /* of a document in the store */
};

/* What holds a composite alarm's actions back. */
enum suppressed_by {
	SUPPRESSED_BY_NOTHING,
	SUPPRESSED_BY_WAIT,
	SUPPRESSED_BY_EXTENSION,
	SUPPRESSED_BY_ALARM,
};

/* Of a composite alarm with an ActionsSuppressor. */
struct suppression {
	enum alarm_state told;         /* the state whose actions ran last */
	int64_t wait_ms, extension_ms; /* until when these periods last */
	bool is_suppressor_on;         /* when last looked at */
	enum suppressed_by by;
};

struct alarm {
	UT_hash_handle hh;
	char *name;
	json_t *document;                    /* DescribeAlarms' shape */
	struct alarm_rule rule;              /* zero when expression is there */
	struct alarm_expression *expression; /* of a composite alarm; NULL: one on a metric */
	enum alarm_state state;
	int64_t judged_ms; /* a composite's last evaluation */
	int64_t due_ms;
	int64_t hold_ms;   /* until then too little data is our restart's fault: no judgement */
	int64_t repeat_ms; /* when scaling actions run again; INT64_MAX: never */
	bool is_unread;    /* the expression gave nothing to judge: it failed */
	bool has_value;    /* value: the newest datapoint judged */
	double value;
	struct suppression suppression;
	bool is_gone; /* forgotten while a callback runs: in the graveyard */
	struct alarm *next_grave;
};

struct history_item {
	TAILQ_ENTRY(history_item) link;
	int64_t at_ms;
	uint64_t number; /* for paging: rises by one an item */
	char *alarm;
	bool is_composite;
	const char *type;
	char *summary;
	char *data; /* JSON */
};

struct cloudwatch {
	struct store *store;
	const struct clock *clock;
	const char *region, *account;
	struct metrics *metrics;
	struct alarm *alarms; /* by name */
	int busy;             /* callbacks under way: alarms that go are only buried */
	struct alarm *graveyard;

	cloudwatch_alarm_fn on_alarm;
	void *on_alarm_arg;
	cloudwatch_notice_fn on_notice;
	void *on_notice_arg;
	cloudwatch_data_fn on_data;
	void *on_data_arg;

	bool has_new_data;       /* since the last evaluation of short alarms */
	int64_t short_judged_ms; /* when that was */
	int64_t aged_ms;         /* when metrics were last aged */

	TAILQ_HEAD(history_list, history_item) history; /* oldest first */
	size_t n_history;
	uint64_t history_number;

	bool is_kept; /* cloudwatch_keep() */
	int64_t write_ms;
	uint64_t history_written; /* the number of the last item in the store */
	uint64_t history_first;   /* that of the oldest in the store */
	uint64_t kept_writes, kept_failures;

	uint64_t evaluations, transitions;
};

int64_t cloudwatch_now_ms(const struct cloudwatch *cw);

/* The dimensions of a request ([{Name, Value}]) into dimensions[METRIC_DIMENSIONS_MAX]; their
 * number.  Strings are borrowed.  prefix: "MetricData.member.1.".  -1 with error. */
MUST_CHECK int cloudwatch_dimensions(const json_t *list, const char *prefix,
				     struct metric_dimension dimensions[], struct aws_error *error);
/* Namespace, MetricName and Dimensions of input, checked.  -1 with error. */
MUST_CHECK int cloudwatch_key(const json_t *input, struct metric_key *key,
			      struct metric_dimension dimensions[], struct aws_error *error);
/* 1 to max characters of printable ASCII, not all blank; prefix and parameter name it in errors. -1
 * with error. */
MUST_CHECK int cloudwatch_check_name(const char *name, const char *prefix, const char *parameter,
				     size_t max, struct aws_error *error);
MUST_CHECK int cloudwatch_check_namespace(const char *namespace, struct aws_error *error);

/* Tokens of pages: text in hex, so that nobody reads meaning into them. */
char *cloudwatch_token_encode(const char *text); /* NULL without memory */
/* NULL with error InvalidNextToken. */
char *cloudwatch_token_decode(const char *token, struct aws_error *error);

/* ---- alarms: cloudwatch_alarm.c ---- */

struct alarm *cloudwatch_find_alarm(const struct cloudwatch *cw, const char *name);
/* Takes document (a reference is taken) as the alarm of its name, in place of an old one. NULL with
 * err. */
MUST_CHECK struct alarm *cloudwatch_adopt(struct cloudwatch *cw, json_t *document, struct err *err);
void cloudwatch_forget(struct cloudwatch *cw, struct alarm *alarm);
/* Frees the graveyard, when no callback is under way. */
void cloudwatch_bury(struct cloudwatch *cw);

/* Makes the document of a PutMetricAlarm or PutCompositeAlarm input and keeps it.  err as
 * alarm_rule_init(), or EDQUOT when there are too many alarms, EIO when the store failed. */
MUST_CHECK int cloudwatch_put(struct cloudwatch *cw, const json_t *input, struct err *err);
/* Writes the alarm's document anew with the changes, to the store too.  -1 with err: nothing
 * changed. */
MUST_CHECK int cloudwatch_rewrite(struct cloudwatch *cw, struct alarm *alarm, const json_t *changes,
				  struct err *err);

/* ---- composite alarms: cloudwatch_composite.c ---- */

/* err as alarm_rule_init(). */
MUST_CHECK int cloudwatch_check_composite(const struct cloudwatch *cw, const json_t *input,
					  struct err *err);
/* A composite alarm whose rule names the alarm; NULL when there is none. */
const struct alarm *cloudwatch_composite_over(const struct cloudwatch *cw, const char *name);
/* The alarm has changed: those that name it are judged soon. */
void cloudwatch_hasten_composites(struct cloudwatch *cw, const char *name, int64_t now_ms);
void cloudwatch_judge_composite(struct cloudwatch *cw, struct alarm *alarm, int64_t now_ms);

/* ---- suppressed actions: cloudwatch_suppress.c ---- */

/* err as alarm_rule_init(). */
MUST_CHECK int cloudwatch_check_suppressor(const struct cloudwatch *cw, const json_t *input,
					   struct err *err);
bool cloudwatch_is_suppressible(const struct alarm *alarm);
/* Members of the document that go with the state. */
enum { CLOUDWATCH_SUPPRESSION_MEMBERS = 5 };
extern const char *const cloudwatch_suppression_members[CLOUDWATCH_SUPPRESSION_MEMBERS];
/* Does the alarm of that name suppress this one's actions? */
bool cloudwatch_is_suppressor_of(const struct alarm *alarm, const char *name);
/* Out of the alarm's document. */
void cloudwatch_read_suppression(struct alarm *alarm);
/* Runs the actions that nothing holds back any more; moves due_ms to when it may be so. */
void cloudwatch_suppress(struct cloudwatch *cw, struct alarm *alarm, int64_t now_ms);
/* The same after a change of the alarm's state. */
void cloudwatch_suppress_change(struct cloudwatch *cw, struct alarm *alarm, int64_t at_ms);

/* ---- tags: cloudwatch_tags.c ---- */

char *cloudwatch_tags_key(const char *name, char key[CLOUDWATCH_KEY_MAX]);
/* Adds [{Key, Value}] to the alarm's tags.  -1 with error. */
MUST_CHECK int cloudwatch_tag(struct cloudwatch *cw, const char *name, const json_t *more,
			      struct aws_error *error);

/* ---- alarms at work: cloudwatch_run.c ---- */

struct alarm_change {
	enum alarm_state state;
	const char *reason, *reason_data; /* reason_data: JSON text, NULL for none */
	int64_t at_ms;
};

/* Writes the new state to the store, the history and the log, and runs the actions of a state
 * that is new.  The alarm may be forgotten on the way, but lives until the next bury. -1 with err
 * when the store failed. */
MUST_CHECK int cloudwatch_change(struct cloudwatch *cw, struct alarm *alarm,
				 const struct alarm_change *change, struct err *err);
/* Those of the state it is in, which it has come to from old_state. */
void cloudwatch_run_actions(struct cloudwatch *cw, struct alarm *alarm, enum alarm_state old_state,
			    int64_t at_ms);
void cloudwatch_judge_due(struct cloudwatch *cw, int64_t now_ms);
/* When the actions of the state the alarm is in are to run again. */
int64_t cloudwatch_repeat_ms(const struct alarm *alarm, int64_t since_ms);

/* The outcome of an action into the history; why NULL: it was good. */
void cloudwatch_note_action(struct cloudwatch *cw, const struct alarm_event *event,
			    const char *why);

/* ---- topics: cloudwatch_notice.c ---- */

bool cloudwatch_is_topic(const char *text); /* an ARN of SNS? */
MUST_CHECK int cloudwatch_notify(struct cloudwatch *cw, const struct alarm_event *event,
				 struct err *err);

/* ---- history: cloudwatch_history.c ---- */

/* Takes data's reference (NULL is fine).  What there is no memory for is left out. */
void cloudwatch_note(struct cloudwatch *cw, const char *alarm, const char *type, json_t *data,
		     const char *summary, ...) PRINTF_LIKE(5, 6);
void cloudwatch_forget_history(struct cloudwatch *cw, int64_t before_ms);
json_t *cloudwatch_history_document(const struct history_item *item); /* NULL without memory */
/* The item of a document, as the newest.  -1: it is none, or there is no memory. */
MUST_CHECK int cloudwatch_history_restore(struct cloudwatch *cw, uint64_t number,
					  const json_t *document);

/* ---- over a restart: cloudwatch_keep.c ---- */

/* Writes what has changed, at most max chunks of data. */
void cloudwatch_write(struct cloudwatch *cw, size_t max);
void cloudwatch_write_due(struct cloudwatch *cw, int64_t now_ms);

#endif
