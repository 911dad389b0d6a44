/* See machine.h: what an instance's processes start with. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/doc/doc.h"
#include "lab/runtime/machine.h"

enum { MAX_VARIABLES = 32, PORT_HINT = 8000 };

static void add(char **env, const char *format, ...) PRINTF_LIKE(2, 3);

/* A failed allocation shows as a hole that machine_env_new finds. */
static void add(char **env, const char *format, ...)
{
	va_list args;
	int n = 0;

	while (env[n] != NULL)
		n++;
	CHECK(n < MAX_VARIABLES);
	va_start(args, format);
	if (vasprintf(&env[n], format, args) < 0)
		env[n] = NULL;
	va_end(args);
}

char **machine_env_new(const struct machine *machine, const struct process_runtime_config *config)
{
	const char *zone =
	    doc_str(doc_object(machine->document, "Placement"), "AvailabilityZone", "");
	const char *type = doc_str(machine->document, "InstanceType", "");
	char **env = calloc(MAX_VARIABLES + 1, sizeof(*env));

	if (env == NULL)
		return NULL;
	add(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	add(env, "HOME=%s", machine->dir);
	add(env, "TMPDIR=%s", machine->dir);
	add(env, "LANG=C.UTF-8");
	add(env, "SHELL=/bin/sh");
	add(env, "HOST=%s", machine->address);
	add(env, "PORT=%d", PORT_HINT);
	add(env, "INSTANCE_ID=%s", machine->id);
	add(env, "INSTANCE_TYPE=%s", type);
	add(env, "AVAILABILITY_ZONE=%s", zone);
	add(env, "AWS_REGION=%s", config->region);
	add(env, "AWS_DEFAULT_REGION=%s", config->region);
	add(env, "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://%s:%d", machine->address, IMDS_PORT);
	if (config->aws_endpoint != NULL)
		add(env, "AWS_ENDPOINT_URL=%s", config->aws_endpoint);
	return env;
}

void machine_env_free(char **env)
{
	for (int i = 0; i < MAX_VARIABLES; i++)
		free(env[i]);
	free(env);
}
