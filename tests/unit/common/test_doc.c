/* common/doc: readers, Key/Value lists, files, did-you-mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/doc/doc.h"

static int make_folder(void **state)
{
	*state = strdup("/tmp/test_doc_XXXXXX");
	return mkdtemp(*state) == NULL ? -1 : 0;
}

static int drop_folder(void **state)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/file.json", (char *)*state);
	unlink(path);
	rmdir(*state);
	free(*state);
	return 0;
}

/* The path of a file that holds text, in path. */
static const char *write_file(void **state, const char *text, char path[200])
{
	FILE *file;

	snprintf(path, 200, "%s/file.json", (char *)*state);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
	return path;
}

static void a_missing_or_other_typed_member_gives_the_default(void **state)
{
	json_t *o = json_pack("{s:s, s:i, s:f, s:b, s:n, s:[s], s:{}}", "S", "text", "I", 7, "F",
			      1.5, "B", 1, "N", "A", "x", "O");

	(void)state;
	assert_string_equal(doc_str(o, "S", "d"), "text");
	assert_string_equal(doc_str(o, "I", "d"), "d");
	assert_null(doc_str(NULL, "S", NULL));
	assert_int_equal(doc_int(o, "I", -1), 7);
	assert_int_equal(doc_int(o, "F", -1), -1);
	assert_int_equal(doc_int(o, "none", -1), -1);
	assert_true(doc_num(o, "F", 0) == 1.5);
	assert_true(doc_num(o, "I", 0) == 7.0);
	assert_true(doc_bool(o, "B", false));
	assert_true(doc_bool(o, "S", true));
	assert_null(doc_array(o, "S"));
	assert_null(doc_object(o, "A"));
	assert_non_null(doc_object(o, "O"));
	assert_true(doc_has(o, "S"));
	assert_false(doc_has(o, "N"));
	assert_false(doc_has(o, "none"));
	assert_true(doc_list_has(doc_array(o, "A"), "x"));
	assert_false(doc_list_has(doc_array(o, "none"), "x"));
	json_decref(o);
}

static void the_first_object_with_the_member_is_found(void **state)
{
	json_t *list = json_pack("[s, {s:s}, {s:s,s:i}, {s:s}]", "a", "Name", "b", "Name", "a", "N",
				 1, "Name", "a");

	(void)state;
	assert_int_equal(doc_int(doc_find(list, "Name", "a"), "N", 0), 1);
	assert_null(doc_find(list, "Name", "c"));
	assert_null(doc_find(NULL, "Name", "a"));
	json_decref(list);
}

static void a_key_is_set_once_and_removed(void **state)
{
	json_t *list = json_array();

	(void)state;
	assert_string_equal(doc_kv_get(list, "a", "none"), "none");
	assert_int_equal(doc_kv_set(list, "a", "1"), 0);
	assert_int_equal(doc_kv_set(list, "b", "2"), 0);
	assert_int_equal(doc_kv_set(list, "a", "3"), 0);
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(doc_kv_get(list, "a", ""), "3");
	assert_true(doc_kv_remove(list, "a"));
	assert_false(doc_kv_remove(list, "a"));
	assert_string_equal(doc_kv_get(list, "b", ""), "2");
	assert_string_equal(doc_kv_get(NULL, "b", "d"), "d");
	json_decref(list);
}

static void broken_json_is_named_by_file_line_and_column(void **state)
{
	struct err err = {0};
	char path[200], want[240];

	assert_null(doc_load(write_file(state, "{\n  \"A\": 1,\n  \"B\" 2\n}\n", path), &err));
	snprintf(want, sizeof(want), "%s:3:7: ", path);
	assert_memory_equal(err.text, want, strlen(want));
}

static void a_key_given_twice_is_refused(void **state)
{
	struct err err = {0};

	(void)state;
	assert_null(doc_parse("{\"A\": 1,\n\"A\": 2}", 16, "x.json", &err));
	assert_memory_equal(err.text, "x.json:2:", 9);
	assert_non_null(strstr(err.text, "duplicate"));
}

static void a_document_nested_too_deep_is_refused(void **state)
{
	struct err err = {0};
	char *deep = malloc(100000);

	(void)state;
	memset(deep, '[', 100000);
	assert_null(doc_parse(deep, 100000, "x.json", &err));
	free(deep);
}

static void only_regular_files_are_read(void **state)
{
	struct err err = {0};
	char path[200];

	assert_null(doc_load(*state, &err));
	assert_non_null(strstr(err.text, "not a regular file"));
	assert_null(doc_load("/dev/zero", &err));
	snprintf(path, sizeof(path), "%s/file.json", (char *)*state);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(doc_load(path, &err));
	assert_int_equal(unlink(path), 0);
	assert_null(doc_load(path, &err));
	assert_non_null(strstr(err.text, "No such file"));
}

