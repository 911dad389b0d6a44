/*
 * The API server's inside, shared by server.c (lifetime, configuration) and
 * server_call.c (one request).  Control threads only.
 */
#ifndef COMMON_AWS_SERVER_PRIVATE_H
#define COMMON_AWS_SERVER_PRIVATE_H

#include <event2/http.h>

#include "common/aws/server.h"
#include "common/aws/server_count.h"
#include "common/http/listener.h"

enum {
	MAX_SERVICES = 8,
	MAX_PAGES = 32,
	API_MAX_BODY = 2 * 1024 * 1024,
};

struct service {
	const struct aws_model *model;
	const struct aws_action *actions; /* borrowed: see server.h */
	size_t n_actions;
	void *context;
};

struct page {
	char *path;
	bool is_inbox;
	char *key; /* an inbox's; NULL: see aws_server_add_inbox */
	aws_page_fn fn;
	void *context;
};

struct aws_server {
	struct evhttp *http;
	struct http_listener *listener;
	char *region, *account_id, *beside;
	json_t *credentials; /* NULL: everybody is let in */
	struct service services[MAX_SERVICES];
	size_t n_services;
	struct page pages[MAX_PAGES];
	size_t n_pages;
	struct api_counts *counts;
};

/* NULL when the server does not have it. */
const struct service *server_service(const struct aws_server *server, const char *name);

/* evhttp's callback for every request; arg is the server. */
void server_on_request(struct evhttp_request *http, void *arg);

#endif
