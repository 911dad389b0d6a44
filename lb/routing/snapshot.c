/* Snapshots and their builder: see snapshot.h. */
#include "lb/routing/snapshot.h"

#include <errno.h>
#include <stdlib.h>

#include "lb/routing/arena.h"
#include "lb/routing/rules.h"
#include "lb/routing/sticky.h"

struct list {
	size_t n, cap;
	void **items;
};

struct snapshot {
	_Atomic unsigned refs;
	struct arena arena; /* holds everything below but the lists' arrays */
	struct list load_balancers, groups, listeners;
};

struct snapshot_builder {
	unsigned n_lanes;
	struct snapshot *snapshot;
};

static int list_add(struct list *list, void *item)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 8;
		void **items = realloc(list->items, cap * sizeof(*items));

		if (!items)
			return -1;
		list->items = items;
		list->cap = cap;
	}
	list->items[list->n++] = item;
	return 0;
}

struct snapshot_builder *snapshot_builder_new(unsigned n_lanes)
{
	CHECK(n_lanes > 0 && n_lanes <= MAX_LANES);
	struct snapshot_builder *builder = calloc(1, sizeof(*builder));
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!builder || !snapshot) {
		free(builder);
		free(snapshot);
		return NULL;
	}
	atomic_init(&snapshot->refs, 1);
	builder->n_lanes = n_lanes;
	builder->snapshot = snapshot;
	return builder;
}

void snapshot_builder_free(struct snapshot_builder *builder)
{
	if (!builder)
		return;
	snapshot_unref(builder->snapshot);
	free(builder);
}

struct load_balancer *snapshot_add_load_balancer(struct snapshot_builder *builder,
						 const struct load_balancer_config *config,
						 struct err *err)
{
	struct arena *arena = &builder->snapshot->arena;
	struct load_balancer *lb = arena_zalloc(arena, sizeof(*lb));

	if (!lb || list_add(&builder->snapshot->load_balancers, lb) < 0) {
		err_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	lb->arn = arena_strdup(arena, config->arn);
	lb->resource = arena_strdup(arena, config->resource);
	lb->dns_name = arena_strdup(arena, config->dns_name ? config->dns_name : "");
	lb->slot = config->slot;
	lb->attributes = config->attributes;
	if (lb->attributes.idle_timeout_s == 0)
		lb->attributes.idle_timeout_s = 60;
	if (lb->attributes.client_keep_alive_s == 0)
		lb->attributes.client_keep_alive_s = 3600;
	return lb;
}

/* Sorted by their ids, so that a bound client's target is found without reading them all. */
struct sticky_place {
	uint64_t id;
	uint32_t at;
};

static int by_sticky_id(const void *a, const void *b)
{
	const struct sticky_place *x = a, *y = b;

	if (x->id != y->id)
		return x->id > y->id ? 1 : -1;
	return (x->at > y->at) - (x->at < y->at);
}

static int order_sticky(struct target_group *group)
{
	struct sticky_place *places = calloc(group->n_targets + 1, sizeof(*places));

	if (!places)
		return -1;
	for (uint32_t i = 0; i < group->n_targets; i++)
		places[i] = (struct sticky_place){group->sticky_ids[i], i};
	qsort(places, group->n_targets, sizeof(*places), by_sticky_id);
	for (uint32_t i = 0; i < group->n_targets; i++)
		group->sticky_order[i] = places[i].at;
	free(places);
	return 0;
}

static int add_lanes(struct target_group *group, unsigned n_lanes, size_t n_targets,
		     struct arena *arena)
{
	group->lanes = arena_zalloc(arena, n_lanes * sizeof(*group->lanes));
	if (!group->lanes)
		return -1;
	for (unsigned i = 0; i < n_lanes; i++) {
		/* Workers start at different targets, or the first would get the first request of
		 * all. */
		group->lanes[i].turn = i;
		group->lanes[i].order = arena_zalloc(arena, n_targets * sizeof(uint32_t));
		if (!group->lanes[i].order)
			return -1;
	}
	return 0;
}

struct target_group *snapshot_add_target_group(struct snapshot_builder *builder,
					       const struct target_group_config *config,
					       struct err *err)
{
	struct arena *arena = &builder->snapshot->arena;
	struct target_group *group = arena_zalloc(arena, sizeof(*group));

