/* scaler/api/cloudwatch: data put, read and listed. */
#include "tests/unit/scaler/cloudwatch_fixture.h"

static void data_put_in_every_form_are_read_back(void **state)
{
	struct fixture *f = *state;
	json_t *output, *point;

	put(f, "'Value':5,'StorageResolution':1");
	put(f, "'Values':[10,20,100],'Counts':[50,45,5],'Timestamp':'2026-01-01T09:30:00.5Z'");
	put(f, "'Values':[1,2],'Timestamp':'2026-01-01T09:31:00Z'");
	put(f, "'StatisticValues':{'SampleCount':4,'Sum':8,'Minimum':1,'Maximum':3},"
	       "'Timestamp':'2026-01-01T09:32:00Z'");
	assert_int_equal(f->data, 4);
	output =
	    get(f, "'Period':60,'Statistics':['Average','Sum','SampleCount','Minimum','Maximum'],"
		   "'ExtendedStatistics':['p95','p50']," LAST_HOUR);
	assert_string_equal(doc_str(output, "Label", ""), "Load");
	assert_int_equal(json_array_size(doc_array(output, "Datapoints")), 4);
	point = json_array_get(doc_array(output, "Datapoints"), 0);
	assert_string_equal(doc_str(point, "Timestamp", ""), "2026-01-01T09:30:00Z");
	assert_string_equal(doc_str(point, "Unit", ""), "None");
	assert_true(doc_num(point, "Average", 0) == 19);
	assert_true(doc_num(point, "SampleCount", 0) == 100);
	assert_true(doc_num(doc_object(point, "ExtendedStatistics"), "p95", 0) == 20);
	assert_true(doc_num(doc_object(point, "ExtendedStatistics"), "p50", 0) == 10);
	point = json_array_get(doc_array(output, "Datapoints"), 2);
	assert_true(doc_num(point, "Sum", 0) == 8);
	assert_true(doc_num(point, "Maximum", 0) == 3);
	assert_null(doc_object(point, "ExtendedStatistics"));
	point = json_array_get(doc_array(output, "Datapoints"), 3);
	assert_string_equal(doc_str(point, "Timestamp", ""), "2026-01-01T10:00:00Z");
	assert_true(doc_num(point, "Minimum", 0) == 5);
	json_decref(output);
}

static void units_are_separate_datapoints_sorted_by_time(void **state)
{
	struct fixture *f = *state;
	json_t *output, *list;

	put(f, "'Value':1,'Unit':'Seconds','Timestamp':'2026-01-01T09:31:00Z'");
	put(f, "'Value':2,'Unit':'Count','Timestamp':'2026-01-01T09:30:00Z'");
	put(f, "'Value':3,'Unit':'Seconds','Timestamp':'2026-01-01T09:29:00Z'");
	output = get(f, "'Period':60,'Statistics':['Sum']," LAST_HOUR);
	list = doc_array(output, "Datapoints");
	assert_int_equal(json_array_size(list), 3);
	assert_true(doc_num(json_array_get(list, 0), "Sum", 0) == 3);
	assert_string_equal(doc_str(json_array_get(list, 1), "Unit", ""), "Count");
	json_decref(output);
	output = get(f, "'Period':60,'Statistics':['Sum'],'Unit':'Count'," LAST_HOUR);
	assert_int_equal(json_array_size(doc_array(output, "Datapoints")), 1);
	json_decref(output);
	output = get(
	    f,
	    "'Period':60,'Statistics':['Sum'],'Dimensions':[{'Name':'A','Value':'1'}]," LAST_HOUR);
	assert_int_equal(json_array_size(doc_array(output, "Datapoints")), 0);
	json_decref(output);
}

