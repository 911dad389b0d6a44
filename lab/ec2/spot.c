/*
 * See spot.h.  A notice is kept in the instance's document, under "Lab": {"NoticeMs", "EndsMs"}.
 * AWS: "Spot Instance interruption notices", "EC2 instance rebalance recommendations".
 */
#include "lab/ec2/spot.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "lab/ec2/instance.h"

static json_t *lab_of(const json_t *document)
{
	return json_object_get(document, "Lab");
}

const char *spot_life_cycle(const json_t *document)
{
	return doc_str(document, "InstanceLifecycle", "on-demand");
}

/* Takes over document. */
static int keep(struct ec2 *ec2, json_t *document, struct err *err)
{
	char key[EC2_KEY_MAX];

	instance_key(doc_str(document, "InstanceId", ""), key);
	return store_put_one(ec2->store, key, document, err) == STORE_OK ? 0 : -1;
}

static int check(const json_t *document, struct aws_error *error)
{
	const char *id = doc_str(document, "InstanceId", "");

	if (strcmp(spot_life_cycle(document), "spot") != 0) {
		aws_error_set(error, 400, "InvalidParameterValue", "%s is no Spot instance", id);
		return -1;
	}
	if (instance_state_of(document) == INSTANCE_RUNNING)
		return 0;
	aws_error_set(error, 400, "IncorrectInstanceState", "%s does not run", id);
	return -1;
}

int spot_notice(struct ec2 *ec2, const char *instance_id, int64_t ends_ms, struct aws_error *error)
{
	json_t *document = ec2_get(ec2, &ec2_instances, instance_id, error), *lab;
	struct err err = {0};

	if (document == NULL || check(document, error) != 0) {
		json_decref(document);
		return -1;
	}
	lab = lab_of(document);
	json_object_set_new(lab, "NoticeMs", json_integer(clock_now_ms(ec2->clock)));
	if (ends_ms > 0)
		json_object_set_new(lab, "EndsMs", json_integer(ends_ms));
	if (keep(ec2, document, &err) == 0)
		return 0;
	ec2_error_store(error, &err);
	return -1;
}

/* --- the end --- */

static void end(struct ec2 *ec2, const json_t *document)
{
	const char *id = doc_str(document, "InstanceId", "");
	json_t *copy = json_deep_copy(document);
	struct err err = {0};

	if (copy == NULL ||
	    instance_set_reason(copy, "Server.SpotInstanceTermination",
				"Server.SpotInstanceTermination: Spot instance termination") != 0 ||
	    instance_set_state(copy, INSTANCE_SHUTTING_DOWN) != 0) {
		json_decref(copy);
		return;
	}
	if (keep(ec2, copy, &err) != 0) {
		log_error("instance-not-stored", "id=%s why=\"%s\"", id, err.text);
		return;
	}
	log_info("instance-taken-back", "id=%s", id);
	ec2->runtime->stop(ec2->runtime_arg, id);
}

int64_t spot_sweep(struct ec2 *ec2, int64_t now_ms)
{
	json_t *documents = ec2_scan(ec2, ec2_instances.folder), *document;
	int64_t next_ms = 0;
	size_t i;

	json_array_foreach (documents, i, document) {
		int64_t ends_ms = doc_int(lab_of(document), "EndsMs", 0);
		enum instance_state state = instance_state_of(document);

		if (ends_ms == 0 || (state != INSTANCE_RUNNING && state != INSTANCE_PENDING))
			continue;
		if (ends_ms <= now_ms)
			end(ec2, document);
		else if (next_ms == 0 || ends_ms < next_ms)
			next_ms = ends_ms;
	}
	json_decref(documents);
	return next_ms;
}

/* --- metadata --- */

int spot_metadata(json_t *meta, const json_t *document)
{
	int64_t notice_ms = doc_int(lab_of(document), "NoticeMs", 0);
	int64_t ends_ms = doc_int(lab_of(document), "EndsMs", 0);
	char at[CLOCK_TEXT_MAX], text[96];
	int failed = 0;

	if (notice_ms == 0)
		return 0;
	snprintf(text, sizeof(text), "{\"noticeTime\":\"%s\"}", clock_format_iso(notice_ms, at));
	failed |= json_object_set_new(meta, "events",
				      json_pack("{s:{s:s}}", "recommendations", "rebalance", text));
	if (ends_ms == 0)
		return failed ? -1 : 0;
	snprintf(text, sizeof(text), "{\"action\":\"terminate\",\"time\":\"%s\"}",
		 clock_format_iso(ends_ms, at));
	failed |= json_object_set_new(
	    meta, "spot", json_pack("{s:s, s:s}", "instance-action", text, "termination-time", at));
	return failed ? -1 : 0;
}
