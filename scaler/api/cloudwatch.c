/*
 * The CloudWatch part: its life, its clock and what its handlers share.  Control thread only.
 * Handlers: cloudwatch_data.c, cloudwatch_alarms.c; alarms at work: cloudwatch_run.c.
 */
#include "scaler/api/cloudwatch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"

#define AGE_EVERY_MS 10000
#define HOLD_MAX_MS (15LL * 60 * 1000)
#define HISTORY_MS (14LL * 24 * 3600 * 1000)
/* Alarms with periods under a minute are judged when data arrives, but no oftener than this. */
#define SHORT_EVERY_MS 200

const struct aws_action cloudwatch_actions[] = {
#define AWS_ACTION AWS_LIST_ACTION
#include "scaler/api/monitoring.def"
#undef AWS_ACTION
};
const size_t cloudwatch_n_actions = sizeof(cloudwatch_actions) / sizeof(cloudwatch_actions[0]);

struct loading {
	struct cloudwatch *cw;
	size_t n;
};

/* The datapoints of before the start are gone: without its periods an alarm keeps its state. */
static void hold(struct alarm *alarm, int64_t now_ms)
{
	/* Of a composite there is no range: it is judged at once. */
	int64_t range_ms =
	    (alarm->rule.evaluation_periods + 1LL) * alarm->rule.query.period_s * 1000LL;

	alarm->hold_ms = now_ms + (range_ms < HOLD_MAX_MS ? range_ms : HOLD_MAX_MS);
}

static bool load_alarm(void *arg, const char *key, const json_t *document, int64_t revision)
{
	struct loading *loading = arg;
	json_t *copy = json_deep_copy(document);
	struct alarm *alarm;
	struct err err = {0};

	(void)revision;
	alarm = copy != NULL ? cloudwatch_adopt(loading->cw, copy, &err) : NULL;
	json_decref(copy);
	if (alarm == NULL) {
		log_error("alarm-not-read", "key=\"%s\" why=\"%s\"", key, err.text);
		return true;
	}
	loading->n++;
	hold(alarm, cloudwatch_now_ms(loading->cw));
	return true;
}

