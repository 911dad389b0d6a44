/* See topics_check.h. */
#include "common/config/topics_check.h"

#include <errno.h>
#include <string.h>

#include "common/doc/doc.h"

static int refuse(struct err *err, const char *why)
{
	err_set(err, EINVAL, "%s", why);
	return -1;
}

static int check_subscription(const json_t *subscription, bool has_smtp, struct err *err)
{
	const char *protocol = doc_str(subscription, "Protocol", "");
	const char *endpoint = doc_str(subscription, "Endpoint", "");
	size_t len = strlen(protocol);

	if (strncmp(protocol, "email", 5) == 0) {
		const char *at = strchr(endpoint, '@');

		if (!has_smtp)
			return refuse(err, "e-mail needs Scaler.Smtp");
		if (at == NULL || at == endpoint || at[1] == '\0' ||
		    strpbrk(endpoint, " \t\r\n<>") != NULL)
			return refuse(err, "Endpoint: it must be an e-mail address");
		return 0;
	}
	if (strncmp(endpoint, protocol, len) == 0 && strncmp(endpoint + len, "://", 3) == 0)
		return 0;
	return refuse(err, "Endpoint: it must be a URL of the protocol");
}

static int check_topic(const json_t *topics, size_t i, bool has_smtp, struct err *err)
{
	const json_t *topic = json_array_get(topics, i), *subscription;
	const char *name = doc_str(topic, "Name", "");
	size_t k;

	for (k = 0; k < i; k++) {
		if (strcmp(doc_str(json_array_get(topics, k), "Name", ""), name) == 0)
			return refuse(err, "Name: another topic has it");
	}
	json_array_foreach (doc_array(topic, "Subscriptions"), k, subscription) {
		if (check_subscription(subscription, has_smtp, err) != 0) {
			err_wrap(err, "Subscriptions[%zu]: ", k);
			return -1;
		}
	}
	return 0;
}

int config_check_topics(const json_t *config, struct err *err)
{
	const json_t *section = doc_object(config, "Scaler");
	const json_t *topics = doc_array(section, "Topics");
	bool has_smtp = doc_has(section, "Smtp");

	for (size_t i = 0; i < json_array_size(topics); i++) {
		if (check_topic(topics, i, has_smtp, err) != 0) {
			err_wrap(err, "Scaler.Topics[%zu].", i);
			return -1;
		}
	}
	return 0;
}
