/* Slabs and buffers: see slab.h. */
#include "lb/proxy/slab.h"

#include <sys/mman.h>

#include "common/base/check.h"

/* Under AddressSanitizer an object on a free list is out of bounds to everybody. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define FORBID(at, len) __asan_poison_memory_region((at), (len))
#define ALLOW(at, len) __asan_unpoison_memory_region((at), (len))
#else
#define FORBID(at, len) ((void)(at), (void)(len))
#define ALLOW(at, len) ((void)(at), (void)(len))
#endif

enum { ALIGNMENT = 64, LEAST_BLOCK = 16384 };

struct slab_object {
	struct slab_object *next;
};

struct slab_block {
	TAILQ_ENTRY(slab_block) link;
	struct slab_object *free; /* given back, newest first */
	unsigned n_used;
	unsigned n_begun; /* objects from here on were never in use: their pages are not there */
	char padding[ALIGNMENT - 32];
};
_Static_assert(sizeof(struct slab_block) == ALIGNMENT, "objects are aligned");

void slab_init(struct slab *slab, size_t size, unsigned per_block)
{
	size_t bytes = LEAST_BLOCK;

	size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	while (bytes < sizeof(struct slab_block) + size * per_block)
		bytes *= 2;
	*slab = (struct slab){.size = size, .block_bytes = bytes};
	slab->per_block = (unsigned)((bytes - sizeof(struct slab_block)) / size);
	TAILQ_INIT(&slab->partial);
	TAILQ_INIT(&slab->full);
}

static void unmap_block(const struct slab *slab, struct slab_block *block)
{
	ALLOW(block, slab->block_bytes);
	munmap(block, slab->block_bytes);
}

static void free_blocks(struct slab *slab, struct slab_blocks *blocks)
{
	struct slab_block *block;

	while ((block = TAILQ_FIRST(blocks))) {
		TAILQ_REMOVE(blocks, block, link);
		unmap_block(slab, block);
	}
}

void slab_fini(struct slab *slab)
{
	free_blocks(slab, &slab->partial);
	free_blocks(slab, &slab->full);
	slab->n_empty = slab->least_empty = 0;
}

/* Twice the room, cut to what is aligned. */
static struct slab_block *map_block(size_t bytes)
{
	char *all =
	    mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED)
		return NULL;
	size_t before = -(size_t)(uintptr_t)all & (bytes - 1);

	if (before > 0)
		munmap(all, before);
	munmap(all + before + bytes, bytes - before);
	return (struct slab_block *)(void *)(all + before);
}

static struct slab_block *block_with_room(struct slab *slab)
{
	struct slab_block *block = TAILQ_FIRST(&slab->partial);

	if (block)
		return block;
	block = map_block(slab->block_bytes);
	if (!block)
		return NULL;
	TAILQ_INSERT_HEAD(&slab->partial, block, link);
	slab->n_empty++;
	return block;
}

void *slab_take(struct slab *slab)
{
	struct slab_block *block = block_with_room(slab);
	struct slab_object *object;

	if (!block)
		return NULL;
	object = block->free;
	if (object) {
		ALLOW(object, slab->size);
		block->free = object->next;
	} else {
		object = (void *)((char *)(block + 1) + slab->size * block->n_begun++);
	}
	if (block->n_used++ == 0 && --slab->n_empty < slab->least_empty)
		slab->least_empty = slab->n_empty;
	if (block->n_used == slab->per_block) {
		TAILQ_REMOVE(&slab->partial, block, link);
		TAILQ_INSERT_HEAD(&slab->full, block, link);
	}
	return object;
}

void slab_give_back(struct slab *slab, void *memory)
{
	struct slab_object *object = memory;
	struct slab_block *block =
	    (struct slab_block *)((uintptr_t)memory & ~(uintptr_t)(slab->block_bytes - 1));

	if (!object)
		return;
	object->next = block->free;
	block->free = object;
	FORBID(object, slab->size);
	if (block->n_used-- == slab->per_block) {
		TAILQ_REMOVE(&slab->full, block, link);
		TAILQ_INSERT_HEAD(&slab->partial, block, link);
	}
	if (block->n_used > 0)
		return;
	slab->n_empty++;
	if (TAILQ_NEXT(block, link)) { /* who has objects in use is filled up first */
		TAILQ_REMOVE(&slab->partial, block, link);
		TAILQ_INSERT_TAIL(&slab->partial, block, link);
	}
}

void slab_trim(struct slab *slab)
{
	for (; slab->least_empty > 0; slab->least_empty--) {
		struct slab_block *block = TAILQ_LAST(&slab->partial, slab_blocks);

		CHECK(block && block->n_used == 0);
		TAILQ_REMOVE(&slab->partial, block, link);
		unmap_block(slab, block);
		slab->n_empty--;
	}
	slab->least_empty = slab->n_empty;
}

void buffer_pool_init(struct buffer_pool *pool)
{
	pool->limit = pool->used = 0;
	slab_init(&pool->small, sizeof(struct buffer) + BUFFER_SMALL, 15); /* of 256 K */
	slab_init(&pool->large, sizeof(struct buffer) + BUFFER_LARGE, 1);
	slab_init(&pool->huge, sizeof(struct buffer) + BUFFER_HUGE, 1);
}

void buffer_pool_fini(struct buffer_pool *pool)
{
	slab_fini(&pool->small);
	slab_fini(&pool->large);
	slab_fini(&pool->huge);
}

void buffer_pool_trim(struct buffer_pool *pool)
{
	slab_trim(&pool->small);
	slab_trim(&pool->large);
	slab_trim(&pool->huge);
}

bool buffer_pool_has_empty(const struct buffer_pool *pool)
{
	return pool->small.n_empty + pool->large.n_empty + pool->huge.n_empty > 0;
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
	if (pool->limit > 0 && pool->used + cap > pool->limit)
		return NULL;
	buffer = slab_take(slab_for(pool, cap));
	if (!buffer)
		return NULL;
	pool->used += cap;
	buffer->cap = (uint32_t)cap;
	buffer->from = buffer->to = 0;
	return buffer;
}

struct buffer *buffer_take_to_read(struct buffer_pool *pool, bool is_bulk)
{
	return buffer_take(pool, is_bulk && !buffers_are_short(pool) ? BUFFER_LARGE : BUFFER_SMALL);
}

void buffer_give_back(struct buffer_pool *pool, struct buffer *buffer)
{
	if (!buffer)
		return;
	pool->used -= buffer->cap;
	slab_give_back(slab_for(pool, buffer->cap), buffer);
}