static void bad_data_are_refused_and_nothing_of_the_call_is_kept(void **state)
{
	struct fixture *f = *state;
	char many[2048];
	size_t len = 0;

	for (int i = 0; i < 151; i++)
		len += (size_t)snprintf(many + len, sizeof(many) - len, "%s1",
					i == 0 ? "'Values':[" : ",");
	snprintf(many + len, sizeof(many) - len, "]");
	put_fails(f, "'Value':1e300", "InvalidParameterValue");
	put_fails(f, "'Value':-1e300", "InvalidParameterValue");
	put_fails(f, many, "InvalidParameterValue");
	put_fails(f, "'Values':[1,2,3],'Counts':[1,2]", "InvalidParameterValue");
	put_fails(f, "'Values':[1],'Counts':[-1]", "InvalidParameterValue");
	put_fails(f, "'Values':[1e108],'Counts':[1e108]", "InvalidParameterValue");
	put_fails(f, "'Value':1,'Values':[1]", "InvalidParameterCombination");
	put_fails(f, "'Unit':'None'", "MissingParameter");
	put_fails(f, "'Value':1,'Unit':'Apples'", "InvalidParameterValue");
	put_fails(f, "'Value':1,'StorageResolution':5", "InvalidParameterValue");
	put_fails(f, "'Value':1,'Timestamp':'2025-12-17T10:00:00Z'", "InvalidParameterValue");
	put_fails(f, "'Value':1,'Timestamp':'2026-01-01T13:00:00Z'", "InvalidParameterValue");
	put_fails(f, "'Value':1,'Timestamp':'noon'", "InvalidParameterValue");
	put_fails(f, "'Value':1,'Dimensions':[{'Name':'A','Value':'1'},{'Name':'A','Value':'2'}]",
		  "InvalidParameterValue");
	put_fails(f, "'Value':1,'Dimensions':[{'Name':':A','Value':'1'}]", "InvalidParameterValue");
	put_fails(f, "'Value':1,'Dimensions':[{'Name':'A','Value':''}]", "InvalidParameterValue");
	put_fails(f, "'Value':1,'Dimensions':[{'Name':'A','Value':'\\u0007'}]",
		  "InvalidParameterValue");
	put_fails(f, "'StatisticValues':{'SampleCount':1,'Sum':1,'Minimum':2,'Maximum':1}",
		  "InvalidParameterValue");
	put_fails(f, "'StatisticValues':{'SampleCount':-1,'Sum':1,'Minimum':1,'Maximum':1}",
		  "InvalidParameterValue");
	put_fails(f, "'StatisticValues':{'SampleCount':1,'Sum':1}", "InvalidParameterValue");
	call_fails(f, "PutMetricData",
		   json("{'Namespace':':x','MetricData':[{'MetricName':'Good','Value':1}]}"),
		   "InvalidParameterValue");
	call_fails(f, "PutMetricData", json("{'Namespace':'Lab','MetricData':[]}"),
		   "MissingParameter");
	assert_int_equal(f->data, 0);
	assert_int_equal(metrics_usage(cloudwatch_metrics(f->cw)).metrics, 0);
}

static void a_megabyte_of_a_name_is_refused(void **state)
{
	struct fixture *f = *state;
	char *huge = malloc((1 << 20) + 1);
	json_t *output;

	memset(huge, 'x', 1 << 20);
	huge[1 << 20] = '\0';
	call_fails(f, "PutMetricData",
		   json_pack("{s:s, s:[{s:s, s:i}]}", "Namespace", "Lab", "MetricData",
			     "MetricName", huge, "Value", 1),
		   "InvalidParameterValue");
	call_fails(f, "PutMetricData",
		   json_pack("{s:s, s:[{s:s, s:i}]}", "Namespace", huge, "MetricData", "MetricName",
			     "m", "Value", 1),
		   "InvalidParameterValue");
	output = call(f, "ListMetrics", json_pack("{s:s}", "MetricName", huge));
	assert_int_equal(json_array_size(doc_array(output, "Metrics")), 0);
	json_decref(output);
	call_fails(f, "ListMetrics", json_pack("{s:s}", "NextToken", huge), "InvalidNextToken");
	free(huge);
}

