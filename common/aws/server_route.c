/* See server_route.h. */
#include "common/aws/server_route.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MAX_HOST = 256 };

static const struct {
	char version[12], service[24];
} versions[] = {
    {"2015-12-01", "elasticloadbalancing"},
    {"2012-06-01", "elasticloadbalancing"}, /* classic; refused by name later */
    {"2011-01-01", "autoscaling"},
    {"2010-08-01", "monitoring"},
    {"2016-11-15", "ec2"},
    {"2011-06-15", "sts"},
    {"2010-05-08", "iam"},
    {"2010-03-31", "sns"},
};

/* What SDKs (JS, Go) and the CLI (2, 1) call the services in their User-Agent. */
static const struct {
	const char *name, *service;
} agents[] = {
    {"api/elastic-load-balancing-v2#", "elasticloadbalancing"},
    {"api/elasticloadbalancingv2#", "elasticloadbalancing"},
    {"api/auto-scaling#", "autoscaling"},
    {"api/autoscaling#", "autoscaling"},
    {"api/cloudwatch#", "monitoring"},
    {"api/ec2#", "ec2"},
    {"command/elbv2.", "elasticloadbalancing"},
    {"command#elbv2.", "elasticloadbalancing"},
    {"command/autoscaling.", "autoscaling"},
    {"command#autoscaling.", "autoscaling"},
    {"command/cloudwatch.", "monitoring"},
    {"command#cloudwatch.", "monitoring"},
    {"api/sts#", "sts"},
    {"api/iam#", "iam"},
    {"api/sns#", "sns"},
};

static const char *by_version(const char *version)
{
	if (version == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (strcmp(version, versions[i].version) == 0)
			return versions[i].service;
	return NULL;
}

static const char *by_host(const char *host)
{
	size_t len;

	if (host == NULL)
		return NULL;
	len = strcspn(host, ".:");
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (strlen(versions[i].service) == len &&
		    strncasecmp(host, versions[i].service, len) == 0)
			return versions[i].service;
	return NULL;
}

static const char *by_agent(const char *user_agent)
{
	if (user_agent == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof(agents) / sizeof(agents[0]); i++)
		if (strstr(user_agent, agents[i].name) != NULL)
			return agents[i].service;
	return NULL;
}

const char *route_service(const struct route_hints *hints)
{
	const char *service;

	if (hints->scope_service != NULL && hints->scope_service[0] != '\0')
		return hints->scope_service;
	service = by_version(hints->version);
	if (service == NULL)
		service = by_host(hints->host);
	if (service == NULL)
		service = by_agent(hints->user_agent);
	return service;
}

static bool ends_in(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && strcasecmp(text + len - end_len, end) == 0;
}

/* Drops ":port" and the brackets of IPv6; false when host is longer than any name. */
static bool bare_host(const char *host, char bare[MAX_HOST])
{
	bool is_v6 = host[0] == '[';
	size_t len = is_v6 ? strcspn(++host, "]") : strcspn(host, ":");

	if (len >= MAX_HOST)
		return false;
	snprintf(bare, MAX_HOST, "%.*s", (int)len, host);
	return true;
}

bool route_is_local_host(const char *host)
{
	static const char *const ends[] = {".localhost", ".localhost.localstack.cloud",
					   ".internal",  ".local",
					   ".test",      ".amazonaws.com"};
	unsigned char addr[sizeof(struct in6_addr)];
	char bare[MAX_HOST];

	if (!bare_host(host, bare))
		return false;
	if (inet_pton(AF_INET, bare, addr) == 1 || inet_pton(AF_INET6, bare, addr) == 1)
		return true;
	if (strchr(bare, '.') == NULL || strcasecmp(bare, "localhost.localstack.cloud") == 0)
		return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends_in(bare, ends[i]))
			return true;
	return false;
}
