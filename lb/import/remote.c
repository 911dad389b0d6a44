/* See remote.h. */
#include "lb/import/remote.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "common/aws/client.h"

/* Hundreds of calls in a row are throttled. */
enum { MAX_ATTEMPTS = 5 };

static const char *const services[SOURCE_SERVICES] = {
    [SOURCE_ELB] = "elasticloadbalancing",
    [SOURCE_AUTOSCALING] = "autoscaling",
    [SOURCE_EC2] = "ec2",
    [SOURCE_MONITORING] = "monitoring",
};

struct remote {
	struct event_base *base;
	struct curl_loop *loop;
	struct aws_credentials *credentials;
	struct aws_client *clients[SOURCE_SERVICES];
};

/* The call under way. */
struct waiting {
	struct event_base *base;
	json_t *output;
	struct aws_error *error;
	bool is_done;
};

static void on_done(void *arg, const json_t *output, const struct aws_error *error)
{
	struct waiting *waiting = arg;

	waiting->is_done = true;
	*waiting->error = *error;
	if (error->http_status == 0)
		waiting->output = json_deep_copy(output);
	event_base_loopbreak(waiting->base);
}

static json_t *call(void *context, enum source_service service, const char *action,
		    const json_t *input, struct aws_error *error)
{
	struct remote *remote = context;
	struct waiting waiting = {.base = remote->base, .error = error};
	struct err err = {0};

	if (!aws_client_call(remote->clients[service], action, input, on_done, &waiting, &err)) {
		aws_error_set(error, 400, "InvalidInput", "%s", err.text);
		return NULL;
	}
	while (!waiting.is_done)
		CHECK(event_base_loop(remote->base, EVLOOP_ONCE) >= 0);
	return waiting.output;
}

static int open_client(struct remote *remote, const struct remote_config *config, int service,
		       struct err *err)
{
	struct aws_client_config client = {
	    .service = services[service],
	    .endpoint = config->endpoints[service] ? config->endpoints[service] : config->endpoint,
	    .region = config->region,
	    .timeout_ms = config->timeout_ms,
	    .max_attempts = MAX_ATTEMPTS,
	};

	remote->clients[service] = aws_client_new(remote->loop, remote->credentials, &client, err);
	return remote->clients[service] ? 0 : -1;
}

struct remote *remote_new(const struct remote_config *config, struct err *err)
{
	struct remote *remote = calloc(1, sizeof(*remote));

	if (!remote || !(remote->base = event_base_new())) {
		err_set(err, ENOMEM, "out of memory");
		goto fail;
	}
	remote->loop = curl_loop_new(remote->base, err);
	if (!remote->loop)
		goto fail;
	remote->credentials = aws_credentials_new(remote->loop, err);
	if (!remote->credentials)
		goto fail;
	for (int i = 0; i < SOURCE_SERVICES; i++) {
		if (open_client(remote, config, i, err) < 0)
			goto fail;
	}
	return remote;
fail:
	remote_free(remote);
	return NULL;
}

void remote_free(struct remote *remote)
{
	if (!remote)
		return;
	for (int i = 0; i < SOURCE_SERVICES; i++)
		aws_client_free(remote->clients[i]);
	if (remote->credentials)
		aws_credentials_free(remote->credentials);
	if (remote->loop)
		curl_loop_free(remote->loop);
	if (remote->base)
		event_base_free(remote->base);
	free(remote);
}

struct source remote_source(struct remote *remote)
{
	return (struct source){.call = call, .context = remote};
}
