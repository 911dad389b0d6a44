/* See alarm_names.h. */
#include "common/config/alarm_names.h"

#include <string.h>

#include "common/doc/doc.h"

void alarm_names_resolve(json_t *alarms, const json_t *known)
{
	json_t *alarm, *dimension;
	size_t i, k;

	json_array_foreach (alarms, i, alarm) {
		json_array_foreach (doc_array(alarm, "Dimensions"), k, dimension) {
			const json_t *ids = doc_object(known, doc_str(dimension, "Name", ""));
			const char *id = doc_str(ids, doc_str(dimension, "Value", ""), NULL);

			if (id != NULL)
				json_object_set_new(dimension, "Value", json_string(id));
		}
	}
}

/* Where name and value stand in an ARN: "..:loadbalancer/app/NAME/ID", "..:targetgroup/NAME/ID". */
static const struct {
	const char *dimension, *before_value, *before_name;
} kinds[] = {
    {"LoadBalancer", ":loadbalancer/", "/"},
    {"TargetGroup", ":", "targetgroup/"},
};

static bool learn(json_t *known, size_t kind, const char *value)
{
	const char *name = strstr(value, kinds[kind].before_name), *end;
	json_t *ids = json_object_get(known, kinds[kind].dimension);

	name = name != NULL ? name + strlen(kinds[kind].before_name) : value;
	end = strchr(name, '/');
	if (end == NULL)
		return false;
	if (ids == NULL) {
		ids = json_object();
		if (json_object_set_new(known, kinds[kind].dimension, ids) != 0)
			return false;
	}
	if (strcmp(json_string_value(json_object_getn(ids, name, (size_t)(end - name))) ?: "",
		   value) == 0)
		return false;
	return json_object_setn_new(ids, name, (size_t)(end - name), json_string(value)) == 0;
}

bool alarm_names_learn(json_t *known, const char *arn)
{
	size_t kind = strstr(arn, kinds[0].before_value) != NULL ? 0 : 1;
	const char *value = kind == 0 ? strstr(arn, kinds[0].before_value) : strrchr(arn, ':');

	if (value == NULL)
		return false;
	return learn(known, kind, value + strlen(kinds[kind].before_value));
}
