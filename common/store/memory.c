/*
 * The backends that keep nothing: memory:, where the store's own copy is all there
 * is, and etcd:, which says that it is not here yet.  See backend.h.
 */
#include "common/store/backend.h"

#include <errno.h>

static int open_nothing(const char *place, void **handle, struct err *err)
{
	*handle = NULL;
	if (place[0] == '\0')
		return 0;
	err_set(err, EINVAL, "memory: takes nothing behind the colon, not '%s'", place);
	return -1;
}

static int open_etcd(const char *place, void **handle, struct err *err)
{
	(void)place;
	*handle = NULL;
	err_set(err, ENOTSUP, "etcd: is not supported yet; use sqlite:PATH or memory:");
	return -1;
}

static int load_nothing(void *handle, backend_load_fn fn, void *arg, int64_t *revision,
			struct err *err)
{
	(void)handle, (void)fn, (void)arg, (void)err;
	*revision = 0;
	return 0;
}

static int begin_nothing(void *handle, struct err *err)
{
	(void)handle, (void)err;
	return 0;
}

static int write_nothing(void *handle, const char *key, const json_t *document, int64_t revision,
			 struct err *err)
{
	(void)handle, (void)key, (void)document, (void)revision, (void)err;
	return 0;
}

static int end_nothing(void *handle, int64_t revision, struct err *err)
{
	(void)handle, (void)revision, (void)err;
	return 0;
}

static void leave_nothing(void *handle)
{
	(void)handle;
}

const struct backend_ops backend_memory = {
    .scheme = "memory:",
    .open = open_nothing,
    .load = load_nothing,
    .begin = begin_nothing,
    .write = write_nothing,
    .end = end_nothing,
    .cancel = leave_nothing,
    .close = leave_nothing,
};

const struct backend_ops backend_etcd = {
    .scheme = "etcd:",
    .open = open_etcd,
};
