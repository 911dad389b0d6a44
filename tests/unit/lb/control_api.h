/*
 * A store and the ELBv2 handlers over it, for the unit tests: calls are written as
 * JSON text with ' for " and answers come back as documents.
 */
#ifndef TESTS_UNIT_LB_CONTROL_API_H
#define TESTS_UNIT_LB_CONTROL_API_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lb/api/api.h"
#include "lb/control/file_memory.h"

struct fixture {
	struct elb_api api;
	struct aws_error error;     /* of the last call */
	struct file_memory *memory; /* of the file; NULL = none */
};

static const struct aws_call a_call = {.action = "",
				       .request_id = "r",
				       .region = "us-east-1",
				       .account_id = "000000000000",
				       .host = ""};

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err err = {0};

	assert_non_null(f);
	f->api.store = store_open("memory:", &err);
	assert_non_null(f->api.store);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->api.store);
	file_memory_free(f->memory);
	free(f);
	return 0;
}

/* The answer, NULL with f->error.  format: JSON with ' for ". */
static inline json_t *call(struct fixture *f, const char *action, const char *format, ...)
{
	aws_handler_fn handle = elb_action_find(action);
	char text[4096];
	json_error_t json_error;
	json_t *input, *answer;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (char *c = text; *c; c++) {
		if (*c == '\'')
			*c = '"';
	}
	input = json_loads(text, 0, &json_error);
	if (!input)
		fail_msg("%s: %s", text, json_error.text);
	assert_non_null(handle);
	memset(&f->error, 0, sizeof(f->error));
	answer = handle(&f->api, &a_call, input, &f->error);
	json_decref(input);
	assert_true((answer == NULL) == (f->error.http_status != 0));
	return answer;
}

static inline void assert_refused(json_t *answer, const struct fixture *f, const char *code)
{
	assert_null(answer);
	assert_string_equal(f->error.code, code);
}

/* A copy of answer[list][0][member], free() it; the answer is released. */
static inline char *take_first(json_t *answer, const char *list, const char *member)
{
	const char *text;
	char *copy;

	assert_non_null(answer);
	text = doc_str(json_array_get(doc_array(answer, list), 0), member, NULL);
	assert_non_null(text);
	copy = strdup(text);
	json_decref(answer);
	return copy;
}

static inline void accept_answer(json_t *answer)
{
	assert_non_null(answer);
	json_decref(answer);
}

static inline char *make_balancer(struct fixture *f, const char *name)
{
	return take_first(call(f, "CreateLoadBalancer", "{'Name': '%s'}", name), "LoadBalancers",
			  "LoadBalancerArn");
}

static inline char *make_group(struct fixture *f, const char *name)
{
	return take_first(call(f, "CreateTargetGroup",
			       "{'Name': '%s', 'Protocol': 'HTTP', 'Port': 80, 'TargetType': 'ip'}",
			       name),
			  "TargetGroups", "TargetGroupArn");
}

static inline char *make_listener(struct fixture *f, const char *balancer, int port,
				  const char *group)
{
	return take_first(call(f, "CreateListener",
			       "{'LoadBalancerArn': '%s', 'Protocol': 'HTTP', 'Port': %d, "
			       "'DefaultActions': [{'Type': 'forward', 'TargetGroupArn': '%s'}]}",
			       balancer, port, group),
			  "Listeners", "ListenerArn");
}

static inline json_t *make_rule(struct fixture *f, const char *listener, int priority,
				const char *path)
{
	return call(f, "CreateRule",
		    "{'ListenerArn': '%s', 'Priority': %d, 'Conditions': [{'Field': 'path-pattern',"
		    " 'Values': ['%s']}], 'Actions': [{'Type': 'fixed-response', "
		    "'FixedResponseConfig': {'StatusCode': '404'}}]}",
		    listener, priority, path);
}

#endif
