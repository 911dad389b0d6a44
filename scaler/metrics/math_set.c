/*
 * Queries of metric math: checked, put into an order in which each finds what it names, evaluated.
 * Pure.
 */
#include "scaler/metrics/math.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/metrics/math_parts.h"

enum { DEFAULT_PERIOD_S = 60, MAX_PERIOD_S = 86400, POINTS_OF_METRIC_MAX = 100800 };

struct member {
	const json_t *document;
	const char *id;
	bool returns;
	int period_s;
	/* Of a MetricStat. */
	bool is_metric;
	struct metric_query query;
	struct metric_dimension *dimensions;
	/* Of an expression. */
	struct math_tree tree;
};

struct math_set {
	struct member *members;
	size_t n, n_metrics;
	size_t *order;             /* [n] */
	struct math_value *values; /* while it is evaluated; borrowed */
};

size_t math_set_count(const struct math_set *set)
{
	return set->n;
}

size_t math_set_metrics(const struct math_set *set)
{
	return set->n_metrics;
}

const json_t *math_set_query(const struct math_set *set, size_t i)
{
	return set->members[i].document;
}

static int longest_period(const struct math_set *set)
{
	int longest = 0;

	for (size_t i = 0; i < set->n; i++)
		if (set->members[i].is_metric && set->members[i].period_s > longest)
			longest = set->members[i].period_s;
	return longest;
}

int math_set_period(const struct math_set *set, size_t i)
{
	return set->members[i].period_s > 0 ? set->members[i].period_s : longest_period(set);
}

int math_run_period(const struct math_run *run)
{
	int longest = longest_period(run->set);

	return longest > 0 ? longest : DEFAULT_PERIOD_S;
}

static size_t index_of(const struct math_set *set, const char *id)
{
	size_t i = 0;

	while (i < set->n && strcmp(set->members[i].id, id) != 0)
		i++;
	return i;
}

/* ---- checking ---- */

static int refuse(const struct member *member, struct err *err, const char *why)
{
	err_set(err, ERANGE, "Error in query '%.64s': %s", member->id, why);
	return -1;
}

static int read_period(struct member *member, const json_t *holder, bool is_required,
		       struct err *err)
{
	int64_t period = doc_int(holder, "Period", 0);
	bool is_short = period == 1 || period == 5 || period == 10 || period == 20 || period == 30;

	if (period == 0 && !is_required)
		return 0;
	if (!is_short && (period <= 0 || period % 60 != 0 || period > MAX_PERIOD_S))
		return refuse(member, err,
			      "Period must be 1, 5, 10, 20, 30 or a multiple of 60 up to 86400");
	member->period_s = (int)period;
	return 0;
}

