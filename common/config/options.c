/* See options.h.  Prints on stdout and stderr: the log is not there yet. */
#include "common/config/options.h"

#include <getopt.h>
#include <stdio.h>

enum { OPTION_VERSION = 256 };

static void print_usage(const struct config_options *options, FILE *file)
{
	fprintf(file, "usage: %s %s [-t] [-v]\n", options->program,
		options->takes_plain_file ? "[-c] FILE" : "-c FILE");
}

static void print_help(const struct config_options *options)
{
	print_usage(options, stdout);
	printf("%s\n\n"
	       "  -c, --config FILE  the configuration file\n"
	       "  -t, --test         check the file and exit: 0 when it is good\n"
	       "  -v, --verbose      log at level debug\n"
	       "  -h, --help         this text\n"
	       "      --version      the version\n",
	       options->summary);
}

/* What came without a dash, and what did not come. */
static bool take_rest(int argc, char **argv, struct config_options *options)
{
	if (optind < argc && options->takes_plain_file && options->file == NULL)
		options->file = argv[optind++];
	if (optind < argc) {
		fprintf(stderr, "%s: '%s' is one argument too many\n", options->program,
			argv[optind]);
		return false;
	}
	if (options->file == NULL) {
		fprintf(stderr, "%s: which configuration file?\n", options->program);
		return false;
	}
	return true;
}

enum config_options_result config_options_parse(int argc, char **argv,
						struct config_options *options)
{
	static const struct option longs[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"test", no_argument, NULL, 't'},
	    {"verbose", no_argument, NULL, 'v'},
	    {"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, OPTION_VERSION},
	    {NULL, 0, NULL, 0},
	};
	int option;

	optind = 0; /* from the start, also for a second caller (tests) */
	while ((option = getopt_long(argc, argv, "c:tvh", longs, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->file = optarg;
			break;
		case 't':
			options->is_check_only = true;
			break;
		case 'v':
			options->is_verbose = true;
			break;
		case 'h':
			print_help(options);
			return CONFIG_OPTIONS_DONE;
		case OPTION_VERSION:
			printf("%s %s\n", options->program, ALBATROSS_VERSION);
			return CONFIG_OPTIONS_DONE;
		default: /* getopt_long has said why */
			print_usage(options, stderr);
			return CONFIG_OPTIONS_WRONG;
		}
	}
	if (take_rest(argc, argv, options))
		return CONFIG_OPTIONS_RUN;
	print_usage(options, stderr);
	return CONFIG_OPTIONS_WRONG;
}

int config_options_verdict(const struct config_options *options, const struct err *err)
{
	if (err->text[0] != '\0') {
		fprintf(stderr, "%s: %s\n", options->program, err->text);
		return 1;
	}
	printf("%s: good\n", options->file);
	return 0;
}