	if (!group)
		goto oom;
	group->arn = arena_strdup(arena, config->arn);
	group->name = arena_strdup(arena, config->name);
	group->resource = arena_strdup(arena, config->resource);
	group->slot = config->slot;
	group->protocol = config->protocol;
	group->attributes = config->attributes;
	if (group->attributes.minimum_healthy_count == 0)
		group->attributes.minimum_healthy_count = 1;
	group->targets = arena_zalloc(arena, config->n_targets * sizeof(struct target *));
	group->sticky_ids = arena_zalloc(arena, config->n_targets * sizeof(uint64_t));
	group->sticky_order = arena_zalloc(arena, config->n_targets * sizeof(uint32_t));
	if (!group->targets || !group->sticky_ids || !group->sticky_order ||
	    add_lanes(group, builder->n_lanes, config->n_targets, arena) < 0)
		goto oom;
	group->attributes.app_cookie = arena_strdup(arena, config->attributes.app_cookie);
	group->sticky_id = sticky_id(config->arn, 0);
	if (list_add(&builder->snapshot->groups, group) < 0)
		goto oom;
	for (size_t i = 0; i < config->n_targets; i++) {
		group->targets[i] = target_ref(config->targets[i]);
		group->sticky_ids[i] = config->targets[i]->sticky_id;
	}
	group->n_targets = (unsigned)config->n_targets;
	if (order_sticky(group) == 0)
		return group;
oom:
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

/* Copies an action's strings into the arena; checks what only our own callers can get wrong. */
static int keep_action(struct arena *arena, struct action *action, struct err *err)
{
	switch (action->kind) {
	case ACTION_FORWARD:
		if (action->forward.n_groups >= 1 && action->forward.n_groups <= FORWARD_GROUPS_MAX)
			return 0;
		err_set(err, EINVAL, "forward to %u target groups: 1..%d are allowed",
			action->forward.n_groups, FORWARD_GROUPS_MAX);
		return -1;
	case ACTION_REDIRECT:
		action->redirect.protocol = arena_strdup(arena, action->redirect.protocol);
		action->redirect.host = arena_strdup(arena, action->redirect.host);
		action->redirect.port = arena_strdup(arena, action->redirect.port);
		action->redirect.path = arena_strdup(arena, action->redirect.path);
		action->redirect.query = arena_strdup(arena, action->redirect.query);
		return 0;
	case ACTION_FIXED_RESPONSE:
		action->fixed_response.content_type =
		    arena_strdup(arena, action->fixed_response.content_type);
		action->fixed_response.body = arena_strdup(arena, action->fixed_response.body);
		return 0;
	}
	return 0;
}

static struct text keep_text(struct arena *arena, struct text text)
{
	char *copy = arena_zalloc(arena, text.len + 1);

	if (copy && text.len > 0)
		memcpy(copy, text.at, text.len);
	return (struct text){copy, copy ? text.len : 0};
}

static struct header_edits keep_edits(struct arena *arena, const struct header_edits *edits)
{
	struct header_edit *copy = arena_zalloc(arena, edits->n * sizeof(*copy));

