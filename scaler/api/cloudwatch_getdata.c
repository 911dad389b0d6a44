/*
 * GetMetricData: metrics and metric math over a time, by pages.  A page begins where the one before
 * ended, in results and in their datapoints; the queries are evaluated anew for each.  Control
 * thread only.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"
#include "scaler/metrics/math.h"

enum { MAX_DATAPOINTS = 100800 };

/* Where a page begins. */
struct place {
	size_t result, point;
};

struct page {
	int64_t start_ms, end_ms;
	bool is_ascending;
	size_t left; /* datapoints that still fit */
	struct place from, next;
	bool is_more;
	json_t *list;
};

static int read_token(const char *token, struct place *place, struct aws_error *error)
{
	char *text = cloudwatch_token_decode(token, error);
	int n = text != NULL ? sscanf(text, "%zu:%zu", &place->result, &place->point) : 0;

	if (text != NULL && n != 2)
		aws_error_set(error, 400, "InvalidNextToken",
			      "The value for NextToken is invalid.");
	free(text);
	return n == 2 ? 0 : -1;
}

static int read_page(const json_t *input, struct page *page, struct aws_error *error)
{
	int64_t max = doc_int(input, "MaxDatapoints", MAX_DATAPOINTS);
	const char *token = doc_str(input, "NextToken", NULL);

	page->left = max < 1 || max > MAX_DATAPOINTS ? MAX_DATAPOINTS : (size_t)max;
	page->is_ascending = strcmp(doc_str(input, "ScanBy", ""), "TimestampAscending") == 0;
	if (token != NULL && read_token(token, &page->from, error) != 0)
		return -1;
	if (clock_parse_iso(doc_str(input, "StartTime", ""), &page->start_ms) == 0 &&
	    clock_parse_iso(doc_str(input, "EndTime", ""), &page->end_ms) == 0 &&
	    page->start_ms < page->end_ms)
		return 0;
	aws_error_set(error, 400, "ValidationError",
		      "The parameter StartTime must be less than the parameter EndTime.");
	return -1;
}

/* The query's Label, or what stands for it; of an array each series is told apart. */
static json_t *label_of(const json_t *query, const struct math_result *result)
{
	const char *label = doc_str(query, "Label", NULL);
	const json_t *metric = doc_object(doc_object(query, "MetricStat"), "Metric");

	if (label == NULL)
		label =
		    metric != NULL ? doc_str(metric, "MetricName", "") : doc_str(query, "Id", "");
	if (result->id[0] == '\0')
		return json_string(label);
	return json_sprintf("%s %s", label, result->id);
}

/* Points from `from` on, at most as many as the page has room for. */
static json_t *describe(const struct math_set *set, const struct math_result *result, size_t from,
			struct page *page)
{
	const json_t *query = math_set_query(set, result->query);
	json_t *times = json_array(), *values = json_array();
	size_t i = from;

	for (; i < result->n && page->left > 0; i++, page->left--) {
		const struct math_point *point =
		    &result->points[page->is_ascending ? i : result->n - 1 - i];
		char time[CLOCK_TEXT_MAX];

		json_array_append_new(times, json_string(clock_format_iso(point->at_ms, time)));
		json_array_append_new(values, json_real(point->value));
	}
	page->next.point = i;
	page->is_more = i < result->n;
	return json_pack("{s:s, s:o, s:o, s:o, s:s}", "Id", doc_str(query, "Id", ""), "Label",
			 label_of(query, result), "Timestamps", times, "Values", values,
			 "StatusCode", page->is_more ? "PartialData" : "Complete");
}

static void fill_page(const struct math_set *set, const struct math_results *results,
		      struct page *page)
{
	size_t point = page->from.point;

	for (size_t i = page->from.result; i < results->n && !page->is_more; i++, point = 0) {
		page->next.result = i;
		page->next.point = point;
		page->is_more = page->left == 0 && results->list[i].n > point;
		if (!page->is_more)
			json_array_append_new(page->list,
					      describe(set, &results->list[i], point, page));
	}
}

static json_t *answer(const struct page *page)
{
	json_t *output = json_pack("{s:o, s:[]}", "MetricDataResults", page->list, "Messages");
	char text[64], *token;

	if (!page->is_more || output == NULL)
		return output;
	snprintf(text, sizeof(text), "%zu:%zu", page->next.result, page->next.point);
	token = cloudwatch_token_encode(text);
	json_object_set_new(output, "NextToken", json_string(token != NULL ? token : ""));
	free(token);
	return output;
}

static json_t *refuse(const struct err *err, struct aws_error *error)
{
	if (err->code == ERANGE)
		aws_error_set(error, 400, "ValidationError", "%s", err->text);
	else
		aws_error_set(error, 500, "InternalServiceError", "%s", err->text);
	return NULL;
}

json_t *handle_GetMetricData(void *context, const struct aws_call *call, const json_t *input,
			     struct aws_error *error)
{
	const struct cloudwatch *cw = context;
	struct math_results results;
	struct page page = {0};
	struct math_set *set;
	struct err err = {0};

	(void)call;
	if (read_page(input, &page, error) != 0)
		return NULL;
	set = math_set_new(doc_array(input, "MetricDataQueries"), &err);
	if (set == NULL)
		return refuse(&err, error);
	if (math_set_evaluate(set, cw->metrics, page.start_ms, page.end_ms, cloudwatch_now_ms(cw),
			      &results, &err) != 0) {
		math_set_free(set);
		return refuse(&err, error);
	}
	page.list = json_array();
	fill_page(set, &results, &page);
	math_results_fini(&results);
	math_set_free(set);
	return answer(&page);
}
