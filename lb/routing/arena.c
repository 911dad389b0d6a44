/* Arenas: see arena.h. */
#include "lb/routing/arena.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, PACKED_ALIGNMENT = 16, CHUNK_SIZE = 16384 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
};

static size_t round_up(size_t size)
{
	return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static struct arena_chunk *add_chunk(struct arena *arena, size_t need)
{
	size_t header = round_up(sizeof(struct arena_chunk));
	size_t size = need > CHUNK_SIZE - header ? header + need : CHUNK_SIZE;
	struct arena_chunk *chunk = aligned_alloc(ALIGNMENT, round_up(size));

	if (!chunk) {
		arena->is_failed = true;
		return NULL;
	}
	chunk->used = header;
	chunk->size = round_up(size);
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	return chunk;
}

static void *take(struct arena *arena, size_t size, size_t alignment)
{
	struct arena_chunk *chunk = arena->chunks;
	size_t start = 0;

	if (chunk)
		start = (chunk->used + alignment - 1) & ~(alignment - 1);
	if (!chunk || start + size > chunk->size) {
		chunk = add_chunk(arena, round_up(size));
		if (!chunk)
			return NULL;
		start = chunk->used;
	}
	chunk->used = start + size;
	return (char *)chunk + start;
}

void *arena_zalloc(struct arena *arena, size_t size)
{
	void *memory = take(arena, size, ALIGNMENT);

	return memory ? memset(memory, 0, size) : NULL;
}

void *arena_zalloc_packed(struct arena *arena, size_t size)
{
	void *memory = take(arena, size, PACKED_ALIGNMENT);

	return memory ? memset(memory, 0, size) : NULL;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	if (!text)
		return NULL;
	size_t size = strlen(text) + 1;
	char *copy = take(arena, size, 1);

	return copy ? memcpy(copy, text, size) : NULL;
}

bool arena_failed(const struct arena *arena)
{
	return arena->is_failed;
}

void arena_fini(struct arena *arena)
{
	struct arena_chunk *chunk = arena->chunks;

	while (chunk) {
		struct arena_chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
	*arena = (struct arena){0};
}
