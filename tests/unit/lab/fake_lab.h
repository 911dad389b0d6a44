/* An EC2 without processes for unit tests: a store in memory and a runtime that only notes. */
#ifndef TESTS_UNIT_LAB_FAKE_LAB_H
#define TESTS_UNIT_LAB_FAKE_LAB_H

#include <jansson.h>

#include "lab/ec2/ec2.h"

#define FAKE_IMAGE "ami-0a1ba705500000001"

struct fake_lab {
	struct ec2 ec2;
	struct clock clock;
	int n_leased, n_released, n_started, n_stopped;
	int addresses_left;
	char last_started[64], last_stopped[64], last_user_data[256];
};

void fake_lab_init(struct fake_lab *lab);
void fake_lab_fini(struct fake_lab *lab);

/* Calls handle_ACTION with input (taken over); NULL with error filled. */
json_t *fake_call(struct fake_lab *lab, const char *action, json_t *input, struct aws_error *error);
/* The same where success is expected / where this error code is. */
json_t *fake_ok(struct fake_lab *lab, const char *action, json_t *input);
void fake_refused(struct fake_lab *lab, const char *action, json_t *input, const char *code);

/* Launches one plain instance; its id. */
void fake_run(struct fake_lab *lab, char id[64]);
/* "running", ..; "" when it is not there. */
const char *fake_state(struct fake_lab *lab, const char *id, char state[32]);

#endif
