/* common/base/ids: formats, repeatability, ARNs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/ids.h"

static void the_same_seed_gives_the_same_ids(void **state)
{
	struct id_source one = {.state = 7}, two = {.state = 7};
	char a[ID_TEXT_MAX], b[ID_TEXT_MAX];

	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_string_equal(id_ec2(&one, "i", a), id_ec2(&two, "i", b));
		assert_string_equal(id_uuid(&one, a), id_uuid(&two, b));
	}
}

static void kernel_randomness_does_not_repeat(void **state)
{
	char a[ID_TEXT_MAX], b[ID_TEXT_MAX];

	(void)state;
	assert_string_not_equal(id_hex16(NULL, a), id_hex16(NULL, b));
	assert_int_equal(strlen(a), 16);
	assert_int_equal(strspn(a, "0123456789abcdef"), 16);
}

static void an_ec2_id_has_its_prefix_and_17_hex_digits(void **state)
{
	struct id_source source = {0};
	char text[ID_TEXT_MAX];

	(void)state;
	id_ec2(&source, "subnet", text);
	assert_int_equal(strlen(text), strlen("subnet-") + 17);
	assert_true(id_is_ec2(text, "subnet"));
	assert_false(id_is_ec2(text, "sub"));
	assert_true(id_is_ec2("i-1234abcd", "i"));
	assert_false(id_is_ec2("i-1234abc", "i"));
	assert_false(id_is_ec2("i-1234ABCD", "i"));
	assert_false(id_is_ec2("i-", "i"));
	assert_false(id_is_ec2("", "i"));
	assert_false(id_is_ec2("i-0123456789abcdef01", "i"));
}

static void a_uuid_is_of_version_4(void **state)
{
	char text[ID_TEXT_MAX];

	(void)state;
	for (int i = 0; i < 64; i++) {
		id_uuid(NULL, text);
		assert_int_equal(strlen(text), 36);
		assert_int_equal(text[8] + text[13] + text[18] + text[23], 4 * '-');
		assert_int_equal(text[14], '4');
		assert_non_null(strchr("89ab", text[19]));
	}
}

static void an_arn_comes_apart_at_its_colons(void **state)
{
	struct arn arn;

	(void)state;
	assert_int_equal(arn_parse("arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:"
				   "uuid:autoScalingGroupName/web",
				   &arn),
			 0);
	assert_string_equal(arn.service, "autoscaling");
	assert_string_equal(arn.region, "us-east-1");
	assert_string_equal(arn.account, "123456789012");
	assert_string_equal(arn.resource, "autoScalingGroup:uuid:autoScalingGroupName/web");
	assert_int_equal(arn_parse("arn:aws-cn:iam::1:role/x", &arn), 0);
	assert_string_equal(arn.region, "");
}

static void what_is_no_arn_is_refused(void **state)
{
	static const char *const none[] = {
	    "",
	    "web",
	    "arn:",
	    "arn:aws:",
	    "arn:aws:s3::",
	    "arn:aws:s3:r:a",
	    "arn:aws:s3:r:a:",
	    "arn:gcp:s3:r:a:x",
	    "xarn:aws:s3:::b",
	    "arn:aws::r:a:x",
	};
	char *huge = malloc(5000);

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_false(arn_is(none[i]));
	memset(huge, 'x', 4999);
	huge[4999] = '\0';
	memcpy(huge, "arn:aws:s3:::", 13);
	assert_false(arn_is(huge));
	huge[ARN_TEXT_MAX] = '\0';
	assert_false(arn_is(huge));
	huge[ARN_TEXT_MAX - 1] = '\0';
	assert_true(arn_is(huge));
	free(huge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_same_seed_gives_the_same_ids),
	    cmocka_unit_test(kernel_randomness_does_not_repeat),
	    cmocka_unit_test(an_ec2_id_has_its_prefix_and_17_hex_digits),
	    cmocka_unit_test(a_uuid_is_of_version_4),
	    cmocka_unit_test(an_arn_comes_apart_at_its_colons),
	    cmocka_unit_test(what_is_no_arn_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
