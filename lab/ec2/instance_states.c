/*
 * Instances changing state: asked to (terminate, stop, start, reboot) or of themselves (the
 * runtime reports).
 *
 *   pending --> running --> shutting-down --> terminated
 *                  |  ^
 *                  v  | (start: by way of pending)
 *              stopping --> stopped
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "common/doc/doc.h"
#include "lab/ec2/defaults.h"
#include "lab/ec2/elastic_ips.h"
#include "lab/ec2/instance.h"
#include "lab/ec2/profile.h"
#include "lab/ec2/tokens.h"
#include "lab/ec2/volume.h"

enum {
	TERMINATED_SHOWN_MS = 10 * 60 * 1000,
	MAX_TERMINATED = 200,
	MAX_CHANGES = 1000, /* ids in one call, AWS's limit */
};

/* --- the four changes that people ask for --- */

struct change {
	const char *output;             /* member of the answer; NULL: an empty answer */
	enum instance_state refused[3]; /* IncorrectInstanceState in these */
	int n_refused;
	/* Changes document (state, reason); true when the runtime must act. */
	bool (*apply)(struct ec2 *ec2, json_t *document, const json_t *input);
	void (*act)(struct ec2 *ec2, const json_t *document);
};

static void say_why(struct ec2 *ec2, json_t *document, const char *code, const char *message)
{
	time_t now = (time_t)(clock_now_ms(ec2->clock) / 1000);
	char text[64];
	struct tm utc;

	gmtime_r(&now, &utc);
	strftime(text, sizeof(text), "User initiated (%Y-%m-%d %H:%M:%S GMT)", &utc);
	json_object_set_new(document, "StateTransitionReason", json_string(text));
	if (instance_set_reason(document, code, message) != 0)
		log_warn("out-of-memory", "what=state-reason");
}

/* A terminated instance has given its place in the network back. */
static int become_terminated(struct ec2 *ec2, json_t *document)
{
	static const char *const network[] = {"PrivateIpAddress", "PublicIpAddress", "SubnetId",
					      "VpcId"};
	json_t *lab = json_object_get(document, "Lab");

	ec2->runtime->release(ec2->runtime_arg, doc_str(document, "InstanceId", ""));
	for (size_t i = 0; i < sizeof(network) / sizeof(network[0]); i++)
		json_object_del(document, network[i]);
	json_array_clear(json_object_get(document, "NetworkInterfaces"));
	json_array_clear(json_object_get(document, "BlockDeviceMappings"));
	json_object_del(document, "IamInstanceProfile");
	json_object_set_new(document, "SecurityGroups", json_array());
	json_object_set_new(document, "PrivateDnsName", json_string(""));
	json_object_set_new(lab, "TerminatedMs", json_integer(clock_now_ms(ec2->clock)));
	return instance_set_state(document, INSTANCE_TERMINATED);
}

/* What hung on a terminated instance, once that is stored: volumes go or stay by their
 * DeleteOnTermination, the interface goes, addresses and the profile are free again. */
static void let_go(struct ec2 *ec2, const char *instance_id)
{
	json_t *interface =
	    ec2_find_by(ec2, &ec2_network_interfaces, "Attachment.InstanceId", instance_id);
	struct store_txn *txn = store_begin(ec2->store);
	struct err err = {0};

	volume_let_go(ec2, txn, instance_id);
	elastic_ips_let_go(ec2, txn, instance_id);
	profile_let_go(ec2, txn, instance_id);
	if (interface != NULL)
		ec2_txn_delete(txn, &ec2_network_interfaces,
			       doc_str(interface, "NetworkInterfaceId", ""));
	json_decref(interface);
	if (store_commit(txn, &err) != STORE_OK)
		log_error("instance-not-cleared", "id=%s why=\"%s\"", instance_id, err.text);
}

static void let_go_if_terminated(struct ec2 *ec2, const json_t *document)
{
	if (instance_state_of(document) == INSTANCE_TERMINATED)
		let_go(ec2, doc_str(document, "InstanceId", ""));
}

static bool apply_terminate(struct ec2 *ec2, json_t *document, const json_t *input)
{
	enum instance_state state = instance_state_of(document);

	(void)input;
	if (state == INSTANCE_TERMINATED || state == INSTANCE_SHUTTING_DOWN)
		return false;
	say_why(ec2, document, "Client.UserInitiatedShutdown",
		"Client.UserInitiatedShutdown: User initiated shutdown");
	if (state == INSTANCE_STOPPED)
		return become_terminated(ec2, document) != 0;
	return instance_set_state(document, INSTANCE_SHUTTING_DOWN) == 0;
}

