/*
 * What the rules of the file looked like when they were last applied, and what they became: so that
 * applying a file again costs what changed in it, or in the store since.  A rule is remembered by a
 * digest; without memory it is forgotten, and applied anew.  Control thread.
 */
#ifndef LB_CONTROL_FILE_MEMORY_H
#define LB_CONTROL_FILE_MEMORY_H

#include "common/doc/doc.h"
#include "common/store/store.h"

struct file_memory;

/* NULL without memory.  A memory may be NULL below: it knows nothing, then. */
struct file_memory *file_memory_new(void);
void file_memory_free(struct file_memory *memory);

/* The file is applied again. */
void file_memory_start(struct file_memory *memory);
/* Did a rule of the file with this digest become this very document of the store? */
bool file_memory_has(struct file_memory *memory, const json_t *document, uint64_t digest);
/* It did. */
void file_memory_add(struct file_memory *memory, const json_t *document, uint64_t digest);
/* It was applied: what was not asked for since the start, nor added, is forgotten. */
void file_memory_finish(struct file_memory *memory);

#endif
