/* See options.h. */
#include "lb/import/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	OPTION_BALANCER = 256,
	OPTION_GROUP,
	OPTION_REGION,
	OPTION_ENDPOINT,
	OPTION_TIMEOUT,
	OPTION_NO_SCALING,
	OPTION_SERVICE, /* and one more for each */
	TIMEOUT_DEFAULT = 10,
	TIMEOUT_MAX = 600,
};

static const struct option longs[] = {
    {"load-balancer", required_argument, NULL, OPTION_BALANCER},
    {"auto-scaling-group", required_argument, NULL, OPTION_GROUP},
    {"region", required_argument, NULL, OPTION_REGION},
    {"endpoint", required_argument, NULL, OPTION_ENDPOINT},
    {"elb-endpoint", required_argument, NULL, OPTION_SERVICE + SOURCE_ELB},
    {"autoscaling-endpoint", required_argument, NULL, OPTION_SERVICE + SOURCE_AUTOSCALING},
    {"ec2-endpoint", required_argument, NULL, OPTION_SERVICE + SOURCE_EC2},
    {"cloudwatch-endpoint", required_argument, NULL, OPTION_SERVICE + SOURCE_MONITORING},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"no-auto-scaling", no_argument, NULL, OPTION_NO_SCALING},
    {"output", required_argument, NULL, 'o'},
    {"config", required_argument, NULL, 'c'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char usage_import[] =
    "usage: albatross-lb import --load-balancer NAME_OR_ARN "
    "[--auto-scaling-group NAME]\n"
    "                           [--region REGION] [--endpoint URL] [-o FILE]\n";
static const char usage_diff[] =
    "usage: albatross-lb diff -c FILE [--region REGION] [--endpoint URL] "
    "[--no-auto-scaling]\n";

static const char help_import[] =
    "Writes a configuration file of what the Describe calls tell about a load "
    "balancer.\n\n"
    "  --load-balancer NAME_OR_ARN  an Application Load Balancer; may be given "
    "again\n"
    "  --auto-scaling-group NAME    a group, its launch template, policies, "
    "scheduled actions,\n"
    "                               lifecycle hooks and alarms; may be given "
    "again\n"
    "  -o, --output FILE            instead of the standard output\n";
static const char help_diff[] =
    "Tells what differs between a configuration file and what is live. Exit "
    "status: 0 when\n"
    "nothing does, 1 when something does, 2 when it could not be told.\n\n"
    "  -c, --config FILE            the configuration file\n"
    "  --no-auto-scaling            load balancers and target groups only\n";
static const char help_both[] =
    "  --region REGION              else AWS_REGION, AWS_DEFAULT_REGION, "
    "us-east-1\n"
    "  --endpoint URL               where all services answer; else AWS's own "
    "endpoints\n"
    "  --elb-endpoint URL           where one service answers; also "
    "--autoscaling-endpoint,\n"
    "                               --ec2-endpoint, --cloudwatch-endpoint\n"
    "  --timeout SECONDS            of one attempt of a call; 10\n"
    "  -v, --verbose                log each attempt\n"
    "  -h, --help                   this text\n";

static const char *name_of(const struct import_options *options)
{
	return options->is_diff ? "albatross-lb diff" : "albatross-lb import";
}

static enum import_options_result wrong(const struct import_options *options, const char *why)
{
	if (why)
		fprintf(stderr, "%s: %s\n", name_of(options), why);
	fputs(options->is_diff ? usage_diff : usage_import, stderr);
	return IMPORT_OPTIONS_WRONG;
}

/* NULL, or why not. */
static const char *add_name(const char *names[], size_t *n, const char *name)
{
	if (*n == IMPORT_NAMES_MAX)
		return "that are too many names for one call";
	names[(*n)++] = name;
	return NULL;
}

static const char *set_timeout(struct import_options *options, const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (*end || end == text || !(seconds >= 0.1) || seconds > TIMEOUT_MAX)
		return "--timeout: 0.1 to 600 seconds are meant";
	options->remote.timeout_ms = (int)(seconds * 1000);
	return NULL;
}

static const char *take(struct import_options *options, int option)
{
	switch (option) {
	case OPTION_BALANCER:
		return add_name(options->balancers, &options->n_balancers, optarg);
	case OPTION_GROUP:
		return add_name(options->groups, &options->n_groups, optarg);
	case OPTION_REGION:
		options->remote.region = optarg;
		return NULL;
	case OPTION_ENDPOINT:
		options->remote.endpoint = optarg;
		return NULL;
	case OPTION_TIMEOUT:
		return set_timeout(options, optarg);
	case OPTION_NO_SCALING:
		options->no_scaling = true;
		return options->is_diff ? NULL : "--no-auto-scaling is for diff";
	case 'o':
	case 'c':
		options->file = optarg;
		return (option == 'c') == options->is_diff ? NULL : "-o is for import, -c for diff";
	case 'v':
		options->is_verbose = true;
		return NULL;
	default:
		options->remote.endpoints[option - OPTION_SERVICE] = optarg;
		return NULL;
	}
}

static const char *region_of_environment(void)
{
	const char *region = getenv("AWS_REGION");

	if (!region || !region[0])
		region = getenv("AWS_DEFAULT_REGION");
	return region && region[0] ? region : "us-east-1";
}

static const char *missing(const struct import_options *options)
{
	if (options->is_diff)
		return options->file ? NULL : "which configuration file?";
	return options->n_balancers ? NULL : "which load balancer?";
}

enum import_options_result import_options_parse(int argc, char **argv,
						struct import_options *options)
{
	const char *why = NULL;
	int option;

	options->remote.region = region_of_environment();
	options->remote.timeout_ms = TIMEOUT_DEFAULT * 1000;
	optind = 0; /* from the start, also for a second caller (tests) */
	while (!why && (option = getopt_long(argc, argv, "o:c:vh", longs, NULL)) != -1) {
		if (option == '?') /* getopt_long has said why */
			return wrong(options, NULL);
		if (option == 'h') {
			printf("%s%s%s", options->is_diff ? usage_diff : usage_import,
			       options->is_diff ? help_diff : help_import, help_both);
			return IMPORT_OPTIONS_DONE;
		}
		why = take(options, option);
	}
	if (!why && optind < argc)
		why = "an argument that is no option is one too many";
	if (!why)
		why = missing(options);
	return why ? wrong(options, why) : IMPORT_OPTIONS_RUN;
}