struct cloudwatch *cloudwatch_new(struct store *store, const struct clock *clock,
				  const char *region, const char *account, struct err *err)
{
	struct cloudwatch *cw = calloc(1, sizeof(*cw));
	struct loading loading = {.cw = cw};

	if (cw == NULL)
		goto oom;
	cw->store = store;
	cw->clock = clock;
	cw->region = region;
	cw->account = account;
	TAILQ_INIT(&cw->history);
	cw->metrics = metrics_new(NULL);
	if (cw->metrics == NULL)
		goto oom;
	store_scan(store, "cw/alarm/", load_alarm, &loading);
	log_info("cloudwatch-started", "alarms=%zu", loading.n);
	return cw;
oom:
	free(cw);
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

void cloudwatch_free(struct cloudwatch *cw)
{
	if (cw == NULL)
		return;
	cloudwatch_write(cw, SIZE_MAX);
	while (cw->alarms != NULL)
		cloudwatch_forget(cw, cw->alarms);
	cloudwatch_bury(cw);
	cloudwatch_forget_history(cw, INT64_MAX);
	metrics_free(cw->metrics);
	free(cw);
}

void cloudwatch_on_alarm(struct cloudwatch *cw, cloudwatch_alarm_fn fn, void *arg)
{
	cw->on_alarm = fn;
	cw->on_alarm_arg = arg;
}

void cloudwatch_on_data(struct cloudwatch *cw, cloudwatch_data_fn fn, void *arg)
{
	cw->on_data = fn;
	cw->on_data_arg = arg;
}

struct metrics *cloudwatch_metrics(struct cloudwatch *cw)
{
	return cw->metrics;
}

int64_t cloudwatch_now_ms(const struct cloudwatch *cw)
{
	return clock_now_ms(cw->clock);
}

/* ---- time ---- */

static void hasten_short_alarms(struct cloudwatch *cw, int64_t now_ms)
{
	cw->has_new_data = false;
	cw->short_judged_ms = now_ms;
	for (struct alarm *alarm = cw->alarms; alarm != NULL; alarm = alarm->hh.next)
		if (alarm->expression == NULL && alarm->rule.query.period_s < 60 &&
		    alarm->due_ms > now_ms &&
		    alarm->due_ms - now_ms <= alarm_interval_ms(&alarm->rule))
			alarm->due_ms = now_ms;
}

void cloudwatch_tick(struct cloudwatch *cw, int64_t now_ms)
{
	if (cw->has_new_data && now_ms >= cw->short_judged_ms + SHORT_EVERY_MS)
		hasten_short_alarms(cw, now_ms);
	cloudwatch_judge_due(cw, now_ms);
	cloudwatch_write_due(cw, now_ms);
	if (now_ms < cw->aged_ms + AGE_EVERY_MS)
		return;
	cw->aged_ms = now_ms;
	metrics_tick(cw->metrics, now_ms);
	cloudwatch_forget_history(cw, now_ms - HISTORY_MS);
}

int64_t cloudwatch_next_due_ms(const struct cloudwatch *cw)
{
	int64_t due_ms = cw->aged_ms + AGE_EVERY_MS;

	if (cw->has_new_data && cw->short_judged_ms + SHORT_EVERY_MS < due_ms)
		due_ms = cw->short_judged_ms + SHORT_EVERY_MS;
	if (cw->is_kept && cw->write_ms < due_ms)
		due_ms = cw->write_ms;
	for (const struct alarm *alarm = cw->alarms; alarm != NULL; alarm = alarm->hh.next) {
		if (alarm->due_ms < due_ms)
			due_ms = alarm->due_ms;
		if (alarm->repeat_ms < due_ms)
			due_ms = alarm->repeat_ms;
	}
	return due_ms;
}

/* ---- what handlers share ---- */

int cloudwatch_check_name(const char *name, const char *prefix, const char *parameter, size_t max,
			  struct aws_error *error)
{
	size_t len = 0;
	bool is_blank = true;

	for (; name[len] >= ' ' && name[len] <= '~'; len++)
		is_blank &= name[len] == ' ';
	if (name[len] == '\0' && !is_blank && len <= max)
		return 0;
	if (name[len] != '\0')
		aws_error_set(error, 400, "InvalidParameterValue",
			      "The parameter %s%s must contain only printable ASCII characters.",
			      prefix, parameter);
	else
		aws_error_set(
		    error, 400, "InvalidParameterValue",
		    "The parameter %s%s must be between 1 and %zu characters long and not "
		    "blank.",
		    prefix, parameter, max);
	return -1;
}

int cloudwatch_check_namespace(const char *namespace, struct aws_error *error)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789.-_/#: ";

	if (cloudwatch_check_name(namespace, "", "Namespace", METRIC_NAME_MAX, error) != 0)
		return -1;
	if (namespace[0] != ':' && namespace[strspn(namespace, allowed)] == '\0')
		return 0;
	aws_error_set(
	    error, 400, "InvalidParameterValue",
	    "The value %s for parameter Namespace is invalid: it may hold letters, digits and "
	    ".-_/#: and space, and may not start with a colon.",
	    namespace);
	return -1;
}

/* The error of the n-th dimension, of which we know that it is wrong. */
static void refuse_dimension(const struct metric_dimension *dimension, size_t n, const char *prefix,
			     struct aws_error *error)
{
	char parameter[64];

	snprintf(parameter, sizeof(parameter), "Dimensions.member.%zu.Name", n);
	if (cloudwatch_check_name(dimension->name, prefix, parameter, METRIC_NAME_MAX, error) != 0)
		return;
	if (dimension->name[0] == ':') {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "The parameter %s%s must not start with a colon.", prefix, parameter);
		return;
	}
	snprintf(parameter, sizeof(parameter), "Dimensions.member.%zu.Value", n);
	if (cloudwatch_check_name(dimension->value, prefix, parameter, METRIC_VALUE_MAX, error) ==
	    0)
		aws_error_set(error, 400, "InvalidParameterValue",
			      "The collection %sDimensions must not name the dimension %s twice.",
			      prefix, dimension->name);
}

static bool is_dimension(const struct metric_dimension *dimensions, size_t n,
			 struct aws_error *error)
{
	const struct metric_dimension *last = &dimensions[n];

	for (size_t i = 0; i < n; i++)
		if (strcmp(dimensions[i].name, last->name) == 0)
			return false;
	return last->name[0] != ':' &&
	       cloudwatch_check_name(last->name, "", "", METRIC_NAME_MAX, error) == 0 &&
	       cloudwatch_check_name(last->value, "", "", METRIC_VALUE_MAX, error) == 0;
}

int cloudwatch_dimensions(const json_t *list, const char *prefix,
			  struct metric_dimension dimensions[], struct aws_error *error)
{
	const json_t *one;
	size_t i;

	if (json_array_size(list) > METRIC_DIMENSIONS_MAX) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "The collection %sDimensions must not have a size greater than %d.",
			      prefix, METRIC_DIMENSIONS_MAX);
		return -1;
	}
	json_array_foreach (list, i, one) {
		dimensions[i].name = doc_str(one, "Name", "");
		dimensions[i].value = doc_str(one, "Value", "");
		if (is_dimension(dimensions, i, error))
			continue;
		refuse_dimension(&dimensions[i], i + 1, prefix, error);
		return -1;
	}
	return (int)json_array_size(list);
}

