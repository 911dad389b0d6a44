/* See instances.h. */
#include "lb/control/instances.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/doc/doc.h"

enum { PENDING_MS = 500, SETTLED_MS = 10000, MORE_MS = 2000, FAILED_MS = 2000, IDS_PER_CALL = 200 };

struct instances {
	struct aws_client *client; /* borrowed: freed after us */
	struct registry *registry; /* borrowed: freed after us */
	struct event *timer;       /* the next question */
	struct aws_client_call *call;
	struct aws_client_call *subnet_call;
	json_t *subnets;        /* by id; NULL until they came */
	bool is_subnet_missing; /* another was asked for during subnet_call */
	bool is_telling;        /* what is unknown now was just asked for */
	void (*subnets_fn)(void *arg);
	void *subnets_arg;
	json_t *asked;   /* the ids of the call under way */
	bool is_failing; /* logged once a change */
	bool is_stale;   /* woken while a call was under way */
	size_t cursor;   /* resolved ids that earlier calls asked for, when one cannot hold all */
};

static void on_timer(int fd, short what, void *arg);
static void on_subnets(void *arg, const json_t *output, const struct aws_error *error);

struct instances *instances_new(struct event_base *base, struct aws_client *client,
				struct registry *registry, struct err *err)
{
	struct instances *instances = calloc(1, sizeof(*instances));

	if (!instances)
		goto oom;
	instances->client = client;
	instances->registry = registry;
	instances->timer = evtimer_new(base, on_timer, instances);
	if (instances->timer)
		return instances;
	free(instances);
oom:
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

void instances_free(struct instances *instances)
{
	if (!instances)
		return;
	if (instances->call)
		aws_client_cancel(instances->call);
	if (instances->subnet_call)
		aws_client_cancel(instances->subnet_call);
	event_free(instances->timer);
	json_decref(instances->subnets);
	json_decref(instances->asked);
	free(instances);
}

static void wait_ms(struct instances *instances, int ms)
{
	struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	evtimer_add(instances->timer, &tv);
}

/* "running" and "pending" instances have a use for their address. */
static bool is_alive(const json_t *instance)
{
	const char *state = doc_str(doc_object(instance, "State"), "Name", "");

	return strcmp(state, "running") == 0 || strcmp(state, "pending") == 0;
}

static void take_instance(struct instances *instances, const json_t *instance)
{
	const char *id = doc_str(instance, "InstanceId", "");
	const char *address = doc_str(instance, "PrivateIpAddress", NULL);

	if (!is_alive(instance))
		registry_instance(instances->registry, id, NULL, NULL);
	else if (address && address[0])
		registry_instance(
		    instances->registry, id, address,
		    doc_str(doc_object(instance, "Placement"), "AvailabilityZone", NULL));
}

static bool is_in(const json_t *output, const char *id)
{
	const json_t *reservation, *instance;
	size_t i, j;

	json_array_foreach (doc_array(output, "Reservations"), i, reservation) {
		json_array_foreach (doc_array(reservation, "Instances"), j, instance) {
			if (strcmp(doc_str(instance, "InstanceId", ""), id) == 0)
				return true;
		}
	}
	return false;
}

struct tally {
	json_t *ids;
	bool has_pending;
	bool is_for_pending; /* this pass gathers the unresolved ones */
	size_t skip;         /* resolved ones that had their turn */
	size_t n_resolved;   /* gathered */
	bool is_cut;         /* there were more */
};

static void gather(void *arg, const char *id, bool is_resolved)
{
	struct tally *tally = arg;

	if (!is_resolved)
		tally->has_pending = true;
	if (is_resolved == tally->is_for_pending)
		return;
	if (is_resolved && tally->skip > 0) {
		tally->skip--;
		return;
	}
	if (json_array_size(tally->ids) == IDS_PER_CALL) {
		tally->is_cut = true;
		return;
	}
	tally->n_resolved += is_resolved;
	if (!doc_list_has(tally->ids, id))
		json_array_append_new(tally->ids, json_string(id));
}

/* Unresolved ones first, so that they are in the call when there are too many; of the resolved ones
 * those after the first skip. */
static struct tally tally_of(struct instances *instances, size_t skip)
{
	struct tally tally = {.ids = json_array(), .is_for_pending = true, .skip = skip};

