/* common/config/options: the command line of the three programs. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/config/options.h"

/* Parses with what it prints thrown away. */
static enum config_options_result parse(struct config_options *options, bool takes_plain_file,
					const char *one, const char *two, const char *three)
{
	char texts[4][64];
	const char *given[] = {"albatross-x", one, two, three};
	char *argv[5] = {NULL};
	enum config_options_result result;
	int argc, out, err, null;

	for (argc = 0; argc < 4 && given[argc] != NULL; argc++) {
		snprintf(texts[argc], sizeof(texts[argc]), "%s", given[argc]);
		argv[argc] = texts[argc];
	}
	*options = (struct config_options){
	    .program = "albatross-x", .summary = "Does x.", .takes_plain_file = takes_plain_file};
	fflush(stdout);
	out = dup(1);
	err = dup(2);
	null = open("/dev/null", O_WRONLY);
	dup2(null, 1);
	dup2(null, 2);
	result = config_options_parse(argc, argv, options);
	fflush(stdout);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	close(null);
	if (options->file != NULL) /* it lies in texts */
		options->file = strcmp(options->file, "f.json") == 0 ? "f.json" : "?";
	return result;
}

static void a_file_is_taken_with_and_without_its_option(void **state)
{
	struct config_options o;

	(void)state;
	assert_int_equal(parse(&o, false, "-c", "f.json", NULL), CONFIG_OPTIONS_RUN);
	assert_string_equal(o.file, "f.json");
	assert_false(o.is_check_only || o.is_verbose);
	assert_int_equal(parse(&o, false, "--config=f.json", NULL, NULL), CONFIG_OPTIONS_RUN);
	assert_string_equal(o.file, "f.json");
	assert_int_equal(parse(&o, true, "f.json", "-t", "-v"), CONFIG_OPTIONS_RUN);
	assert_string_equal(o.file, "f.json");
	assert_true(o.is_check_only && o.is_verbose);
}

static void help_and_version_end_well(void **state)
{
	struct config_options o;

	(void)state;
	assert_int_equal(parse(&o, false, "--help", NULL, NULL), CONFIG_OPTIONS_DONE);
	assert_int_equal(parse(&o, false, "--version", NULL, NULL), CONFIG_OPTIONS_DONE);
}

static void a_wrong_command_line_is_refused(void **state)
{
	struct config_options o;

	(void)state;
	assert_int_equal(parse(&o, false, NULL, NULL, NULL), CONFIG_OPTIONS_WRONG);
	assert_int_equal(parse(&o, false, "f.json", NULL, NULL), CONFIG_OPTIONS_WRONG);
	assert_int_equal(parse(&o, false, "-c", NULL, NULL), CONFIG_OPTIONS_WRONG);
	assert_int_equal(parse(&o, false, "-x", NULL, NULL), CONFIG_OPTIONS_WRONG);
	assert_int_equal(parse(&o, true, "-c", "f.json", "g.json"), CONFIG_OPTIONS_WRONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_is_taken_with_and_without_its_option),
	    cmocka_unit_test(help_and_version_end_well),
	    cmocka_unit_test(a_wrong_command_line_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