	for (unsigned i = 0; copy && i < edits->n; i++) {
		copy[i].kind = edits->edits[i].kind;
		copy[i].name = keep_text(arena, edits->edits[i].name);
		copy[i].value = keep_text(arena, edits->edits[i].value);
	}
	return (struct header_edits){copy ? edits->n : 0, copy};
}

struct listener *snapshot_add_listener(struct snapshot_builder *builder,
				       const struct listener_config *config, struct err *err)
{
	struct arena *arena = &builder->snapshot->arena;
	struct listener *listener = arena_zalloc(arena, sizeof(*listener));
	struct action action = config->default_action;

	if (!listener || config->addr_len > sizeof(listener->addr))
		goto oom;
	if (keep_action(arena, &action, err) < 0)
		return NULL;
	listener->arn = arena_strdup(arena, config->arn);
	listener->load_balancer = config->load_balancer;
	listener->protocol = config->protocol;
	listener->attributes.hides_server = config->attributes.hides_server;
	listener->attributes.request = keep_edits(arena, &config->attributes.request);
	listener->attributes.response = keep_edits(arena, &config->attributes.response);
	memcpy(&listener->addr, config->addr, config->addr_len);
	listener->addr_len = config->addr_len;
	if (config->addr->sa_family == AF_INET6)
		listener->port = ntohs(((struct sockaddr_in6 *)&listener->addr)->sin6_port);
	else
		listener->port = ntohs(((struct sockaddr_in *)&listener->addr)->sin_port);
	listener->rules = rules_new(&action, arena);
	if (!listener->rules)
		goto oom;
	if (list_add(&builder->snapshot->listeners, listener) == 0)
		return listener;
	rules_fini(listener->rules);
oom:
	err_set(err, ENOMEM, "out of memory");
	return NULL;
}

int snapshot_add_rule(struct snapshot_builder *builder, struct listener *listener,
		      const struct rule_config *config, struct err *err)
{
	struct rule_config copy = *config;

	(void)builder;
	if (keep_action(rules_arena(listener->rules), &copy.action, err) < 0 ||
	    rules_add(listener->rules, &copy, err) < 0) {
		err_wrap(err, "rule with priority %u: ", config->priority);
		return -1;
	}
	return 0;
}

int snapshot_add_rules_of(struct snapshot_builder *builder, struct listener *listener,
			  const struct listener *earlier, rules_find_fn find, void *arg,
			  struct err *err)
{
	const struct action *standard = rules_default(listener->rules);
	struct rules *rules =
	    rules_again(earlier->rules, standard, find, arg, &builder->snapshot->arena, err);

	if (!rules)
		return -1;
	rules_fini(listener->rules);
	listener->rules = rules;
	return 0;
}

static int finish(struct snapshot *snapshot, struct err *err)
{
	for (size_t i = 0; i < snapshot->listeners.n; i++) {
		struct listener *listener = snapshot->listeners.items[i];

		if (rules_are_finished(listener->rules))
			continue;
		if (rules_finish(listener->rules, &snapshot->arena, err) < 0) {
			err_wrap(err, "listener on port %u: ", listener->port);
			return -1;
		}
	}
	if (arena_failed(&snapshot->arena)) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	return 0;
}

struct snapshot *snapshot_builder_finish(struct snapshot_builder *builder, struct err *err)
{
	struct snapshot *snapshot = builder->snapshot;

	free(builder);
	if (finish(snapshot, err) < 0) {
		snapshot_unref(snapshot);
		return NULL;
	}
	return snapshot;
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
	atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
	return snapshot;
}

bool snapshot_is_shared(const struct snapshot *snapshot)
{
	return atomic_load_explicit(&snapshot->refs, memory_order_acquire) > 1;
}

void snapshot_unref(struct snapshot *snapshot)
{
	if (!snapshot || atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < snapshot->groups.n; i++) {
		struct target_group *group = snapshot->groups.items[i];

		for (unsigned t = 0; t < group->n_targets; t++)
			target_unref(group->targets[t]);
	}
	for (size_t i = 0; i < snapshot->listeners.n; i++) {
		struct listener *listener = snapshot->listeners.items[i];

		rules_fini(listener->rules);
	}
	free(snapshot->load_balancers.items);
	free(snapshot->groups.items);
	free(snapshot->listeners.items);
	arena_fini(&snapshot->arena);
	free(snapshot);
}

size_t snapshot_n_listeners(const struct snapshot *snapshot)
{
	return snapshot->listeners.n;
}

struct listener *snapshot_listener(const struct snapshot *snapshot, size_t index)
{
	CHECK(index < snapshot->listeners.n);
	return snapshot->listeners.items[index];
}

size_t snapshot_n_groups(const struct snapshot *snapshot)
{
	return snapshot->groups.n;
}

struct target_group *snapshot_group(const struct snapshot *snapshot, size_t index)
{
	CHECK(index < snapshot->groups.n);
	return snapshot->groups.items[index];
}