static int read_key(struct member *member, const json_t *metric, struct err *err)
{
	const json_t *list = doc_array(metric, "Dimensions"), *one;
	size_t i, n = json_array_size(list);

	if (n > METRIC_DIMENSIONS_MAX)
		return refuse(member, err, "it has too many dimensions");
	member->dimensions = calloc(n + 1, sizeof(member->dimensions[0]));
	if (member->dimensions == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	json_array_foreach (list, i, one)
		member->dimensions[i] =
		    (struct metric_dimension){doc_str(one, "Name", ""), doc_str(one, "Value", "")};
	member->query.key =
	    (struct metric_key){doc_str(metric, "Namespace", ""), doc_str(metric, "MetricName", ""),
				member->dimensions, n};
	if (!metric_key_is_valid(&member->query.key))
		return refuse(member, err,
			      "Namespace, MetricName and Dimensions name no metric: a name is "
			      "empty, too long, stands twice or has control characters");
	return 0;
}

static int read_metric(struct member *member, const json_t *stat, struct err *err)
{
	const char *unit = doc_str(stat, "Unit", NULL);

	member->is_metric = true;
	if (read_period(member, stat, true, err) != 0)
		return -1;
	member->query.period_s = member->period_s;
	member->query.unit = unit != NULL ? metric_unit_from_name(unit) : METRIC_UNIT_ANY;
	if (unit != NULL && member->query.unit < 0)
		return refuse(member, err, "the parameter Unit names no unit");
	if (statistic_parse(doc_str(stat, "Stat", ""), &member->query.statistic) != 0)
		return refuse(member, err, "the parameter Stat names no statistic");
	return read_key(member, doc_object(stat, "Metric"), err);
}

static bool is_id(const char *id)
{
	size_t len = 0;

	if (id[0] < 'a' || id[0] > 'z')
		return false;
	while (isalnum((unsigned char)id[len]) || id[len] == '_')
		len++;
	return id[len] == '\0' && len < MATH_WORD_MAX;
}

static int read_member(struct math_set *set, struct member *member, const json_t *document,
		       struct err *err)
{
	const json_t *stat = doc_object(document, "MetricStat");
	const char *expression = doc_str(document, "Expression", NULL);

	member->document = document;
	member->id = doc_str(document, "Id", "");
	member->returns = doc_bool(document, "ReturnData", true);
	if (!is_id(member->id))
		return refuse(member, err,
			      "the Id must begin with a lower-case letter and hold only letters, "
			      "digits and underscores");
	if (index_of(set, member->id) < set->n)
		return refuse(member, err, "the Id stands twice");
	if ((stat != NULL) == (expression != NULL))
		return refuse(member, err,
			      "exactly one of MetricStat and Expression must be specified");
	if (stat != NULL)
		return read_metric(member, stat, err);
	if (read_period(member, document, false, err) != 0)
		return -1;
	if (math_parse(expression, &member->tree, err) != 0) {
		err_wrap(err, "Error in expression '%.64s': ", member->id);
		return -1;
	}
	return 0;
}

/* ---- order ---- */

/* What a node names must be there: ids of queries, functions. */
static int check_node(const struct math_set *set, const struct member *member,
		      const struct math_node *node, struct err *err)
{
	bool is_word = node->kind == NODE_ID && !islower((unsigned char)node->word[0]);

	if (node->kind == NODE_CALL && math_function_named(node->word) == NULL) {
		err_set(err, ERANGE, "Error in expression '%.64s': there is no function %.64s",
			member->id, node->word);
		return -1;
	}
	if (node->kind != NODE_ID || is_word || index_of(set, node->word) < set->n)
		return 0;
	err_set(err, ERANGE, "Error in expression '%.64s': there is no query with the Id '%.64s'",
		member->id, node->word);
	return -1;
}

static int check_nodes(const struct math_set *set, struct err *err)
{
	for (size_t i = 0; i < set->n; i++)
		for (const struct math_node *node = set->members[i].tree.all; node != NULL;
		     node = node->made)
			if (check_node(set, &set->members[i], node, err) != 0)
				return -1;
	return 0;
}

static bool is_ready(const struct math_set *set, const struct member *member, const bool done[])
{
	for (const struct math_node *node = member->tree.all; node != NULL; node = node->made) {
		size_t i = node->kind == NODE_ID ? index_of(set, node->word) : set->n;

		if (i < set->n && !done[i])
			return false;
	}
	return true;
}

/* Those that name nothing first, then those that name only them, and so on. */
static int sort_members(struct math_set *set, struct err *err)
{
	bool *done = calloc(set->n + 1, sizeof(*done));
	size_t n = 0, before;

	set->order = calloc(set->n + 1, sizeof(set->order[0]));
	if (done == NULL || set->order == NULL) {
		free(done);
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	do {
		before = n;
		for (size_t i = 0; i < set->n; i++) {
			if (done[i] || !is_ready(set, &set->members[i], done))
				continue;
			done[i] = true;
			set->order[n++] = i;
		}
	} while (n > before && n < set->n);
	free(done);
	if (n == set->n)
		return 0;
	err_set(err, ERANGE, "Expressions refer to each other in a circle");
	return -1;
}

struct math_set *math_set_new(const json_t *queries, struct err *err)
{
	struct math_set *set = calloc(1, sizeof(*set));
	size_t n = json_array_size(queries);

	if (set != NULL)
		set->members = calloc(n + 1, sizeof(set->members[0]));
	if (set == NULL || set->members == NULL) {
		err_set(err, ENOMEM, "out of memory");
		goto fail;
	}
	if (n == 0 || n > MATH_QUERIES_MAX) {
		err_set(err, ERANGE, "There must be between 1 and %d queries", MATH_QUERIES_MAX);
		goto fail;
	}
	for (size_t i = 0; i < n; i++) {
		struct member *member = &set->members[i];

		if (read_member(set, member, json_array_get(queries, i), err) != 0) {
			set->n = i + 1;
			goto fail;
		}
		set->n = i + 1;
		set->n_metrics += member->is_metric;
	}
	if (check_nodes(set, err) == 0 && sort_members(set, err) == 0)
		return set;
fail:
	math_set_free(set);
	return NULL;
}

void math_set_free(struct math_set *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < set->n; i++) {
		free(set->members[i].dimensions);
		math_tree_fini(&set->members[i].tree);
	}
	free(set->members);
	free(set->order);
	free(set);
}

/* ---- evaluating ---- */

static bool evaluate(struct math_run *run, const struct math_node *node, struct math_value *out);

static bool evaluate_id(struct math_run *run, const struct math_node *node, struct math_value *out)
{
	size_t i = index_of(run->set, node->word);
	const struct math_value *value;

	if (i == run->set->n)
		return math_fail(run, "%s is no query and no function here", node->word);
	value = &run->set->values[i];
	if (value->kind == MATH_SCALAR) {
		out->number = value->number;
		return true;
	}
	if (!math_copy(run, value->series, value->n, out))
		return false;
	out->kind = value->kind;
	return true;
}

static bool evaluate_array(struct math_run *run, const struct math_node *node,
			   struct math_value *out)
{
	size_t n = 0;

	for (const struct math_node *one = node->first; one != NULL; one = one->next)
		n++;
	if (!math_new_series(run, n, out))
		return false;
	out->kind = MATH_ARRAY;
	n = 0;
	for (const struct math_node *one = node->first; one != NULL; one = one->next, n++) {
		struct math_value value = {0};
		bool is_good = evaluate(run, one, &value);

		if (is_good && value.kind == MATH_SERIES && value.series != NULL) {
			out->series[n] = value.series[0];
			value.n = 0; /* its points are ours now */
		} else if (is_good) {
			is_good = math_fail(run, "an array is made of time series");
		}
		math_value_fini(&value);
		if (!is_good)
			return false;
	}
	return true;
}

/* An argument that is a word where the function takes one. */
static const char *word_of(const struct math_function *function, const struct math_node *node,
			   size_t i)
{
	if ((function->words & 1U << i) == 0)
		return NULL;
	if (node->kind == NODE_TEXT ||
	    (node->kind == NODE_ID && !islower((unsigned char)node->word[0])))
		return node->word;
	return NULL;
}

static bool evaluate_call(struct math_run *run, const struct math_node *node,
			  struct math_value *out)
{
	struct math_arguments arguments = {.function = math_function_named(node->word)};
	const struct math_function *function = arguments.function;
	bool is_good = true;

	for (const struct math_node *one = node->first; one != NULL && is_good; one = one->next) {
		size_t i = arguments.n;

		if (i == function->max)
			is_good = math_fail(run, "%s has too many arguments", function->name);
		else if ((arguments.words[i] = word_of(function, one, i)) == NULL)
			is_good = evaluate(run, one, &arguments.values[i]);
		arguments.n += i < function->max;
	}
	if (is_good && arguments.n < function->min)
		is_good = math_fail(run, "%s has too few arguments", function->name);
	is_good = is_good && function->call(run, &arguments, out);
	for (size_t i = 0; i < arguments.n; i++)
		math_value_fini(&arguments.values[i]);
	return is_good;
}

static bool evaluate_binary(struct math_run *run, const struct math_node *node,
			    struct math_value *out)
{
	struct math_value left = {0}, right = {0};
	bool is_good = evaluate(run, node->first, &left) &&
		       evaluate(run, node->first->next, &right) &&
		       math_binary(run, node->op, &left, &right, out);

	math_value_fini(&left);
	math_value_fini(&right);
	return is_good;
}

static bool evaluate_negative(struct math_run *run, const struct math_node *node,
			      struct math_value *out)
{
	struct math_value zero = {0}, value = {0};
	bool is_good = evaluate(run, node->first, &value) &&
		       math_binary(run, MATH_SUBTRACT, &zero, &value, out);

	math_value_fini(&value);
	return is_good;
}

/* out: zeroed before; to be finished in every case. */
static bool evaluate(struct math_run *run, const struct math_node *node, struct math_value *out)
{
	switch (node->kind) {
	case NODE_NUMBER:
		out->number = node->number;
		return true;
	case NODE_TEXT:
		return math_fail(run, "a text stands where a value is expected");
	case NODE_ID:
		return evaluate_id(run, node, out);
	case NODE_ARRAY:
		return evaluate_array(run, node, out);
	case NODE_CALL:
		return evaluate_call(run, node, out);
	case NODE_NEGATE:
		return evaluate_negative(run, node, out);
	case NODE_BINARY:
		return evaluate_binary(run, node, out);
	}
	return false;
}

bool math_set_gather(struct math_run *run, const char *text, struct math_value *out)
{
	const struct math_set *set = run->set;
	size_t n = 0;

	if (!math_new_series(run, set->n_metrics, out))
		return false;
	out->kind = MATH_ARRAY;
	out->n = 0;
	for (size_t i = 0; i < set->n; i++) {
		struct math_value copy;

		if (!set->members[i].is_metric ||
		    (text != NULL && strstr(set->members[i].id, text) == NULL))
			continue;
		if (!math_copy(run, set->values[i].series, 1, &copy)) {
			math_value_fini(&copy);
			return false;
		}
		out->series[n++] = copy.series[0];
		out->n = n;
		free(copy.series);
	}
	return true;
}

/* ---- a set over a time ---- */

static bool read_points(struct math_run *run, const struct metrics *metrics,
			const struct member *member, struct math_value *out)
{
	struct metric_query query = member->query;
	int64_t periods = (run->end_ms - run->start_ms) / (member->period_s * 1000LL) + 2;
	size_t max = periods < POINTS_OF_METRIC_MAX ? (size_t)periods : POINTS_OF_METRIC_MAX, n;
	struct metric_point *points;
	bool is_good;

	if (run->end_ms <= run->start_ms)
		max = 0;
	points = calloc(max + 1, sizeof(*points));
	is_good = math_new_series(run, 1, out);
	if (points == NULL || !is_good) {
		free(points);
		return math_fail(run, "out of memory");
	}
	query.start_ms = run->start_ms;
	query.end_ms = run->end_ms;
	/* Of periods under a minute only whole ones are read. */
	if (member->period_s < 60)
		query.end_ms -= query.end_ms % (member->period_s * 1000LL);
	n = max > 0 ? metrics_query(metrics, &query, points, max) : 0;
	out->series->period_s = member->period_s;
	out->series->id = member->id;
	for (size_t i = 0; i < n && is_good; i++)
		is_good = math_add(run, out->series, points[i].at_ms, points[i].value);
	free(points);
	return is_good;
}

static bool evaluate_member(struct math_run *run, const struct metrics *metrics, size_t i,
			    struct math_value *out)
{
	const struct member *member = &run->set->members[i];

	if (member->is_metric)
		return read_points(run, metrics, member, out);
	if (!evaluate(run, member->tree.root, out)) {
		err_wrap(run->err, "Error in expression '%.64s': ", member->id);
		return false;
	}
	if (member->returns && out->kind == MATH_SCALAR) {
		math_fail(run,
			  "Error in expression '%.64s': a time series must come of it, not a "
			  "number",
			  member->id);
		return false;
	}
	return true;
}

static int list_results(const struct math_set *set, struct math_results *results, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++)
		n += results->values[i].n;
	results->list = calloc(n + 1, sizeof(results->list[0]));
	if (results->list == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < set->n; i++) {
		const struct math_value *value = &results->values[i];

		for (size_t k = 0; set->members[i].returns && k < value->n; k++)
			results->list[results->n++] = (struct math_result){
			    i, value->kind == MATH_ARRAY ? value->series[k].id : "",
			    value->series[k].points, value->series[k].n};
	}
	return 0;
}