static void statistics_are_asked_for_within_limits(void **state)
{
	struct fixture *f = *state;
	json_t *output;

	assert_null(get(f, "'Period':60,'Statistics':['Sum'],"
			   "'StartTime':'2026-01-01T00:00:00Z','EndTime':'2026-01-02T01:00:00Z'"));
	assert_string_equal(f->error.code, "InvalidParameterCombination");
	assert_string_equal(
	    f->error.message,
	    "You have requested up to 1,500 datapoints, which exceeds the limit of "
	    "1,440. You may reduce the datapoints requested by increasing Period, or "
	    "decreasing the time range.");
	output = get(f, "'Period':60,'Statistics':['Sum'],"
			"'StartTime':'2026-01-01T00:00:30Z','EndTime':'2026-01-02T00:00:30Z'");
	assert_int_equal(json_array_size(doc_array(output, "Datapoints")), 0);
	json_decref(output);
	assert_null(get(f, "'Period':45,'Statistics':['Sum']," LAST_HOUR));
	assert_string_equal(f->error.code, "InvalidParameterValue");
	assert_null(get(f, "'Period':60," LAST_HOUR));
	assert_string_equal(f->error.code, "MissingParameter");
	assert_null(get(f, "'Period':60,'Statistics':['p50']," LAST_HOUR));
	assert_null(get(f, "'Period':60,'ExtendedStatistics':['p101']," LAST_HOUR));
	assert_null(get(f, "'Period':60,'Statistics':['Sum'],"
			   "'StartTime':'2026-01-01T10:00:00Z','EndTime':'2026-01-01T10:00:00Z'"));
	assert_string_equal(f->error.code, "InvalidParameterValue");
}

static void put_seconds(struct fixture *f, int n)
{
	struct metric_key key = {"Lab", "Load", NULL, 0};

	for (int i = 0; i < n; i++)
		assert_int_equal(metrics_put_value(cloudwatch_metrics(f->cw), &key,
						   METRIC_UNIT_NONE, 1, 1, T0 + i * 1000LL),
				 METRICS_OK);
}

/* Only whole periods, each with its start for a time. */
static void periods_under_a_minute_are_rounded_at_both_ends(void **state)
{
	static const struct {
		const char *from, *to;
		int period, n;
		const char *first, *last;
	} table[] = {
	    /* At :05:23, the last ten seconds. */
	    {"10:05:13", "10:05:23", 10, 1, "10:05:10", "10:05:10"},
	    /* At :07:17, the last five minutes. */
	    {"10:02:17", "10:07:17", 5, 60, "10:02:15", "10:07:10"},
	    {"10:02:17", "10:07:17", 1, 300, "10:02:17", "10:07:16"},
	    {"10:02:17", "10:07:17", 30, 10, "10:02:00", "10:06:30"},
	    {"10:02:17", "10:07:17", 60, 6, "10:02:00", "10:07:00"},
	    {"10:02:17", "10:07:17", 300, 2, "10:00:00", "10:05:00"},
	    {"10:05:10", "10:05:13", 10, 0, "", ""},
	};
	struct fixture *f = *state;

	put_seconds(f, 600);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char more[256], first[32] = "", last[32] = "";
		const json_t *points;
		json_t *output;
		size_t n;

		snprintf(more, sizeof(more),
			 "'Period':%d,'Statistics':['Sum'],'StartTime':'2026-01-01T%sZ',"
			 "'EndTime':'2026-01-01T%sZ'",
			 table[i].period, table[i].from, table[i].to);
		output = get(f, more);
		points = doc_array(output, "Datapoints");
		n = json_array_size(points);
		if (n > 0) {
			snprintf(first, sizeof(first), "%.8s",
				 doc_str(json_array_get(points, 0), "Timestamp", "") + 11);
			snprintf(last, sizeof(last), "%.8s",
				 doc_str(json_array_get(points, n - 1), "Timestamp", "") + 11);
		}
		assert_int_equal(n, table[i].n);
		assert_string_equal(first, table[i].first);
		assert_string_equal(last, table[i].last);
		json_decref(output);
	}
}

