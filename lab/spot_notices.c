/* See spot_notices.h. */
#include "lab/spot_notices.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/derive.h"
#include "lab/ec2/spot.h"

enum { NOTICE_S = 120, NOTICE_MAX_S = 3600 };

struct spot_notices {
	struct spot_notices_config config;
	struct event *timer; /* the next end */
};

static void look(struct spot_notices *notices)
{
	int64_t now_ms = clock_now_ms(NULL);
	int64_t next_ms = spot_sweep(notices->config.ec2, now_ms);
	struct timeval pause;

	if (next_ms == 0)
		return;
	next_ms -= now_ms;
	pause = (struct timeval){next_ms / 1000, 1000 * (next_ms % 1000)};
	event_add(notices->timer, &pause);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	look(arg);
}

struct spot_notices *spot_notices_new(const struct spot_notices_config *config)
{
	struct spot_notices *notices = calloc(1, sizeof(*notices));

	if (notices == NULL)
		return NULL;
	notices->config = *config;
	notices->timer = event_new(config->base, -1, 0, on_timer, notices);
	if (notices->timer != NULL)
		return notices;
	free(notices);
	return NULL;
}

void spot_notices_free(struct spot_notices *notices)
{
	if (notices == NULL)
		return;
	event_free(notices->timer);
	free(notices);
}

/* --- to the scaler --- */

static json_t *event_of(const struct spot_notices *notices, const char *instance_id, bool is_end)
{
	char id[ID_TEXT_MAX], at[CLOCK_TEXT_MAX], arn[128];
	const struct ec2 *ec2 = notices->config.ec2;
	json_t *event;

	snprintf(arn, sizeof(arn), "arn:aws:ec2:%s:%s:instance/%s", ec2->region, ec2->account_id,
		 instance_id);
	event = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:[s], s:{s:s}}", "version", "0",
			  "id", id_uuid(NULL, id), "detail-type",
			  is_end ? "EC2 Spot Instance Interruption Warning"
				 : "EC2 Instance Rebalance Recommendation",
			  "source", "aws.ec2", "account", ec2->account_id, "time",
			  clock_format_iso(clock_now_ms(NULL), at), "region", ec2->region,
			  "resources", arn, "detail", "instance-id", instance_id);
	if (event != NULL && is_end)
		json_object_set_new(json_object_get(event, "detail"), "instance-action",
				    json_string("terminate"));
	return event;
}

static void tell_scaler(const struct spot_notices *notices, const char *instance_id, bool is_end)
{
	json_t *event = event_of(notices, instance_id, is_end);
	char *text = event == NULL ? NULL : json_dumps(event, JSON_COMPACT);
	const char *key = notices->config.events_key;
	char url[128], endpoint[96], header[300];
	const char *const headers[DELIVERY_HEADERS_MAX] = {"Content-Type: application/json",
							   key != NULL ? header : NULL};

	derive_endpoint(notices->config.scaler_api, endpoint, sizeof(endpoint));
	snprintf(url, sizeof(url), "%s/events/ec2", endpoint);
	snprintf(header, sizeof(header), "X-Api-Key: %s", key == NULL ? "" : key);
	if (text != NULL)
		delivery_post(notices->config.delivery, url, headers, text);
	free(text);
	json_decref(event);
}

/* --- the page --- */

static void refuse(struct aws_page *page, int status, const char *code, const char *why)
{
	json_t *answer = json_pack("{s:s, s:s}", "Code", code, "Message", why);
	char *text = json_dumps(answer, 0);

	page->status = status;
	buf_printf(page->body, "%s\n", text == NULL ? "{}" : text);
	free(text);
	json_decref(answer);
}

static void notify(struct spot_notices *notices, const json_t *request, struct aws_page *page)
{
	const char *id = doc_str(request, "InstanceId", "");
	const char *action = doc_str(request, "Action", "terminate");
	int64_t seconds = doc_int(request, "Seconds", NOTICE_S);
	bool is_end = strcmp(action, "terminate") == 0;
	struct aws_error error = {0};

	if ((!is_end && strcmp(action, "rebalance") != 0) || seconds < 0 ||
	    seconds > NOTICE_MAX_S) {
		refuse(page, 400, "InvalidParameterValue",
		       "Action is terminate or rebalance, Seconds 0 to 3600");
		return;
	}
	if (spot_notice(notices->config.ec2, id, is_end ? clock_now_ms(NULL) + 1000 * seconds : 0,
			&error) != 0) {
		refuse(page, error.http_status, error.code, error.message);
		return;
	}
	tell_scaler(notices, id, is_end);
	look(notices);
	buf_add_str(page->body, "{}\n");
}

void spot_notices_take(void *context, struct aws_page *page)
{
	struct err err = {0};
	json_t *request = doc_parse(page->sent, page->sent_len, "notice", &err);

	page->content_type = "application/json";
	if (json_is_object(request))
		notify(context, request, page);
	else
		refuse(page, 400, "MalformedInput", "A JSON object is needed");
	json_decref(request);
}