static void a_file_too_large_is_refused(void **state)
{
	struct err err = {0};
	char path[200];
	size_t len;

	write_file(state, "{}", path);
	assert_null(doc_read_file(path, 1, &len, &err));
	assert_non_null(strstr(err.text, "at most 1 "));
	assert_int_equal(truncate(path, DOC_FILE_MAX + 1), 0);
	assert_null(doc_load(path, &err));
	assert_int_equal(truncate(path, 0), 0);
	assert_null(doc_load(path, &err));
}

static void a_good_file_is_loaded(void **state)
{
	struct err err = {0};
	char path[200];
	json_t *document = doc_load(write_file(state, "{\"A\": [1, 2]}", path), &err);

	assert_non_null(document);
	assert_int_equal(json_array_size(doc_array(document, "A")), 2);
	json_decref(document);
}

static void the_nearest_name_is_found(void **state)
{
	static const char *const names[] = {"web",      "TargetGroups",  "TargetType", "Port",
					    "Protocol", "LoadBalancers", NULL};

	(void)state;
	assert_string_equal(doc_nearest("wbe", names), "web");
	assert_string_equal(doc_nearest("WEB", names), "web");
	assert_string_equal(doc_nearest("TargetGroup", names), "TargetGroups");
	assert_string_equal(doc_nearest("targetgroups", names), "TargetGroups");
	assert_string_equal(doc_nearest("LaodBalancer", names), "LoadBalancers");
	assert_string_equal(doc_nearest("Protocl", names), "Protocol");
}

static void far_names_are_not_suggested(void **state)
{
	static const char *const names[] = {"web", "api", "Port", "TargetGroups", NULL};
	char huge[300];

	(void)state;
	assert_null(doc_nearest("db", names));
	assert_null(doc_nearest("", names));
	assert_null(doc_nearest("we", names));
	assert_null(doc_nearest("LoadBalancers", names));
	assert_null(doc_nearest("sort-of", names));
	memset(huge, 'a', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	assert_null(doc_nearest(huge, names));
}

static uint64_t digest_text(const char *text)
{
	json_t *document = json_loads(text, JSON_DECODE_ANY, NULL);
	uint64_t digest = doc_digest(document);

	assert_non_null(document);
	json_decref(document);
	return digest;
}

static void a_digest_tells_documents_apart_and_not_their_members_order(void **state)
{
	static const char *const all[] = {
	    "{}",
	    "[]",
	    "null",
	    "true",
	    "false",
	    "0",
	    "0.0",
	    "\"\"",
	    "\"0\"",
	    "[[]]",
	    "[0]",
	    "[1, 2]",
	    "[2, 1]",
	    "{\"a\": 1}",
	    "{\"a\": 2}",
	    "{\"b\": 1}",
	    "{\"a\": []}",
	    "{\"a\": null}",
	    "[[1], 2]",
	    "[1, [2]]",
	    "\"abcdefgh\"",
	    "\"abcdefg\"",
	    "\"abcdefghi\"",
	    "[\"ab\", \"c\"]",
	    "[\"a\", \"bc\"]",
	};
	size_t n = sizeof(all) / sizeof(all[0]);

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			assert_int_equal(digest_text(all[i]) == digest_text(all[j]), i == j);
	assert_true(digest_text("{\"a\": 1, \"b\": [2]}") == digest_text("{\"b\": [2], \"a\": 1}"));
	assert_false(digest_text("{\"a\": 1, \"b\": 2}") == digest_text("{\"a\": 2, \"b\": 1}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_missing_or_other_typed_member_gives_the_default),
	    cmocka_unit_test(the_first_object_with_the_member_is_found),
	    cmocka_unit_test(a_key_is_set_once_and_removed),
	    cmocka_unit_test(broken_json_is_named_by_file_line_and_column),
	    cmocka_unit_test(a_key_given_twice_is_refused),
	    cmocka_unit_test(a_document_nested_too_deep_is_refused),
	    cmocka_unit_test(only_regular_files_are_read),
	    cmocka_unit_test(a_file_too_large_is_refused),
	    cmocka_unit_test(a_good_file_is_loaded),
	    cmocka_unit_test(the_nearest_name_is_found),
	    cmocka_unit_test(far_names_are_not_suggested),
	    cmocka_unit_test(a_digest_tells_documents_apart_and_not_their_members_order),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
