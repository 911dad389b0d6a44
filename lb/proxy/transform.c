/* See transform.h. */
#include "lb/proxy/transform.h"

#include <string.h>

/* What has been written so far; the rest is room. */
static char *room(struct buffer *buffer, size_t *size)
{
	size_t rest = buffer->cap - buffer->to;

	*size = rest < REWRITE_MAX ? rest : REWRITE_MAX;
	return buffer->bytes + buffer->to;
}

static void rewrite_host(const struct rewrite *rewrite, struct transformed *out)
{
	struct text host = host_without_port(out->target.host), made;
	size_t size;
	char *at = room(out->buffer, &size);
	enum rewrite_result result = rewrite_apply(rewrite, host, at, size, &made);

	if (result == REWRITE_DONE && (made.len == 0 || !host_is_plain(made)))
		result = REWRITE_INVALID_HOST;
	out->result = result;
	if (result != REWRITE_DONE)
		return;
	out->buffer->to += (uint32_t)made.len;
	out->target.host = made;
	out->is_host_new = true;
}

static void set_url(struct request_target *target, struct text url)
{
	const char *mark = memchr(url.at, '?', url.len);

	target->slash = (struct text){0};
	target->uri = target->path = url;
	target->query = (struct text){0};
	if (!mark)
		return;
	target->path.len = (size_t)(mark - url.at);
	target->query = (struct text){mark + 1, url.len - target->path.len - 1};
}

/* Path and query as they came; "http://host?query" has its slash in another place. */
static struct text whole_url(struct buffer *buffer, const struct request_target *target)
{
	char *at = buffer->bytes + buffer->to;
	size_t len = target->slash.len + target->uri.len;

	if (target->slash.len == 0)
		return target->uri;
	if (len > buffer->cap - buffer->to)
		return (struct text){0};
	memcpy(at, target->slash.at, target->slash.len);
	memcpy(at + target->slash.len, target->uri.at, target->uri.len);
	buffer->to += (uint32_t)len;
	return (struct text){at, len};
}

static void rewrite_url(const struct rewrite *rewrite, struct transformed *out)
{
	struct text url = whole_url(out->buffer, &out->target), made;
	size_t size;
	char *at = room(out->buffer, &size);
	enum rewrite_result result = rewrite_apply(rewrite, url, at, size, &made);

	if (result == REWRITE_DONE && !rewrite_is_url(made))
		result = REWRITE_INVALID_PATH;
	if (result == REWRITE_NONE)
		return;
	out->result = result;
	if (result != REWRITE_DONE)
		return;
	out->buffer->to += (uint32_t)made.len;
	set_url(&out->target, made);
	out->is_url_new = true;
}

static void transform(const struct transforms *transforms, const struct request_target *target,
		      struct transformed *out)
{
	out->target = *target;
	out->result = REWRITE_NONE;
	out->is_host_new = out->is_url_new = false;
	rewrite_host(&transforms->host, out);
	if (out->result == REWRITE_NONE || out->result == REWRITE_DONE)
		rewrite_url(&transforms->url, out);
}

void transform_request(const struct transforms *transforms, const struct request_target *target,
		       struct buffer_pool *pool, struct transformed *transformed)
{
	static const size_t sizes[] = {BUFFER_SMALL, BUFFER_LARGE};

	*transformed = (struct transformed){.target = *target, .result = REWRITE_TOO_LONG};
	for (size_t i = 0; i < 2 && transformed->result == REWRITE_TOO_LONG; i++) {
		buffer_give_back(pool, transformed->buffer);
		transformed->buffer = buffer_take(pool, sizes[i]);
		if (!transformed->buffer) {
			transformed->result = REWRITE_FAILED;
			return;
		}
		transformed->buffer->from = transformed->buffer->to = 0;
		transform(transforms, target, transformed);
	}
}
