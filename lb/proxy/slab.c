/* Slabs and buffers: see slab.h. */
#include "lb/proxy/slab.h"

#include <stdlib.h>

#include "common/base/check.h"

/* Under AddressSanitizer an object on the free list is out of bounds to everybody. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define FORBID(at, len) __asan_poison_memory_region((at), (len))
#define ALLOW(at, len) __asan_unpoison_memory_region((at), (len))
#else
#define FORBID(at, len) ((void)(at), (void)(len))
#define ALLOW(at, len) ((void)(at), (void)(len))
#endif

enum { ALIGNMENT = 64 };

struct slab_object {
	struct slab_object *next;
};

struct slab_block {
	struct slab_block *next;
	char padding[ALIGNMENT - sizeof(struct slab_block *)];
};

void slab_init(struct slab *slab, size_t size, unsigned per_block)
{
	size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	*slab = (struct slab){.size = size, .per_block = per_block};
}

void slab_fini(struct slab *slab)
{
	struct slab_block *block = slab->blocks;

	while (block) {
		struct slab_block *next = block->next;

		free(block);
		block = next;
	}
	slab->blocks = NULL;
	slab->free = NULL;
}

static void add_block(struct slab *slab)
{
	struct slab_block *block =
	    aligned_alloc(ALIGNMENT, sizeof(*block) + slab->size * slab->per_block);

	if (!block)
		return;
	block->next = slab->blocks;
	slab->blocks = block;
	for (unsigned i = slab->per_block; i > 0; i--)
		slab_give_back(slab, (char *)(block + 1) + (i - 1) * slab->size);
}

void *slab_take(struct slab *slab)
{
	struct slab_object *object;

	if (!slab->free)
		add_block(slab);
	object = slab->free;
	if (!object)
		return NULL;
	ALLOW(object, slab->size);
	slab->free = object->next;
	return object;
}

void slab_give_back(struct slab *slab, void *memory)
{
	struct slab_object *object = memory;

	if (!object)
		return;
	object->next = slab->free;
	slab->free = object;
	FORBID(object, slab->size);
}

void buffer_pool_init(struct buffer_pool *pool)
{
	slab_init(&pool->small, sizeof(struct buffer) + BUFFER_SMALL, 16);
	slab_init(&pool->large, sizeof(struct buffer) + BUFFER_LARGE, 1);
	slab_init(&pool->huge, sizeof(struct buffer) + BUFFER_HUGE, 1);
}

void buffer_pool_fini(struct buffer_pool *pool)
{
	slab_fini(&pool->small);
	slab_fini(&pool->large);
	slab_fini(&pool->huge);
}

static struct slab *slab_for(struct buffer_pool *pool, size_t cap)
{
	return cap <= BUFFER_SMALL   ? &pool->small
	       : cap <= BUFFER_LARGE ? &pool->large
				     : &pool->huge;
}

struct buffer *buffer_take(struct buffer_pool *pool, size_t cap)
{
	struct buffer *buffer;

	if (cap > BUFFER_HUGE)
		return NULL;
	cap = cap <= BUFFER_SMALL ? BUFFER_SMALL : cap <= BUFFER_LARGE ? BUFFER_LARGE : BUFFER_HUGE;
	buffer = slab_take(slab_for(pool, cap));
	if (!buffer)
		return NULL;
	buffer->cap = (uint32_t)cap;
	buffer->from = buffer->to = 0;
	return buffer;
}

void buffer_give_back(struct buffer_pool *pool, struct buffer *buffer)
{
	if (buffer)
		slab_give_back(slab_for(pool, buffer->cap), buffer);
}