/* NOLINTNEXTLINE(readability-function-size): the short call for what would be a struct */
int math_set_evaluate(const struct math_set *set, const struct metrics *metrics, int64_t start_ms,
		      int64_t end_ms, int64_t now_ms, struct math_results *results, struct err *err)
{
	struct math_set at_work = *set;
	struct err own = {0};
	struct math_run run = {.start_ms = start_ms < 0 ? 0 : start_ms,
			       .end_ms = end_ms,
			       .fill_end_ms = end_ms < now_ms ? end_ms : now_ms,
			       .set = &at_work,
			       .err = &own};
	bool is_good = true;

	*results = (struct math_results){.n_values = set->n};
	results->values = calloc(set->n + 1, sizeof(results->values[0]));
	if (results->values == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	at_work.values = results->values;
	for (size_t i = 0; i < set->n && is_good; i++)
		is_good =
		    evaluate_member(&run, metrics, set->order[i], &results->values[set->order[i]]);
	if (is_good && list_results(set, results, &own) == 0)
		return 0;
	err_set(err, own.code, "%s", own.text);
	math_results_fini(results);
	return -1;
}

void math_results_fini(struct math_results *results)
{
	for (size_t i = 0; i < results->n_values; i++)
		math_value_fini(&results->values[i]);
	free(results->values);
	free(results->list);
	*results = (struct math_results){0};
}
