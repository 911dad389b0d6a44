/* See files.h. */
#include "lab/runtime/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"

#define NAME_START "albatross-lab."

enum { MAX_OPEN_FOLDERS = 16 };

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)where;
	if ((kind == FTW_DP ? rmdir(path) : unlink(path)) != 0 && errno != ENOENT)
		log_debug("not-removed", "path=%s why=\"%s\"", path, strerror(errno));
	return 0;
}

void files_remove_tree(const char *path)
{
	if (nftw(path, remove_one, MAX_OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		log_debug("not-removed", "path=%s why=\"%s\"", path, strerror(errno));
}

int files_write(const char *path, const void *bytes, size_t len, mode_t mode, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	const char *next = bytes;

	if (fd < 0)
		goto fail;
	while (len > 0) {
		ssize_t n = write(fd, next, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			goto fail;
		next += n;
		len -= (size_t)n;
	}
	close(fd);
	return 0;
fail:
	err_set(err, errno, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static const char *temp_folder(void)
{
	const char *folder = getenv("TMPDIR");

	return folder != NULL && folder[0] == '/' ? folder : "/tmp";
}

/* Takes the folder's lock: -1 when its lab lives. */
static int take_lock(const char *path, int flags)
{
	char name[FILES_PATH_MAX + 8];
	int fd;

	snprintf(name, sizeof(name), "%s/lock", path);
	fd = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Folders of labs that died without their clean-up: ours by owner, and their lock is free. */
static void remove_stale(void)
{
	DIR *folder = opendir(temp_folder());
	struct dirent *entry;
	struct stat status;
	char path[FILES_PATH_MAX];
	int lock;

	if (folder == NULL)
		return;
	while ((entry = readdir(folder)) != NULL) {
		if (strncmp(entry->d_name, NAME_START, strlen(NAME_START)) != 0 ||
		    snprintf(path, sizeof(path), "%s/%s", temp_folder(), entry->d_name) >=
			(int)sizeof(path) ||
		    lstat(path, &status) != 0 || !S_ISDIR(status.st_mode) ||
		    status.st_uid != geteuid())
			continue;
		lock = take_lock(path, 0);
		if (lock < 0)
			continue;
		log_info("stale-folder-removed", "path=%s", path);
		files_remove_tree(path);
		close(lock);
	}
	closedir(folder);
}

int work_dir_make(struct work_dir *dir, struct err *err)
{
	dir->lock = -1;
	remove_stale();
	if (snprintf(dir->path, sizeof(dir->path), "%s/" NAME_START "XXXXXX", temp_folder()) >=
	    (int)sizeof(dir->path) - 64) {
		err_set(err, ENAMETOOLONG, "TMPDIR is too long");
		return -1;
	}
	if (mkdtemp(dir->path) == NULL) {
		err_set(err, errno, "%s: %s", dir->path, strerror(errno));
		return -1;
	}
	dir->lock = take_lock(dir->path, O_CREAT);
	if (dir->lock >= 0)
		return 0;
	err_set(err, errno, "%s/lock: %s", dir->path, strerror(errno));
	files_remove_tree(dir->path);
	return -1;
}

void work_dir_remove(struct work_dir *dir)
{
	if (dir->lock < 0)
		return;
	files_remove_tree(dir->path);
	close(dir->lock);
	dir->lock = -1;
}
