/* See doc.h: from bytes to documents.  Blocking file I/O: start, reload and tests only. */
#include "common/doc/doc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

json_t *doc_parse(const char *text, size_t len, const char *name, struct err *err)
{
	json_error_t error;
	json_t *document;

	/* A key given twice is a mistake whichever of the two a reader takes. */
	document = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (document != NULL)
		return document;
	if (json_error_code(&error) == json_error_out_of_memory)
		err_set(err, ENOMEM, "%s: out of memory", name);
	else
		err_set(err, EINVAL, "%s:%d:%d: %s", name, error.line, error.column, error.text);
	return NULL;
}

/* len bytes into a new string; a file that shrinks meanwhile gives fewer. */
static char *read_all(int fd, size_t size, size_t *len)
{
	char *text = malloc(size + 1);
	ssize_t n = 0;

	if (text == NULL)
		return NULL;
	for (*len = 0; *len < size; *len += (size_t)n) {
		n = read(fd, text + *len, size - *len);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			break;
	}
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[*len] = '\0';
	return text;
}

static char *read_open_file(int fd, const char *path, size_t max_bytes, size_t *len,
			    struct err *err)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st) != 0) {
		err_set(err, errno, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(err, EINVAL, "%s: not a regular file", path);
		return NULL;
	}
	if ((uint64_t)st.st_size > max_bytes) {
		err_set(err, EFBIG, "%s: %lld bytes; at most %zu are allowed", path,
			(long long)st.st_size, max_bytes);
		return NULL;
	}
	text = read_all(fd, (size_t)st.st_size, len);
	if (text == NULL)
		err_set(err, errno, "%s: %s", path, strerror(errno));
	return text;
}

char *doc_read_file(const char *path, size_t max_bytes, size_t *len, struct err *err)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text;

	if (fd < 0) {
		err_set(err, errno, "%s: %s", path, strerror(errno));
		return NULL;
	}
	text = read_open_file(fd, path, max_bytes, len, err);
	close(fd);
	return text;
}

json_t *doc_load(const char *path, struct err *err)
{
	json_t *document;
	size_t len;
	char *text = doc_read_file(path, DOC_FILE_MAX, &len, err);

	if (text == NULL)
		return NULL;
	document = doc_parse(text, len, path, err);
	free(text);
	return document;
}
