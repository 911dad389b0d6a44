/* Redirects: see redirect.h. */
#include "lb/routing/redirect.h"

struct output {
	char *at;
	size_t len;
	bool is_full;
};

static void put(struct output *output, struct text text)
{
	if (output->len + text.len > REDIRECT_LOCATION_MAX) {
		output->is_full = true;
		return;
	}
	if (text.len > 0)
		memcpy(output->at + output->len, text.at, text.len);
	output->len += text.len;
}

/* The value of the keyword that template begins with; *used = 0 if it begins with none. */
static struct text keyword(const char *template, const struct redirect_request *request,
			   size_t *used)
{
	struct text path = request->path;

	if (path.len > 0 && path.at[0] == '/') { /* #{path} is without its leading slash */
		path.at++;
		path.len--;
	}
	const struct {
		struct text name, value;
	} keywords[] = {
	    {TEXT("#{protocol}"), request->protocol}, {TEXT("#{host}"), request->host},
	    {TEXT("#{port}"), request->port},         {TEXT("#{path}"), path},
	    {TEXT("#{query}"), request->query},
	};

	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		*used = keywords[i].name.len;
		if (strncmp(template, keywords[i].name.at, *used) == 0)
			return keywords[i].value;
	}
	*used = 0;
	return (struct text){0};
}

static void expand(struct output *output, const char *template,
		   const struct redirect_request *request)
{
	while (*template) {
		size_t plain = strcspn(template, "#"), used;

		put(output, (struct text){template, plain});
		template += plain;
		if (*template == '\0')
			return;
		struct text value = keyword(template, request, &used);
		put(output, used > 0 ? value : TEXT("#"));
		template += used > 0 ? used : 1;
	}
}

static const char *or_default(const char *text, const char *otherwise)
{
	return text && *text ? text : otherwise;
}

int redirect_location(const struct redirect *redirect, const struct redirect_request *request,
		      char *out)
{
	struct output output = {.at = out};

	expand(&output, or_default(redirect->protocol, "#{protocol}"), request);
	for (size_t i = 0; i < output.len; i++)
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] - 'A' + 'a');
	put(&output, TEXT("://"));
	expand(&output, or_default(redirect->host, "#{host}"), request);
	put(&output, TEXT(":"));
	expand(&output, or_default(redirect->port, "#{port}"), request);
	expand(&output, or_default(redirect->path, "/#{path}"), request);
	size_t before = output.len;
	put(&output, TEXT("?"));
	/* An empty Query means none at all; only an absent one is the default. */
	expand(&output, redirect->query ? redirect->query : "#{query}", request);
	if (output.len == before + 1)
		output.len = before;
	return output.is_full ? -1 : (int)output.len;
}
