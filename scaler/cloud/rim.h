/*
 * The rim around the engine: asks EC2 and the load balancer what is there, lets the engine
 * decide, writes its state to the store, and only then carries its actions out.  A tick on every
 * answer, change and second.  Control thread only.
 */
#ifndef SCALER_CLOUD_RIM_H
#define SCALER_CLOUD_RIM_H

#include <event2/event.h>
#include <jansson.h>

#include "common/aws/client.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/http/curl_loop.h"
#include "common/store/store.h"
#include "scaler/api/cloudwatch.h"
#include "scaler/cloud/topics.h"
#include "scaler/engine/engine.h"

struct rim;

struct rim_config {
	struct event_base *base; /* borrowed, all of these */
	struct curl_loop *curl_loop;
	struct aws_credentials *credentials;
	struct store *store;
	struct cloudwatch *cloudwatch;
	const char *region, *account_id;
	bool is_dry_run;                         /* decide and log, touch nothing */
	const char *ec2_endpoint, *elb_endpoint; /* NULL: AWS's own */
	const char *cloudwatch_endpoint;         /* NULL: no metrics are asked for */
	struct topics *topics;
	const char *event_webhook;   /* NULL: none */
	void (*on_names)(void *arg); /* rim_names has grown; NULL: nobody cares */
	void *names_arg;
};

/* Reads the groups that are in the store.  Nothing is asked of EC2 before rim_start. */
MUST_CHECK struct rim *rim_new(const struct rim_config *config, struct err *err);
MUST_CHECK int rim_start(struct rim *rim, struct err *err);
/* Calls under way are dropped: their tokens and the next start's look at EC2 make up for them. */
void rim_free(struct rim *rim); /* NULL is fine */

struct engine *rim_engine(struct rim *rim);

/* Writes what has changed in the engine; a tick follows soon.  -1: the store failed. */
MUST_CHECK int rim_commit(void *rim, struct err *err);

/* The file's LaunchTemplates (NULL: none): expanded into RunInstances instead of being named. */
void rim_set_templates(struct rim *rim, const json_t *templates);

/* What CloudWatch calls the attached target groups and their load balancers, for
 * alarm_names_resolve; borrowed. */
const json_t *rim_names(const struct rim *rim);

/* Prometheus text. */
void rim_print(const struct rim *rim, struct buf *text);

#endif