static bool apply_stop(struct ec2 *ec2, json_t *document, const json_t *input)
{
	enum instance_state state = instance_state_of(document);

	(void)input;
	if (state == INSTANCE_STOPPED || state == INSTANCE_STOPPING)
		return false;
	say_why(ec2, document, "Client.UserInitiatedShutdown",
		"Client.UserInitiatedShutdown: User initiated shutdown");
	return instance_set_state(document, INSTANCE_STOPPING) == 0;
}

static bool apply_start(struct ec2 *ec2, json_t *document, const json_t *input)
{
	char now[CLOCK_TEXT_MAX];

	(void)input;
	if (instance_state_of(document) != INSTANCE_STOPPED)
		return false;
	clock_format_iso(clock_now_ms(ec2->clock), now);
	json_object_set_new(document, "LaunchTime", json_string(now));
	return instance_set_reason(document, "", "") == 0 &&
	       instance_set_state(document, INSTANCE_PENDING) == 0;
}

static bool apply_reboot(struct ec2 *ec2, json_t *document, const json_t *input)
{
	(void)ec2;
	(void)input;
	json_object_set_new(json_object_get(document, "Lab"), "IsRebooting", json_true());
	return true;
}

static void act_stop(struct ec2 *ec2, const json_t *document)
{
	ec2->runtime->stop(ec2->runtime_arg, doc_str(document, "InstanceId", ""));
}

static void act_start(struct ec2 *ec2, const json_t *document)
{
	ec2->runtime->start(ec2->runtime_arg, document, instance_user_data(document));
}

static const struct change terminate = {
    .output = "TerminatingInstances", .apply = apply_terminate, .act = act_stop};
static const struct change stop = {
    .output = "StoppingInstances",
    .refused = {INSTANCE_PENDING, INSTANCE_SHUTTING_DOWN, INSTANCE_TERMINATED},
    .n_refused = 3,
    .apply = apply_stop,
    .act = act_stop,
};
static const struct change start = {
    .output = "StartingInstances",
    .refused = {INSTANCE_STOPPING, INSTANCE_SHUTTING_DOWN, INSTANCE_TERMINATED},
    .n_refused = 3,
    .apply = apply_start,
    .act = act_start,
};
static const struct change reboot = {
    .refused = {INSTANCE_STOPPED, INSTANCE_SHUTTING_DOWN, INSTANCE_TERMINATED},
    .n_refused = 3,
    .apply = apply_reboot,
    .act = act_stop,
};

static int check_protection(const struct change *change, const json_t *document,
			    struct aws_error *error)
{
	const json_t *lab = json_object_get(document, "Lab");
	bool is_stop = change == &stop;

	if ((change != &terminate && !is_stop) ||
	    !doc_bool(lab, is_stop ? "DisableApiStop" : "DisableApiTermination", false))
		return 0;
	aws_error_set(error, 400, "OperationNotPermitted",
		      "The instance '%s' may not be %s. Modify its '%s' instance attribute and try "
		      "again.",
		      doc_str(document, "InstanceId", ""), is_stop ? "stopped" : "terminated",
		      is_stop ? "disableApiStop" : "disableApiTermination");
	return -1;
}

static int check_state(const struct change *change, const json_t *document, struct aws_error *error)
{
	enum instance_state state = instance_state_of(document);
	const char *id = doc_str(document, "InstanceId", "");

	for (int i = 0; i < change->n_refused; i++) {
		if (change->refused[i] != state)
			continue;
		aws_error_set(error, 400, "IncorrectInstanceState",
			      "The instance '%s' is not in a state from which it can be %s.", id,
			      change == &start  ? "started"
			      : change == &stop ? "stopped"
						: "rebooted");
		return -1;
	}
	return check_protection(change, document, error);
}

/* All instances named, each in a state to be changed; [] never comes back. */
static json_t *fetch_all(struct ec2 *ec2, const struct change *change, const json_t *input,
			 struct aws_error *error)
{
	const json_t *ids = doc_array(input, "InstanceIds"), *id;
	json_t *documents = json_array();
	size_t i;

	if (json_array_size(ids) == 0 || json_array_size(ids) > MAX_CHANGES) {
		aws_error_set(error, 400, "InvalidParameterValue", "1 to %d instance IDs",
			      MAX_CHANGES);
		goto fail;
	}
	json_array_foreach (ids, i, id) {
		json_t *document = ec2_get(ec2, &ec2_instances, json_string_value(id), error);

		if (document == NULL)
			goto fail;
		if (json_array_append_new(documents, document) != 0) {
			ec2_error_memory(error);
			goto fail;
		}
		if (check_state(change, document, error) != 0)
			goto fail;
	}
	if (!ec2_is_dry_run(input, error))
		return documents;
fail:
	json_decref(documents);
	return NULL;
}

