/* See import.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/config/config.h"
#include "common/doc/doc.h"
#include "lb/import/compare.h"
#include "lb/import/fetch.h"
#include "lb/import/fit.h"
#include "lb/import/import.h"
#include "lb/import/live.h"
#include "lb/import/local.h"
#include "lb/import/options.h"
#include "lb/import/output.h"

enum { STATUS_DIFFERS = 1, STATUS_FAILED = 1, STATUS_TROUBLE = 2, STATUS_USAGE = 2 };

/* A document without memory for its half would be a wrong answer; these
 * programs just end. */
static void *allocate_or_end(size_t size)
{
	void *memory = malloc(size);

	if (memory)
		return memory;
	fprintf(stderr, "albatross-lb: out of memory\n");
	_exit(STATUS_TROUBLE);
}

static void print_notes(const json_t *notes)
{
	const json_t *note;
	size_t i;

	json_array_foreach (notes, i, note)
		fprintf(stderr, "albatross-lb: note: %s\n", json_string_value(note));
}

static int run_import(const struct import_options *options, const struct source *source,
		      struct err *err)
{
	json_t *notes = json_array();
	json_t *config = live_import(source, options, notes, err);
	int result = -1;

	if (config) {
		config = fit_config(config, notes);
		result = local_check(config, err);
		if (result == 0 && json_array_size(doc_array(config, "LoadBalancers")) == 0)
			err_set(err, ENOTSUP, "no load balancer was left that could be kept");
		if (err->text[0])
			result = -1;
	}
	print_notes(notes);
	if (result == 0)
		result = output_write(options->file, config, err);
	json_decref(config);
	json_decref(notes);
	return result == 0 ? 0 : STATUS_FAILED;
}

static int run_diff(const struct import_options *options, const struct source *source,
		    struct err *err)
{
	json_t *config = config_load(options->file, err);
	struct local *local = config ? local_new(config, err) : NULL;
	struct live_sides sides = {0};
	struct buf text = {0};
	int status = STATUS_TROUBLE;

	if (config && !local)
		err_wrap(err, "%s: ", options->file);
	if (local && live_of_file(config, local_source(local), *source, !options->no_scaling,
				  &sides, err) == 0) {
		status = compare_configs(sides.file, sides.live, &text) > 0 ? STATUS_DIFFERS : 0;
		if (buf_failed(&text) || fputs(buf_text(&text), stdout) < 0)
			status = STATUS_TROUBLE;
	}
	buf_fini(&text);
	json_decref(sides.file);
	json_decref(sides.live);
	local_free(local);
	json_decref(config);
	return status;
}

static int run(struct import_options *options)
{
	struct err err = {0};
	struct remote *remote;
	struct source source;
	int status = options->is_diff ? STATUS_TROUBLE : STATUS_FAILED;

	json_set_alloc_funcs(allocate_or_end, free);
	log_start("albatross-lb", options->is_verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN);
	signal(SIGPIPE, SIG_IGN);
	remote = remote_new(&options->remote, &err);
	if (remote) {
		source = remote_source(remote);
		status = options->is_diff ? run_diff(options, &source, &err)
					  : run_import(options, &source, &err);
	}
	if (err.text[0])
		fprintf(stderr, "albatross-lb: %s\n", err.text);
	remote_free(remote);
	libevent_global_shutdown();
	return status;
}

bool import_command(int argc, char **argv, int *status)
{
	struct import_options options = {0};

	if (argc < 2 || (strcmp(argv[1], "import") != 0 && strcmp(argv[1], "diff") != 0))
		return false;
	options.is_diff = strcmp(argv[1], "diff") == 0;
	switch (import_options_parse(argc - 1, argv + 1, &options)) {
	case IMPORT_OPTIONS_DONE:
		*status = 0;
		break;
	case IMPORT_OPTIONS_WRONG:
		*status = STATUS_USAGE;
		break;
	case IMPORT_OPTIONS_RUN:
		*status = run(&options);
		break;
	}
	return true;
}
