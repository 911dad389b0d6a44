/* See source.h. */
#include "lb/import/source.h"

#include <errno.h>
#include <string.h>

#include "common/doc/doc.h"

static int code_of(const struct aws_error *error)
{
	if (strstr(error->code, "NotFound"))
		return ENOENT;
	if (strcmp(error->code, "InvalidAction") == 0 ||
	    strcmp(error->code, "UnknownOperationException") == 0)
		return ENOTSUP;
	return EIO;
}

json_t *source_call(const struct source *source, enum source_service service, const char *action,
		    json_t *input, struct err *err)
{
	struct aws_error error = {0};
	json_t *answer = source->call(source->context, service, action, input, &error);

	json_decref(input);
	if (!answer)
		err_set(err, code_of(&error), "%s: %s (%s)", action, error.message, error.code);
	return answer;
}

/* ELBv2 calls its page markers otherwise. */
static const char *marker_of(enum source_service service)
{
	return service == SOURCE_ELB ? "Marker" : "NextToken";
}

static const char *next_of(enum source_service service)
{
	return service == SOURCE_ELB ? "NextMarker" : "NextToken";
}

/* Adds a page to list; false when it was the last, or with err. */
static bool add_page(const struct source *source, const struct source_listing *listing,
		     json_t *input, json_t *list, struct err *err)
{
	const char *marker = marker_of(listing->service);
	json_t *page =
	    source_call(source, listing->service, listing->action, json_incref(input), err);
	const char *next = doc_str(page, next_of(listing->service), "");
	bool goes_on = next[0] != '\0';

	if (!page)
		return false;
	json_array_extend(list, doc_array(page, listing->member));
	if (goes_on && strcmp(next, doc_str(input, marker, "")) == 0) {
		err_set(err, EIO, "%s: the pages do not end: the marker '%.64s' came twice",
			listing->action, next);
		goes_on = false;
	}
	json_object_set_new(input, marker, json_string(next));
	json_decref(page);
	return goes_on;
}

json_t *source_list(const struct source *source, const struct source_listing *listing,
		    json_t *input, struct err *err)
{
	struct err why = {0};
	json_t *list = json_array();
	int n = 1;

	while (add_page(source, listing, input, list, &why)) {
		if (++n <= SOURCE_PAGES_MAX && json_array_size(list) <= SOURCE_ITEMS_MAX)
			continue;
		err_set(&why, EIO, "%s: the pages do not end: %d pages, %zu items so far",
			listing->action, n - 1, json_array_size(list));
		break;
	}
	json_decref(input);
	if (why.code == 0)
		return list;
	err_set(err, why.code, "%s", why.text);
	json_decref(list);
	return NULL;
}
