/* See server.h: lifetime, addresses, credentials.  Requests are server_call.c's. */
#include "common/aws/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/aws/server_private.h"

enum {
	/* Up to here a body that is too large is read, to be refused in its protocol's form; evhttp
	 * refuses what is larger by itself, with a bare 413. */
	MAX_READ_BYTES = 2 * API_MAX_BODY,
	MAX_HEADER_BYTES = 32 * 1024, /* with the request line: presigned requests are long */
	MAX_CONNECTIONS = 512,
	TIMEOUT_S = 30, /* of a silent connection; SDKs keep idle ones for some 20 s */
};

const struct service *server_service(const struct aws_server *server, const char *name)
{
	for (size_t i = 0; i < server->n_services; i++)
		if (strcmp(server->services[i].model->service, name) == 0)
			return &server->services[i];
	return NULL;
}

static bool is_loopback(const struct sockaddr *addr)
{
	if (addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)addr;

		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	}
	return ntohl(((const struct sockaddr_in *)(const void *)addr)->sin_addr.s_addr) >> 24 ==
	       127;
}

/* Port 0 is meant to work, which evutil_parse_sockaddr_port() refuses. */
static int parse_port(const char *text, in_port_t *port)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || value > 65535)
		return -1;
	*port = htons((uint16_t)value);
	return 0;
}

static int parse_ip(const char *ip, in_port_t port, struct sockaddr_storage *addr, socklen_t *len)
{
	struct sockaddr_in *v4 = (void *)addr;
	struct sockaddr_in6 *v6 = (void *)addr;

	memset(addr, 0, sizeof(*addr));
	if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = port;
		*len = sizeof(*v4);
		return 0;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = port;
	*len = sizeof(*v6);
	return inet_pton(AF_INET6, ip, &v6->sin6_addr) == 1 ? 0 : -1;
}

static int parse_address(const char *text, struct sockaddr_storage *addr, socklen_t *len,
			 struct err *err)
{
	const char *colon = strrchr(text, ':');
	char ip[INET6_ADDRSTRLEN + 2];
	size_t ip_len = colon == NULL ? 0 : (size_t)(colon - text);
	in_port_t port;

	if (colon == NULL || parse_port(colon + 1, &port) != 0 || ip_len >= sizeof(ip))
		goto fail;
	if (text[0] == '[' && ip_len > 2 && text[ip_len - 1] == ']') {
		text++;
		ip_len -= 2;
	}
	snprintf(ip, sizeof(ip), "%.*s", (int)ip_len, text);
	if (parse_ip(strcasecmp(ip, "localhost") == 0 ? "127.0.0.1" : ip, port, addr, len) == 0)
		return 0;
fail:
	err_set(err, EINVAL,
		"'%.64s' is not an address to listen on: IP:PORT is meant, like 127.0.0.1:7001",
		text);
	return -1;
}

static int check_address(const char *address, bool has_credentials, struct sockaddr_storage *addr,
			 socklen_t *len, struct err *err)
{
	if (parse_address(address, addr, len, err) != 0)
		return -1;
	if (has_credentials || is_loopback((struct sockaddr *)addr))
		return 0;
	err_set(err, EACCES,
		"%.64s can be reached from other machines and there are no Credentials: "
		"configure Credentials, or listen on 127.0.0.1",
		address);
	return -1;
}

int aws_server_check_address(const char *address, bool has_credentials, struct err *err)
{
	struct sockaddr_storage addr;
	socklen_t len;

	return check_address(address, has_credentials, &addr, &len, err);
}

static int check_credential(const json_t *credential, size_t i, struct err *err)
{
	static const char *const members[] = {"AccessKeyId", "SecretAccessKey"};

	for (size_t m = 0; m < 2; m++) {
		if (json_string_length(json_object_get(credential, members[m])) > 0)
			continue;
		err_set(err, EINVAL, "Credentials[%zu].%s: a string is needed", i, members[m]);
		return -1;
	}
	return 0;
}

static int take_credentials(struct aws_server *server, const json_t *credentials, struct err *err)
{
	const json_t *credential;
	size_t i;

	if (credentials == NULL ||
	    (json_is_array(credentials) && json_array_size(credentials) == 0))
		return 0;
	if (!json_is_array(credentials)) {
		err_set(err, EINVAL,
			"Credentials: a list of {AccessKeyId, SecretAccessKey} is "
			"needed");
		return -1;
	}
	json_array_foreach (credentials, i, credential) {
		if (check_credential(credential, i, err) != 0)
			return -1;
	}
	server->credentials = json_deep_copy(credentials);
	if (server->credentials != NULL)
		return 0;
	err_set(err, ENOMEM, "out of memory");
	return -1;
}