struct changed {
	json_t *rows;   /* {InstanceId, PreviousState, CurrentState} of each */
	json_t *acting; /* documents that the runtime must hear of */
};

/* Changes every document in one transaction. */
static int commit_changes(struct ec2 *ec2, const struct change *change, const json_t *documents,
			  const json_t *input, struct changed *changed, struct aws_error *error)
{
	struct store_txn *txn = store_begin(ec2->store);
	char key[EC2_KEY_MAX];
	struct err err = {0};
	json_t *document;
	size_t i;

	if (txn == NULL) {
		ec2_error_memory(error);
		return -1;
	}
	json_array_foreach (documents, i, document) {
		const char *id = doc_str(document, "InstanceId", "");
		json_t *before = json_incref(json_object_get(document, "State"));

		if (change->apply(ec2, document, input))
			json_array_append(changed->acting, document);
		json_array_append_new(changed->rows,
				      json_pack("{s:s, s:o, s:O}", "InstanceId", id,
						"PreviousState", before, "CurrentState",
						json_object_get(document, "State")));
		instance_key(id, key);
		store_put(txn, key, json_deep_copy(document));
	}
	if (store_commit(txn, &err) == STORE_OK)
		return 0;
	ec2_error_store(error, &err);
	return -1;
}

static json_t *change_all(struct ec2 *ec2, const struct change *change, const json_t *input,
			  struct aws_error *error)
{
	json_t *documents = fetch_all(ec2, change, input, error), *document, *answer = NULL;
	struct changed changed;
	size_t i;

	if (documents == NULL)
		return NULL;
	changed = (struct changed){.rows = json_array(), .acting = json_array()};
	if (commit_changes(ec2, change, documents, input, &changed, error) != 0)
		goto out;
	json_array_foreach (documents, i, document) {
		let_go_if_terminated(ec2, document);
	}
	json_array_foreach (changed.acting, i, document) {
		log_info("instance-change", "id=%s state=%s", doc_str(document, "InstanceId", ""),
			 doc_str(json_object_get(document, "State"), "Name", ""));
		change->act(ec2, document);
	}
	answer = change->output != NULL ? json_pack("{s:O}", change->output, changed.rows)
					: json_object();
out:
	json_decref(changed.rows);
	json_decref(changed.acting);
	json_decref(documents);
	return answer;
}

EC2_HANDLER(TerminateInstances)
{
	return change_all(ec2, &terminate, input, error);
}

EC2_HANDLER(StopInstances)
{
	return change_all(ec2, &stop, input, error);
}

EC2_HANDLER(StartInstances)
{
	return change_all(ec2, &start, input, error);
}

EC2_HANDLER(RebootInstances)
{
	return change_all(ec2, &reboot, input, error);
}

/* --- what the runtime reports --- */

static json_t *fetch(struct ec2 *ec2, const char *id)
{
	char key[EC2_KEY_MAX];

	instance_key(id, key);
	return store_get(ec2->store, key, NULL);
}

/* Takes over document. */
static void keep(struct ec2 *ec2, const char *id, json_t *document)
{
	char key[EC2_KEY_MAX];
	struct err err = {0};

	instance_key(id, key);
	if (store_put_one(ec2->store, key, document, &err) != STORE_OK)
		log_error("instance-not-stored", "id=%s why=\"%s\"", id, err.text);
}

void ec2_on_running(struct ec2 *ec2, const char *instance_id)
{
	json_t *document = fetch(ec2, instance_id);

	if (document == NULL || instance_state_of(document) != INSTANCE_PENDING ||
	    instance_set_state(document, INSTANCE_RUNNING) != 0) {
		json_decref(document);
		return;
	}
	log_info("instance-running", "id=%s", instance_id);
	keep(ec2, instance_id, document);
}

/* Ended without being asked to: the reason is the runtime's. */
static int end_unasked(struct ec2 *ec2, json_t *document, const char *code, const char *message)
{
	if (*code == '\0') {
		code = "Client.InstanceInitiatedShutdown";
		message = "Client.InstanceInitiatedShutdown: the instance's processes ended";
	}
	if (instance_set_reason(document, code, message) != 0)
		return -1;
	return become_terminated(ec2, document);
}

