/* See reply.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "scaler/api/reply.h"

#define AWS_ACTION AWS_LIST_ACTION
const struct aws_action autoscaling_actions[] = {
#include "scaler/api/autoscaling.def"
};
#undef AWS_ACTION
const size_t autoscaling_n_actions = sizeof autoscaling_actions / sizeof autoscaling_actions[0];

int64_t reply_now_ms(const struct autoscaling *as)
{
	return clock_now_ms(as->clock);
}

json_t *reply_invalid(struct aws_error *error, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	aws_error_set(error, 400, "ValidationError", "%s", text);
	return NULL;
}

struct group *reply_group(struct autoscaling *as, const json_t *input, struct aws_error *error)
{
	const char *name = doc_str(input, "AutoScalingGroupName", "");
	struct group *group = engine_group(as->engine, name);

	if (!group)
		reply_invalid(error,
			      "AutoScalingGroup name not found - AutoScalingGroup '%s' not found",
			      name);
	return group;
}

bool reply_may_touch(const struct autoscaling *as, struct aws_error *error)
{
	if (!engine_is_dry_run(as->engine))
		return true;
	reply_invalid(error, "Scaler.DryRun is on: no instance is touched. Turn it off in the "
			     "configuration file, and start anew.");
	return false;
}

struct group *reply_group_to_touch(struct autoscaling *as, const json_t *input,
				   struct aws_error *error)
{
	struct group *group = reply_group(as, input, error);

	return group && reply_may_touch(as, error) ? group : NULL;
}

json_t *reply_written(struct autoscaling *as, json_t *output, struct aws_error *error)
{
	struct err err = {0};

	if (output && as->commit(as->commit_arg, &err) == 0)
		return output;
	json_decref(output);
	aws_error_set(error, 500, "InternalFailure", "The state could not be written: %s",
		      err.text[0] ? err.text : "out of memory");
	return NULL;
}

static long token_place(const json_t *input, size_t n, struct aws_error *error)
{
	const char *token = doc_str(input, "NextToken", "");
	char *end;
	long place;

	if (!token[0])
		return 0;
	place = strtol(token, &end, 10);
	if (*end == '\0' && place > 0 && (size_t)place <= n)
		return place;
	aws_error_set(error, 400, "InvalidNextToken", "The NextToken value is not valid.");
	return -1;
}

json_t *reply_page(const json_t *input, const char *list_name, json_t *items, int default_max,
		   int max, struct aws_error *error)
{
	int64_t wanted = doc_int(input, "MaxRecords", default_max);
	size_t n = json_array_size(items), count;
	long place = token_place(input, n, error);
	json_t *page = json_array(), *output = NULL;
	char token[32];

	if (place < 0)
		goto out;
	if (wanted < 1 || wanted > max) {
		reply_invalid(error,
			      "1 validation error detected: Value '%lld' at 'maxRecords' failed to "
			      "satisfy constraint: Member must have value between 1 and %d",
			      (long long)wanted, max);
		goto out;
	}
	count = (size_t)wanted;
	for (size_t i = (size_t)place; i < n && i < (size_t)place + count; i++)
		json_array_append(page, json_array_get(items, i));
	output = json_pack("{s:O}", list_name, page);
	if (output && (size_t)place + count < n) {
		snprintf(token, sizeof token, "%zu", (size_t)place + count);
		json_object_set_new(output, "NextToken", json_string(token));
	}
out:
	json_decref(page);
	json_decref(items);
	return output;
}

bool reply_wants(const json_t *input, const char *list_name, const char *text)
{
	const json_t *list = doc_array(input, list_name);

	return json_array_size(list) == 0 || doc_list_has(list, text);
}
