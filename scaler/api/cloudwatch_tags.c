/*
 * Tags of alarms ("cw/tags/NAME" in the store): ListTagsForResource, TagResource, UntagResource.
 * Control thread only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "scaler/api/cloudwatch_state.h"

enum { TAGS_MAX = 50 };

char *cloudwatch_tags_key(const char *name, char key[CLOUDWATCH_KEY_MAX])
{
	snprintf(key, CLOUDWATCH_KEY_MAX, "cw/tags/%s", name);
	return key;
}

/* The alarm of an ARN, or NULL with error. */
static struct alarm *find_resource(const struct cloudwatch *cw, const json_t *input,
				   struct aws_error *error)
{
	const char *text = doc_str(input, "ResourceARN", "");
	struct alarm *alarm = NULL;
	struct arn arn;

	if (arn_parse(text, &arn) != 0) {
		aws_error_set(error, 400, "InvalidParameterValue",
			      "The value %.256s for parameter ResourceARN is invalid.", text);
		return NULL;
	}
	if (strcmp(arn.service, "cloudwatch") == 0 && strncmp(arn.resource, "alarm:", 6) == 0)
		alarm = cloudwatch_find_alarm(cw, arn.resource + 6);
	if (alarm == NULL)
		aws_error_set(error, 404, "ResourceNotFoundException", "Unknown resource %.256s",
			      text);
	return alarm;
}

/* A copy of the alarm's tags, never NULL but without memory. */
static json_t *tags_of(const struct cloudwatch *cw, const char *name)
{
	char key[CLOUDWATCH_KEY_MAX];
	json_t *document = store_get(cw->store, cloudwatch_tags_key(name, key), NULL);
	json_t *tags = json_incref(doc_array(document, "Tags"));

	json_decref(document);
	return tags != NULL ? tags : json_array();
}

/* Takes tags. */
static int write_tags(struct cloudwatch *cw, const char *name, json_t *tags,
		      struct aws_error *error)
{
	char key[CLOUDWATCH_KEY_MAX];
	json_t *document = json_pack("{s:o}", "Tags", tags);
	struct err err = {0};

	if (document != NULL &&
	    store_put_one(cw->store, cloudwatch_tags_key(name, key), document, &err) == STORE_OK)
		return 0;
	aws_error_set(error, 500, "InternalServiceFault", "%s", err.text);
	return -1;
}

json_t *handle_ListTagsForResource(void *context, const struct aws_call *call, const json_t *input,
				   struct aws_error *error)
{
	const struct alarm *alarm = find_resource(context, input, error);

	(void)call;
	return alarm != NULL ? json_pack("{s:o}", "Tags", tags_of(context, alarm->name)) : NULL;
}

static int merge_tags(json_t *tags, const json_t *more)
{
	const json_t *one;
	size_t i;

	json_array_foreach (more, i, one)
		if (doc_kv_set(tags, doc_str(one, "Key", ""), doc_str(one, "Value", "")) != 0)
			return -1;
	return 0;
}

int cloudwatch_tag(struct cloudwatch *cw, const char *name, const json_t *more,
		   struct aws_error *error)
{
	json_t *tags = tags_of(cw, name);

	if (merge_tags(tags, more) != 0) {
		json_decref(tags);
		aws_error_set(error, 500, "InternalServiceFault", "out of memory");
		return -1;
	}
	if (json_array_size(tags) > TAGS_MAX) {
		json_decref(tags);
		aws_error_set(error, 400, "InvalidParameterValue",
			      "A resource must not have more than %d tags.", TAGS_MAX);
		return -1;
	}
	return write_tags(cw, name, tags, error);
}

json_t *handle_TagResource(void *context, const struct aws_call *call, const json_t *input,
			   struct aws_error *error)
{
	const struct alarm *alarm = find_resource(context, input, error);

	(void)call;
	if (alarm == NULL || cloudwatch_tag(context, alarm->name, doc_array(input, "Tags"), error))
		return NULL;
	return json_object();
}

json_t *handle_UntagResource(void *context, const struct aws_call *call, const json_t *input,
			     struct aws_error *error)
{
	const struct alarm *alarm = find_resource(context, input, error);
	const json_t *one;
	json_t *tags;
	size_t i;

	(void)call;
	if (alarm == NULL)
		return NULL;
	tags = tags_of(context, alarm->name);
	json_array_foreach (doc_array(input, "TagKeys"), i, one)
		doc_kv_remove(tags, json_string_value(one));
	return write_tags(context, alarm->name, tags, error) == 0 ? json_object() : NULL;
}