int cloudwatch_key(const json_t *input, struct metric_key *key,
		   struct metric_dimension dimensions[], struct aws_error *error)
{
	int n;

	*key = (struct metric_key){doc_str(input, "Namespace", ""),
				   doc_str(input, "MetricName", ""), dimensions, 0};
	if (cloudwatch_check_namespace(key->namespace, error) != 0 ||
	    cloudwatch_check_name(key->name, "", "MetricName", METRIC_NAME_MAX, error) != 0)
		return -1;
	n = cloudwatch_dimensions(doc_array(input, "Dimensions"), "", dimensions, error);
	if (n < 0)
		return -1;
	key->n_dimensions = (size_t)n;
	return 0;
}

char *cloudwatch_token_encode(const char *text)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = strlen(text);
	char *token = malloc(2 * len + 1);

	if (token == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		token[2 * i] = digits[(unsigned char)text[i] >> 4];
		token[2 * i + 1] = digits[(unsigned char)text[i] & 15];
	}
	token[2 * len] = '\0';
	return token;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *cloudwatch_token_decode(const char *token, struct aws_error *error)
{
	size_t len = strlen(token);
	char *text = len % 2 == 0 && len > 0 ? malloc(len / 2 + 1) : NULL;

	for (size_t i = 0; text != NULL && i < len / 2; i++) {
		int high = hex_digit(token[2 * i]), low = hex_digit(token[2 * i + 1]);

		if (high < 0 || low < 0 || high + low == 0) {
			free(text);
			text = NULL;
			break;
		}
		text[i] = (char)(high << 4 | low);
		text[i + 1] = '\0';
	}
	if (text == NULL)
		aws_error_set(error, 400, "InvalidNextToken",
			      "The value for NextToken is invalid.");
	return text;
}

/* ---- /metrics ---- */

void cloudwatch_print(const struct cloudwatch *cw, struct buf *text)
{
	struct metrics_usage usage = metrics_usage(cw->metrics);
	unsigned counts[3] = {0};

	for (const struct alarm *alarm = cw->alarms; alarm != NULL; alarm = alarm->hh.next)
		counts[alarm->state]++;
	buf_printf(text,
		   "# TYPE albatross_cloudwatch_metrics gauge\n"
		   "albatross_cloudwatch_metrics %zu\n"
		   "# TYPE albatross_cloudwatch_memory_bytes gauge\n"
		   "albatross_cloudwatch_memory_bytes %zu\n"
		   "# TYPE albatross_cloudwatch_memory_limit_bytes gauge\n"
		   "albatross_cloudwatch_memory_limit_bytes %zu\n"
		   "# TYPE albatross_cloudwatch_datapoints_total counter\n"
		   "albatross_cloudwatch_datapoints_total %llu\n"
		   "# TYPE albatross_cloudwatch_folded_early_total counter\n"
		   "albatross_cloudwatch_folded_early_total %llu\n",
		   usage.metrics, usage.bytes, usage.limit_bytes,
		   (unsigned long long)usage.datapoints_put,
		   (unsigned long long)usage.folded_early);
	buf_printf(text,
		   "# TYPE albatross_cloudwatch_kept_bytes gauge\n"
		   "albatross_cloudwatch_kept_bytes %zu\n"
		   "# TYPE albatross_cloudwatch_writes_total counter\n"
		   "albatross_cloudwatch_writes_total{result=\"good\"} %llu\n"
		   "albatross_cloudwatch_writes_total{result=\"failed\"} %llu\n",
		   usage.kept_bytes, (unsigned long long)cw->kept_writes,
		   (unsigned long long)cw->kept_failures);
	buf_add_str(text, "# TYPE albatross_cloudwatch_alarms gauge\n");
	for (int i = 0; i < 3; i++)
		buf_printf(text, "albatross_cloudwatch_alarms{state=\"%s\"} %u\n",
			   alarm_state_name((enum alarm_state)i), counts[i]);
	buf_printf(text,
		   "# TYPE albatross_cloudwatch_alarm_evaluations_total counter\n"
		   "albatross_cloudwatch_alarm_evaluations_total %llu\n"
		   "# TYPE albatross_cloudwatch_alarm_transitions_total counter\n"
		   "albatross_cloudwatch_alarm_transitions_total %llu\n",
		   (unsigned long long)cw->evaluations, (unsigned long long)cw->transitions);
}