static int set_up_http(struct aws_server *server, struct event_base *base, const char *address,
		       struct err *err)
{
	struct sockaddr_storage addr;
	socklen_t len;

	if (check_address(address, server->credentials != NULL, &addr, &len, err) != 0)
		return -1;
	server->http = evhttp_new(base);
	if (server->http == NULL) {
		err_set(err, ENOMEM, "out of memory");
		return -1;
	}
	evhttp_set_allowed_methods(
	    server->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
			      EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
	evhttp_set_max_body_size(server->http, MAX_READ_BYTES);
	evhttp_set_max_headers_size(server->http, MAX_HEADER_BYTES);
	evhttp_set_timeout(server->http, TIMEOUT_S);
	evhttp_set_flags(server->http, EVHTTP_SERVER_LINGERING_CLOSE);
	evhttp_set_gencb(server->http, server_on_request, server);
	server->listener = http_listener_new(base, server->http, (struct sockaddr *)&addr, len,
					     MAX_CONNECTIONS, err);
	return server->listener == NULL ? -1 : 0;
}

struct aws_server *aws_server_new(struct event_base *base, const struct aws_server_config *config,
				  struct err *err)
{
	struct aws_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		goto oom;
	server->region = strdup(config->region);
	server->account_id = strdup(config->account_id);
	server->beside = strdup(config->beside == NULL ? "" : config->beside);
	server->counts = api_counts_new();
	if (server->region == NULL || server->account_id == NULL || server->beside == NULL ||
	    server->counts == NULL)
		goto oom;
	if (take_credentials(server, config->credentials, err) != 0 ||
	    set_up_http(server, base, config->address, err) != 0)
		goto fail;
	return server;
oom:
	err_set(err, ENOMEM, "out of memory");
fail:
	aws_server_free(server);
	return NULL;
}

void aws_server_free(struct aws_server *server)
{
	if (server == NULL)
		return;
	if (server->http != NULL)
		evhttp_free(server->http);
	http_listener_free(server->listener);
	for (size_t i = 0; i < server->n_pages; i++) {
		free(server->pages[i].path);
		free(server->pages[i].key);
	}
	api_counts_free(server->counts);
	json_decref(server->credentials);
	free(server->region);
	free(server->beside);
	free(server->account_id);
	free(server);
}

int aws_server_port(const struct aws_server *server)
{
	return http_listener_port(server->listener);
}

int aws_server_add_service(struct aws_server *server, const char *service,
			   const struct aws_action *actions, size_t n_actions, void *context,
			   struct err *err)
{
	const struct aws_model *model = aws_model(service, err);

	if (model == NULL)
		return -1;
	CHECK(server->n_services < MAX_SERVICES && server_service(server, service) == NULL);
	for (size_t i = 0; i < n_actions; i++) {
		if (aws_operation_find(model, actions[i].name) != NULL)
			continue;
		err_set(err, EINVAL, "%s: the shape table has no action %s (run make shapes)",
			service, actions[i].name);
		return -1;
	}
	server->services[server->n_services++] = (struct service){
	    .model = model, .actions = actions, .n_actions = n_actions, .context = context};
	return 0;
}

int aws_server_add_page(struct aws_server *server, const char *path, aws_page_fn fn, void *context)
{
	char *copy = strdup(path);

	CHECK(server->n_pages < MAX_PAGES);
	if (copy == NULL)
		return -1;
	server->pages[server->n_pages++] =
	    (struct page){.path = copy, .fn = fn, .context = context};
	return 0;
}

int aws_server_add_inbox(struct aws_server *server, const char *path, const char *key,
			 aws_page_fn fn, void *context)
{
	char *copy = key == NULL ? NULL : strdup(key);
	struct page *page;

	if ((key != NULL && copy == NULL) || aws_server_add_page(server, path, fn, context) != 0) {
		free(copy);
		return -1;
	}
	page = &server->pages[server->n_pages - 1];
	page->is_inbox = true;
	page->key = copy;
	return 0;
}

void aws_server_metrics(const struct aws_server *server, struct buf *text)
{
	api_counts_print(server->counts, text);
	buf_printf(text,
		   "# HELP albatross_api_connections Open connections to the API.\n"
		   "# TYPE albatross_api_connections gauge\n"
		   "albatross_api_connections %zu\n",
		   http_listener_connections(server->listener));
}