void ec2_on_ended(struct ec2 *ec2, const char *instance_id, const char *code, const char *message)
{
	json_t *document = fetch(ec2, instance_id), *lab;
	enum instance_state state;
	int failed = 0;
	bool is_over;

	if (document == NULL)
		return;
	state = instance_state_of(document);
	lab = json_object_get(document, "Lab");
	if (state == INSTANCE_STOPPING) {
		failed = instance_set_state(document, INSTANCE_STOPPED);
	} else if (state == INSTANCE_SHUTTING_DOWN) {
		failed = become_terminated(ec2, document);
	} else if (doc_bool(lab, "IsRebooting", false)) {
		json_object_del(lab, "IsRebooting");
		act_start(ec2, document);
	} else if (state != INSTANCE_TERMINATED && state != INSTANCE_STOPPED) {
		failed = end_unasked(ec2, document, code, message);
	}
	if (failed)
		log_warn("out-of-memory", "what=instance-end id=%s", instance_id);
	log_info("instance-ended", "id=%s state=%s code=%s why=\"%s\"", instance_id,
		 doc_str(json_object_get(document, "State"), "Name", ""), code, message);
	is_over = instance_state_of(document) == INSTANCE_TERMINATED;
	keep(ec2, instance_id, document);
	if (is_over)
		let_go(ec2, instance_id);
}

/* --- start and sweep --- */

int ec2_count_live(struct ec2 *ec2)
{
	json_t *documents = ec2_scan(ec2, ec2_instances.folder), *document;
	int n = 0;
	size_t i;

	json_array_foreach (documents, i, document) {
		n += instance_state_of(document) != INSTANCE_TERMINATED;
	}
	json_decref(documents);
	return n;
}

/* Nothing of an earlier run lives: instances are children of the lab and die with it. */
static void end_stale(struct ec2 *ec2)
{
	json_t *documents = ec2_scan(ec2, ec2_instances.folder), *document;
	size_t i;

	json_array_foreach (documents, i, document) {
		const char *id = doc_str(document, "InstanceId", "");
		json_t *copy;

		if (instance_state_of(document) == INSTANCE_TERMINATED)
			continue;
		copy = json_deep_copy(document);
		if (copy == NULL ||
		    end_unasked(ec2, copy, "Server.InternalError",
				"Server.InternalError: the lab was restarted") != 0) {
			json_decref(copy);
			continue;
		}
		log_info("instance-stale", "id=%s", id);
		keep(ec2, id, copy);
		let_go(ec2, id);
	}
	json_decref(documents);
}

int ec2_start(struct ec2 *ec2, struct err *err)
{
	if (defaults_apply(ec2, err) != 0) {
		err_wrap(err, "EC2 defaults: ");
		return -1;
	}
	end_stale(ec2);
	return 0;
}

static int64_t terminated_ms(const json_t *document)
{
	return doc_int(json_object_get(document, "Lab"), "TerminatedMs", 0);
}

/* The moment before which terminated instances are forgotten: ten minutes ago, or later when more
 * than MAX_TERMINATED would stay. */
static int64_t forget_before(const json_t *documents, int64_t now_ms)
{
	int64_t before = now_ms - TERMINATED_SHOWN_MS;
	const json_t *document;
	size_t i;

	for (;;) {
		int64_t oldest = INT64_MAX;
		int n = 0;

		json_array_foreach (documents, i, document) {
			if (instance_state_of(document) != INSTANCE_TERMINATED ||
			    terminated_ms(document) < before)
				continue;
			n++;
			if (terminated_ms(document) < oldest)
				oldest = terminated_ms(document);
		}
		if (n <= MAX_TERMINATED)
			return before;
		before = oldest + 1;
	}
}

void ec2_sweep(struct ec2 *ec2)
{
	json_t *documents = ec2_scan(ec2, ec2_instances.folder), *document;
	int64_t now_ms = clock_now_ms(ec2->clock);
	int64_t before = forget_before(documents, now_ms);
	char key[EC2_KEY_MAX];
	struct err err = {0};
	size_t i;

	json_array_foreach (documents, i, document) {
		if (instance_state_of(document) != INSTANCE_TERMINATED ||
		    terminated_ms(document) >= before)
			continue;
		instance_key(doc_str(document, "InstanceId", ""), key);
		if (store_delete_one(ec2->store, key, &err) != STORE_OK)
			log_warn("instance-not-forgotten", "why=\"%s\"", err.text);
	}
	json_decref(documents);
	token_sweep(ec2, now_ms);
}
