/*
 * See alarms.h.
 */
#include "scaler/sim/alarms.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "common/store/store.h"

enum { WATCHED_MAX = 256, DIMENSIONS_MAX = 4 };

struct watched {
	struct metric_dimension dimensions[DIMENSIONS_MAX];
	struct metric_key key;
	json_t *metric; /* Namespace, MetricName, Dimensions: the key's strings */
	int figure;
};

struct sim_alarms {
	struct sim_alarms_config config;
	struct store *store;
	struct cloudwatch *cloudwatch;
	struct watched watched[WATCHED_MAX];
	int n_watched;
	int64_t minute_s; /* AWS: the next one to be seen */
};

struct sim_alarms *sim_alarms_new(const struct sim_alarms_config *config, struct err *err)
{
	struct sim_alarms *alarms = calloc(1, sizeof *alarms);

	if (!alarms) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	alarms->config = *config;
	alarms->minute_s = config->feed->start_s / 60 * 60;
	alarms->store = store_open("memory:", err);
	if (alarms->store)
		alarms->cloudwatch =
		    cloudwatch_new(alarms->store, config->clock, "us-east-1", "000000000000", err);
	if (!alarms->cloudwatch) {
		sim_alarms_free(alarms);
		return NULL;
	}
	cloudwatch_on_alarm(alarms->cloudwatch, config->on_alarm, config->arg);
	return alarms;
}

void sim_alarms_free(struct sim_alarms *alarms)
{
	if (!alarms)
		return;
	for (int i = 0; i < alarms->n_watched; i++)
		json_decref(alarms->watched[i].metric);
	cloudwatch_free(alarms->cloudwatch);
	store_close(alarms->store);
	free(alarms);
}

struct cloudwatch *sim_alarms_cloudwatch(struct sim_alarms *alarms)
{
	return alarms->cloudwatch;
}

/* ---- what is watched ---- */

static bool is_watched(const struct sim_alarms *alarms, const json_t *metric)
{
	for (int i = 0; i < alarms->n_watched; i++) {
		const json_t *other = alarms->watched[i].metric;

		if (strcmp(doc_str(other, "Namespace", ""), doc_str(metric, "Namespace", "")) ==
			0 &&
		    strcmp(doc_str(other, "MetricName", ""), doc_str(metric, "MetricName", "")) ==
			0 &&
		    json_equal(doc_array(other, "Dimensions"), doc_array(metric, "Dimensions")))
			return true;
	}
	return false;
}

static void watch(struct sim_alarms *alarms, const json_t *metric, const char *who,
		  struct sim_run *run)
{
	const char *namespace = doc_str(metric, "Namespace", "");
	const char *name = doc_str(metric, "MetricName", "");
	struct watched *watched = &alarms->watched[alarms->n_watched];
	const json_t *dimension;
	size_t i;

	if (!name[0] || is_watched(alarms, metric))
		return;
	watched->figure =
	    sim_figure_of(alarms->config.feed, namespace, name, doc_array(metric, "Dimensions"));
	if (watched->figure < 0 || alarms->n_watched == WATCHED_MAX ||
	    json_array_size(doc_array(metric, "Dimensions")) > DIMENSIONS_MAX) {
		sim_run_note(run,
			     "%.60s watches %.60s %.60s, which is not simulated: it "
			     "stays without data",
			     who, namespace, name);
		return;
	}
	alarms->config.feed->wants_cpu |= watched->figure == FIGURE_CPU;
	watched->metric = json_deep_copy(metric);
	watched->key =
	    (struct metric_key){doc_str(watched->metric, "Namespace", ""),
				doc_str(watched->metric, "MetricName", ""), watched->dimensions, 0};
	json_array_foreach (doc_array(watched->metric, "Dimensions"), i, dimension)
		watched->dimensions[watched->key.n_dimensions++] = (struct metric_dimension){
		    doc_str(dimension, "Name", ""), doc_str(dimension, "Value", "")};
	alarms->n_watched++;
}

void sim_alarms_watch(struct sim_alarms *alarms, const json_t *queries, const char *policy,
		      struct sim_run *run)
{
	const json_t *query;
	size_t i;

	json_array_foreach (queries, i, query)
		watch(alarms, doc_object(doc_object(query, "MetricStat"), "Metric"), policy, run);
}

int sim_alarms_add(struct sim_alarms *alarms, const json_t *list, struct sim_run *run,
		   struct err *err)
{
	const json_t *alarm;
	size_t i;

	json_array_foreach (list, i, alarm) {
		const char *name = doc_str(alarm, "AlarmName", "");

		watch(alarms, alarm, name, run);
		sim_alarms_watch(alarms, doc_array(alarm, "Metrics"), name, run);
		if (cloudwatch_put_alarm(alarms->cloudwatch, alarm, err) < 0) {
			err_wrap(err, "alarm %s: ", name);
			return -1;
		}
	}
	return 0;
}

/* ---- time passes ---- */

static void put(struct sim_alarms *alarms, const struct watched *watched,
		const struct metric_datum *what, int64_t now_ms)
{
	struct metric_datum datum = *what;

	datum.key = watched->key;
	datum.unit = METRIC_UNIT_NONE;
	(void)!metrics_put(cloudwatch_metrics(alarms->cloudwatch), &datum, now_ms);
}

static void pass_second(struct sim_alarms *alarms, int64_t now_ms)
{
	const struct sim_feed *feed = alarms->config.feed;

	for (int i = 0; i < alarms->n_watched; i++) {
		double value = sim_feed_newest(feed, alarms->watched[i].figure);
		struct metric_datum datum = {.resolution_s = 1,
					     .at_ms = feed->newest_s * 1000,
					     .set = {1, value, value, value}};

		if (!isnan(value))
			put(alarms, &alarms->watched[i], &datum, now_ms);
	}
	cloudwatch_tick(alarms->cloudwatch, now_ms);
}

static void pass_minute(struct sim_alarms *alarms, int64_t now_ms)
{
	for (int i = 0; i < alarms->n_watched; i++) {
		const struct sim_minute *minute = sim_feed_minute(
		    alarms->config.feed, alarms->watched[i].figure, alarms->minute_s);
		struct metric_datum datum = {.resolution_s = 60, .at_ms = alarms->minute_s * 1000};

		if (!minute)
			continue;
		datum.set = (struct stat_set){minute->n, minute->sum, minute->min, minute->max};
		put(alarms, &alarms->watched[i], &datum, now_ms);
	}
	alarms->minute_s += 60;
	cloudwatch_tick(alarms->cloudwatch, now_ms);
}

void sim_alarms_pass(struct sim_alarms *alarms, int64_t now_ms)
{
	if (alarms->n_watched == 0)
		return;
	if (!alarms->config.is_aws)
		pass_second(alarms, now_ms);
	else if (now_ms >= (alarms->minute_s + 60) * 1000 + alarms->config.delay_ms)
		pass_minute(alarms, now_ms);
}
