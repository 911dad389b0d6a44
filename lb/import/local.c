/* See local.h. */
#include "lb/import/local.h"

#include <errno.h>
#include <stdlib.h>

#include "common/config/config.h"
#include "lb/api/api.h"
#include "lb/control/file_apply.h"
#include "lb/control/settings.h"

struct local {
	struct elb_api api;
	struct aws_call call;
	json_t *config; /* the region and account point into it */
};

static json_t *call(void *context, enum source_service service, const char *action,
		    const json_t *input, struct aws_error *error)
{
	struct local *local = context;
	aws_handler_fn handle = service == SOURCE_ELB ? elb_action_find(action) : NULL;

	if (handle)
		return handle(&local->api, &local->call, input, error);
	aws_error_set(error, 400, "InvalidAction", "a file answers for ELBv2 only");
	return NULL;
}

struct local *local_new(const json_t *config, struct err *err)
{
	struct local *local = calloc(1, sizeof(*local));
	struct lb_settings settings;

	if (!local || !(local->config = json_deep_copy(config))) {
		err_set(err, ENOMEM, "out of memory");
		goto fail;
	}
	lb_settings_read(local->config, &settings);
	local->call = (struct aws_call){.action = "file",
					.request_id = "file",
					.region = settings.common.region,
					.account_id = settings.common.account_id,
					.host = ""};
	local->api.store = store_open("memory:", err);
	if (local->api.store &&
	    file_apply(&local->api, &local->call, local->config, NULL, NULL, err) == 0)
		return local;
fail:
	local_free(local);
	return NULL;
}

void local_free(struct local *local)
{
	if (!local)
		return;
	if (local->api.store)
		store_close(local->api.store);
	json_decref(local->config);
	free(local);
}

struct source local_source(struct local *local)
{
	return (struct source){.call = call, .context = local};
}

int local_check(const json_t *document, struct err *err)
{
	json_t *config = config_check(document, NULL, err);
	struct local *local = config ? local_new(config, err) : NULL;

	json_decref(config);
	if (!local)
		return -1;
	local_free(local);
	return 0;
}