static size_t count_pages(struct fixture *f, const char *filter, size_t *n)
{
	json_t *output = NULL;
	char token[1024] = "";
	size_t pages = 0;

	*n = 0;
	do {
		json_t *input = json("{%s}", filter);

		if (token[0] != '\0')
			json_object_set_new(input, "NextToken", json_string(token));
		output = call(f, "ListMetrics", input);
		assert_non_null(output);
		*n += json_array_size(doc_array(output, "Metrics"));
		snprintf(token, sizeof(token), "%s", doc_str(output, "NextToken", ""));
		json_decref(output);
		pages++;
	} while (token[0] != '\0');
	return pages;
}

static void metrics_are_listed_by_filters_and_pages(void **state)
{
	struct fixture *f = *state;
	size_t n;

	for (int i = 0; i < 1000; i++)
		call_ok(f, "PutMetricData",
			json("{'Namespace':'Lab','MetricData':[{'MetricName':'Load','Value':1,"
			     "'Dimensions':[{'Name':'Id','Value':'i-%d'},{'Name':'Zone',"
			     "'Value':'%s'}]}]}",
			     i, i % 4 == 0 ? "a" : "b"));
	assert_int_equal(count_pages(f, "", &n), 2);
	assert_int_equal(n, 1000);
	put(f, "'Value':1");
	assert_int_equal(count_pages(f, "'Namespace':'Lab'", &n), 3);
	assert_int_equal(n, 1001);
	assert_int_equal(count_pages(f, "'Dimensions':[{'Name':'Zone','Value':'a'}]", &n), 1);
	assert_int_equal(n, 250);
	assert_int_equal(count_pages(f, "'Dimensions':[{'Name':'Zone'}]", &n), 2);
	assert_int_equal(n, 1000);
	count_pages(f, "'MetricName':'Other'", &n);
	assert_int_equal(n, 0);
	f->clock.virtual_ms += 4 * 3600000LL;
	put(f, "'Value':1");
	count_pages(f, "'RecentlyActive':'PT3H'", &n);
	assert_int_equal(n, 1);
	call_fails(f, "ListMetrics", json("{'NextToken':'zz'}"), "InvalidNextToken");
}

#define QUERY(id, more) \
	"{'Id':'" id "','MetricStat':{'Metric':{'Namespace':'Lab','MetricName':'Load'}," \
	"'Period':60,'Stat':'Sum'}" more "}"

static void metric_data_are_newest_first(void **state)
{
	struct fixture *f = *state;
	json_t *output, *result;

	put(f, "'Value':1,'Timestamp':'2026-01-01T09:29:00Z'");
	put(f, "'Value':2,'Timestamp':'2026-01-01T09:30:00Z'");
	output = call(f, "GetMetricData",
		      json("{'MetricDataQueries':[" QUERY("m1", "") "," QUERY(
			  "m2", ",'ReturnData':false") "]," LAST_HOUR "}"));
	assert_int_equal(json_array_size(doc_array(output, "MetricDataResults")), 1);
	result = json_array_get(doc_array(output, "MetricDataResults"), 0);
	assert_string_equal(doc_str(result, "Label", ""), "Load");
	assert_string_equal(json_string_value(json_array_get(doc_array(result, "Timestamps"), 0)),
			    "2026-01-01T09:30:00Z");
	assert_true(json_real_value(json_array_get(doc_array(result, "Values"), 0)) == 2);
	json_decref(output);
	call_fails(f, "GetMetricData",
		   json("{'MetricDataQueries':[{'Id':'e','Expression':'m1*2'}]," LAST_HOUR "}"),
		   "ValidationError");
	assert_non_null(strstr(f->error.message, "no query with the Id 'm1'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(data_put_in_every_form_are_read_back),
	    TEST(units_are_separate_datapoints_sorted_by_time),
	    TEST(bad_data_are_refused_and_nothing_of_the_call_is_kept),
	    TEST(a_megabyte_of_a_name_is_refused),
	    TEST(statistics_are_asked_for_within_limits),
	    TEST(periods_under_a_minute_are_rounded_at_both_ends),
	    TEST(metrics_are_listed_by_filters_and_pages),
	    TEST(metric_data_are_newest_first),
	};

	log_start("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
