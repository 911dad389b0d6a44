/*
 * Folders and files of the lab: its working folder, and the removal of whole trees.  Control
 * thread; plain blocking file I/O on a few small files.
 */
#ifndef LAB_RUNTIME_FILES_H
#define LAB_RUNTIME_FILES_H

#include <stddef.h>
#include <sys/types.h>

#include "common/base/err.h"

enum { FILES_PATH_MAX = 512 };

/* Removes path and all below it; what is absent is fine.  Never follows a link. */
void files_remove_tree(const char *path);

/* Writes a file of this mode in one go.  -1 with err. */
MUST_CHECK int files_write(const char *path, const void *bytes, size_t len, mode_t mode,
			   struct err *err);

struct work_dir {
	char path[FILES_PATH_MAX];
	int lock; /* held while we live, so that another lab's clean-up leaves us alone */
};

/* $TMPDIR/albatross-lab.XXXXXX, new and private.  Removes those of labs that were killed. */
MUST_CHECK int work_dir_make(struct work_dir *dir, struct err *err);
void work_dir_remove(struct work_dir *dir);

#endif
