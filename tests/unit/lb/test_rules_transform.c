/* lb/proxy: a rule's transforms on a request's target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lb/proxy/transform.h"

struct fixture {
	struct arena arena;
	struct buffer_pool pool;
	struct transforms transforms;
	struct transformed out;
};

static void set_up(struct fixture *f, struct rewrite_config host, struct rewrite_config url)
{
	*f = (struct fixture){0};
	buffer_pool_init(&f->pool);
	assert_int_equal(rewrite_compile(&f->transforms.host, &host, &f->arena, NULL), 0);
	assert_int_equal(rewrite_compile(&f->transforms.url, &url, &f->arena, NULL), 0);
}

static void run(struct fixture *f, const char *host, const char *uri)
{
	struct request_target target;

	assert_true(request_target_parse(text_of(uri), text_of(host), &target));
	buffer_give_back(&f->pool, f->out.buffer);
	transform_request(&f->transforms, &target, &f->pool, &f->out);
}

static void tear_down(struct fixture *f)
{
	buffer_give_back(&f->pool, f->out.buffer);
	buffer_pool_fini(&f->pool);
	rewrite_fini(&f->transforms.host);
	rewrite_fini(&f->transforms.url);
	arena_fini(&f->arena);
}

static void assert_text(struct text text, const char *expected)
{
	if (!text_equal(text, text_of(expected)))
		fail_msg("%.*s, not %s", (int)text.len, text.at, expected);
}

static void host_and_url_are_replaced_together(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, (struct rewrite_config){"^www\\.", "int."},
	       (struct rewrite_config){"^/a/(.*)", "/b?p=$1"});
	run(&f, "www.example.com:81", "/a/x?y=1");
	assert_int_equal(f.out.result, REWRITE_DONE);
	assert_text(f.out.target.host, "int.example.com");
	assert_text(f.out.target.uri, "/b?p=x?y=1");
	assert_text(f.out.target.path, "/b");
	assert_text(f.out.target.query, "p=x?y=1");
	run(&f, "example.com:81", "/c");
	assert_int_equal(f.out.result, REWRITE_NONE);
	assert_text(f.out.target.host, "example.com:81");
	assert_text(f.out.target.uri, "/c");
	run(&f, "example.com", "/a/");
	assert_int_equal(f.out.result, REWRITE_DONE);
	assert_false(f.out.is_host_new);
	assert_true(f.out.is_url_new);
	tear_down(&f);
}

static void a_target_without_a_path_has_its_slash(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, (struct rewrite_config){0}, (struct rewrite_config){"^/\\?", "/root?"});
	run(&f, "", "http://example.com?q=1");
	assert_int_equal(f.out.result, REWRITE_DONE);
	assert_text(f.out.target.slash, "");
	assert_text(f.out.target.uri, "/root?q=1");
	tear_down(&f);
}

static void results_that_cannot_go_on_the_wire_are_refused(void **state)
{
	static char uri[9000];
	struct fixture f;

	(void)state;
	set_up(&f, (struct rewrite_config){"^bad$", "a b"},
	       (struct rewrite_config){"^/(z.*)$", "$1"});
	run(&f, "bad", "/");
	assert_int_equal(f.out.result, REWRITE_INVALID_HOST);
	run(&f, "good", "/z");
	assert_int_equal(f.out.result, REWRITE_INVALID_PATH);
	tear_down(&f);
	set_up(&f, (struct rewrite_config){0}, (struct rewrite_config){"^(.*)$", "$1$1"});
	memset(uri, 'a', sizeof(uri) - 1);
	uri[0] = '/';
	run(&f, "x", uri);
	assert_int_equal(f.out.result, REWRITE_TOO_LONG);
	uri[8191] = '\0'; /* twice this needs the large buffer */
	run(&f, "x", uri);
	assert_int_equal(f.out.result, REWRITE_DONE);
	assert_int_equal(f.out.target.uri.len, 16382);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(host_and_url_are_replaced_together),
	    cmocka_unit_test(a_target_without_a_path_has_its_slash),
	    cmocka_unit_test(results_that_cannot_go_on_the_wire_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
