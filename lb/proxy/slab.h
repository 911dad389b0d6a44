/*
 * Memory of a worker's own: objects of one size on free lists, newest first, so the request path
 * finds them warm and calls no malloc.  They lie in blocks; a block that nobody has needed between
 * two calls of slab_trim goes back to the system.  One thread.
 */
#ifndef LB_PROXY_SLAB_H
#define LB_PROXY_SLAB_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slab_block;
TAILQ_HEAD(slab_blocks, slab_block);

struct slab {
	size_t size;        /* of an object */
	size_t block_bytes; /* a power of two; blocks are aligned to it */
	unsigned per_block;
	unsigned n_empty;           /* blocks without an object in use: the last of partial */
	unsigned least_empty;       /* since the last trim */
	struct slab_blocks partial; /* with room */
	struct slab_blocks full;
};

/* At least so many objects in a block. */
void slab_init(struct slab *slab, size_t size, unsigned per_block);
void slab_fini(struct slab *slab); /* every object is gone after */
/* Not zeroed.  NULL without memory. */
void *slab_take(struct slab *slab);
void slab_give_back(struct slab *slab, void *object); /* NULL is fine */
/* Gives back the blocks that were empty all the time since the last call. */
void slab_trim(struct slab *slab);

/* Bytes on their way.  from <= to <= cap. */
struct buffer {
	uint32_t cap, from, to;
	char bytes[];
};

/*
 * A large buffer holds the longest request head there may be (16 K line, 64 K headers) and is what
 * bulk transfers use; small ones do for everything else.  A huge one holds what the kernel refused
 * when all of a composed head and a large buffer of body, with its framing, had to go.
 */
enum { BUFFER_SMALL = 16384, BUFFER_LARGE = 96 * 1024, BUFFER_HUGE = 256 * 1024 };

/*
 * What is taken may be limited.  From three quarters of the limit on the pool is short: bulk reads
 * get small buffers, and who owns it takes on no new work.  What a read brings may have to be kept
 * again on its way out, so reads get no buffer any more when less than a huge one is left.
 */
struct buffer_pool {
	struct slab small, large, huge;
	size_t limit; /* bytes; 0 = none */
	size_t used;
};

enum { BUFFER_LIMIT_LEAST = 2 * 1024 * 1024 };

void buffer_pool_init(struct buffer_pool *pool); /* without a limit */
void buffer_pool_fini(struct buffer_pool *pool);
void buffer_pool_trim(struct buffer_pool *pool); /* slab_trim */
bool buffer_pool_has_empty(const struct buffer_pool *pool);
/* At least cap; NULL: too big, no memory, above the limit. */
struct buffer *buffer_take(struct buffer_pool *pool, size_t cap);
/* For a read that buffer_may_read.  NULL without memory. */
struct buffer *buffer_take_to_read(struct buffer_pool *pool, bool is_bulk);
void buffer_give_back(struct buffer_pool *pool, struct buffer *buffer);

static inline bool buffers_are_short(const struct buffer_pool *pool)
{
	return pool->limit > 0 && pool->used > pool->limit / 4 * 3;
}

/* Of what others leave a few small ones are for reads that are urgent. */
static inline bool buffer_may_read(const struct buffer_pool *pool, bool is_urgent)
{
	size_t spare = is_urgent ? 0 : BUFFER_HUGE + 4 * BUFFER_SMALL;

	return pool->limit == 0 || pool->used + BUFFER_SMALL + spare <= pool->limit;
}

#endif
