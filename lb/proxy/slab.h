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

struct buffer_pool {
	struct slab small, large, huge;
};

void buffer_pool_init(struct buffer_pool *pool);
void buffer_pool_fini(struct buffer_pool *pool);
void buffer_pool_trim(struct buffer_pool *pool); /* slab_trim */
bool buffer_pool_has_empty(const struct buffer_pool *pool);
struct buffer *buffer_take(struct buffer_pool *pool,
			   size_t cap); /* at least cap; NULL: too big, no memory */
void buffer_give_back(struct buffer_pool *pool, struct buffer *buffer);

#endif
