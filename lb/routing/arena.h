/*
 * Memory that is given back all at once: a snapshot's structs and strings.
 * Failure is remembered; the user asks arena_failed() at the end, and may not
 * use what a failed call returned (NULL).  One owner while it is filled.
 */
#ifndef LB_ROUTING_ARENA_H
#define LB_ROUTING_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
	bool is_failed;
};

void arena_fini(struct arena *arena);
void *arena_zalloc(struct arena *arena, size_t size); /* zeroed, aligned to 64 */
/* The same, aligned to 16: for many small things. */
void *arena_zalloc_packed(struct arena *arena, size_t size);
char *arena_strdup(struct arena *arena, const char *text); /* NULL gives NULL */
bool arena_failed(const struct arena *arena);

#endif
