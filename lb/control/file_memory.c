/* See file_memory.h. */
#include "lb/control/file_memory.h"

#include <stdlib.h>
#include <uthash.h>

/* The store replaces documents and never changes them: who holds one sees by its address whether it
 * is still the one. */
struct remembered {
	UT_hash_handle hh;
	const json_t *document; /* held */
	uint64_t digest;
	unsigned round; /* when it was last asked for */
};

struct file_memory {
	struct remembered *rules; /* by document */
	unsigned round;
};

/* NOLINTBEGIN(readability-function-size): what counts is inside uthash's macros */

struct file_memory *file_memory_new(void)
{
	return calloc(1, sizeof(struct file_memory));
}

static void forget(struct file_memory *memory, struct remembered *rule)
{
	HASH_DEL(memory->rules, rule);
	json_decref((json_t *)rule->document);
	free(rule);
}

void file_memory_free(struct file_memory *memory)
{
	struct remembered *rule, *next;

	if (!memory)
		return;
	HASH_ITER(hh, memory->rules, rule, next)
	forget(memory, rule);
	free(memory);
}

void file_memory_start(struct file_memory *memory)
{
	if (memory)
		memory->round++;
}

void file_memory_finish(struct file_memory *memory)
{
	struct remembered *rule, *next;

	if (!memory)
		return;
	HASH_ITER(hh, memory->rules, rule, next)
	{
		if (rule->round != memory->round)
			forget(memory, rule);
	}
}

static struct remembered *find(const struct file_memory *memory, const json_t *document)
{
	struct remembered *rule;

	HASH_FIND_PTR(memory->rules, &document, rule);
	return rule;
}

bool file_memory_has(struct file_memory *memory, const json_t *document, uint64_t digest)
{
	struct remembered *rule = memory ? find(memory, document) : NULL;

	if (!rule || rule->digest != digest)
		return false;
	rule->round = memory->round;
	return true;
}

void file_memory_add(struct file_memory *memory, const json_t *document, uint64_t digest)
{
	struct remembered *rule;

	if (!memory || !document)
		return;
	rule = find(memory, document);
	if (rule) {
		rule->digest = digest;
		rule->round = memory->round;
		return;
	}
	rule = calloc(1, sizeof(*rule));
	if (!rule)
		return;
	*rule = (struct remembered){.document = document, .digest = digest, .round = memory->round};
	HASH_ADD_PTR(memory->rules, document, rule);
	if (find(memory, document) == rule)
		json_incref((json_t *)document);
	else
		free(rule);
}

/* NOLINTEND(readability-function-size) */
