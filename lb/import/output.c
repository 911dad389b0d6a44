/* See output.h. */
#include "lb/import/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"

static int write_to(int fd, const struct buf *text)
{
	size_t done = 0;

	while (done < text->len) {
		ssize_t n = write(fd, text->data + done, text->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

/* A device or a pipe: there is nothing to keep whole. */
static int write_special(const char *path, const struct buf *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), result;

	if (fd < 0)
		return -1;
	result = write_to(fd, text);
	return close(fd) == 0 ? result : -1;
}

/* Beside the file first, then in its place. */
static int write_regular(const char *path, const struct buf *text)
{
	struct buf beside = {0};
	int fd = -1, result = -1, why;

	buf_printf(&beside, "%s.new", path);
	if (!buf_failed(&beside))
		fd = open(buf_text(&beside), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			  0600);
	if (fd >= 0) {
		result = write_to(fd, text);
		if (result == 0)
			result = fsync(fd);
		if (close(fd) != 0 || (result == 0 && rename(buf_text(&beside), path) != 0))
			result = -1;
		why = errno;
		if (result < 0)
			unlink(buf_text(&beside));
		errno = why;
	}
	buf_fini(&beside);
	return result;
}

static int write_file(const char *path, const struct buf *text, struct err *err)
{
	struct stat info;
	bool is_special = stat(path, &info) == 0 && !S_ISREG(info.st_mode);

	if ((is_special ? write_special(path, text) : write_regular(path, text)) == 0)
		return 0;
	err_set(err, errno ? errno : EIO, "%s: %s", path, strerror(errno));
	return -1;
}

int output_write(const char *path, const json_t *config, struct err *err)
{
	char *json = json_dumps(config, JSON_INDENT(2));
	struct buf text = {0};
	int result = -1;

	if (json)
		buf_printf(&text, "%s\n", json);
	free(json);
	if (!json || buf_failed(&text))
		err_set(err, ENOMEM, "out of memory");
	else if (path)
		result = write_file(path, &text, err);
	else if (write_to(STDOUT_FILENO, &text) == 0)
		result = 0;
	else
		err_set(err, errno, "standard output: %s", strerror(errno));
	buf_fini(&text);
	return result;
}