	registry_instances(instances->registry, gather, &tally);
	tally.is_for_pending = false;
	registry_instances(instances->registry, gather, &tally);
	return tally;
}

static void take_answer(struct instances *instances, const json_t *output)
{
	const json_t *reservation, *instance, *id;
	size_t i, j;

	json_array_foreach (doc_array(output, "Reservations"), i, reservation) {
		json_array_foreach (doc_array(reservation, "Instances"), j, instance)
			take_instance(instances, instance);
	}
	/* An instance that EC2 has forgotten was terminated a while ago; one it does not know yet
	 * has no address here, and stays as it is. */
	json_array_foreach (instances->asked, i, id) {
		if (!is_in(output, json_string_value(id)))
			log_debug("instance-unknown", "id=%s", json_string_value(id));
	}
}

static void on_answer(void *arg, const json_t *output, const struct aws_error *error)
{
	struct instances *instances = arg;
	bool is_failure = error->http_status != 0;
	struct tally tally;

	instances->call = NULL;
	if (is_failure != instances->is_failing) {
		instances->is_failing = is_failure;
		if (is_failure)
			log_error("instances-unresolved", "code=%s why=\"%s\"", error->code,
				  error->message);
		else
			log_info("instances-resolved", "ids=%zu",
				 json_array_size(instances->asked));
	}
	if (!is_failure)
		take_answer(instances, output);
	json_decref(instances->asked);
	instances->asked = NULL;
	tally = tally_of(instances, 0);
	if (json_array_size(tally.ids) > 0)
		wait_ms(instances, is_failure              ? FAILED_MS
				   : instances->is_stale   ? 0
				   : tally.has_pending     ? PENDING_MS
				   : instances->cursor > 0 ? MORE_MS
							   : SETTLED_MS);
	instances->is_stale = false;
	json_decref(tally.ids);
}

/* A filter, not InstanceIds: one unknown id would fail the call for all. */
static void ask(struct instances *instances, json_t *ids)
{
	json_t *input =
	    json_pack("{s:[{s:s,s:O}]}", "Filters", "Name", "instance-id", "Values", ids);
	struct err err = {0};

	instances->asked = json_incref(ids);
	instances->call = aws_client_call(instances->client, "DescribeInstances", input, on_answer,
					  instances, &err);
	json_decref(input);
	if (instances->call)
		return;
	log_error("instances-unresolved", "why=\"%s\"", err.text);
	json_decref(instances->asked);
	instances->asked = NULL;
	wait_ms(instances, FAILED_MS);
}

/* Moves on, so that all have their turn when one call cannot hold them; then from the first again.
 */
static struct tally next_tally(struct instances *instances)
{
	struct tally tally = tally_of(instances, instances->cursor);

	if (json_array_size(tally.ids) == 0 && instances->cursor > 0) {
		json_decref(tally.ids);
		instances->cursor = 0;
		tally = tally_of(instances, 0);
	}
	instances->cursor = tally.is_cut ? instances->cursor + tally.n_resolved : 0;
	return tally;
}

static void on_timer(int fd, short what, void *arg)
{
	struct instances *instances = arg;
	struct tally tally;

	(void)fd;
	(void)what;
	if (instances->call)
		return;
	tally = next_tally(instances);
	if (json_array_size(tally.ids) > 0)
		ask(instances, tally.ids);
	json_decref(tally.ids);
}

void instances_wake(struct instances *instances)
{
	struct tally tally;

	if (instances->call) {
		instances->is_stale = true;
		return;
	}
	tally = tally_of(instances, 0);
	if (tally.has_pending && !instances->is_failing)
		wait_ms(instances, 0);
	else if (json_array_size(tally.ids) > 0 && !evtimer_pending(instances->timer, NULL))
		wait_ms(instances, SETTLED_MS);
	json_decref(tally.ids);
}

static void ask_for_subnets(struct instances *instances)
{
	json_t *input = json_object();

	instances->is_subnet_missing = false;
	instances->subnet_call = aws_client_call(instances->client, "DescribeSubnets", input,
						 on_subnets, instances, NULL);
	json_decref(input);
}

static void on_subnets(void *arg, const json_t *output, const struct aws_error *error)
{
	struct instances *instances = arg;
	const json_t *subnet;
	size_t i;

	instances->subnet_call = NULL;
	if (instances->is_subnet_missing)
		ask_for_subnets(instances);
	if (error->http_status != 0) {
		log_warn("subnets-unknown", "code=%s why=\"%s\"", error->code, error->message);
		return;
	}
	json_decref(instances->subnets);
	instances->subnets = json_object();
	json_array_foreach (doc_array(output, "Subnets"), i, subnet) {
		json_object_set_new(instances->subnets, doc_str(subnet, "SubnetId", "?"),
				    json_deep_copy(subnet));
	}
	instances->is_telling = true;
	if (instances->subnets_fn)
		instances->subnets_fn(instances->subnets_arg);
	instances->is_telling = false;
}

void instances_on_subnets(struct instances *instances, void (*fn)(void *arg), void *arg)
{
	instances->subnets_fn = fn;
	instances->subnets_arg = arg;
}

const json_t *instances_subnet(struct instances *instances, const char *subnet_id)
{
	const json_t *subnet = json_object_get(instances->subnets, subnet_id);

	if (subnet || instances->is_telling)
		return subnet;
	if (instances->subnet_call)
		instances->is_subnet_missing = true;
	else
		ask_for_subnets(instances);
	return NULL;
}
