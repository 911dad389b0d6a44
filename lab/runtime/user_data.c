/* See user_data.h. */
#include "lab/runtime/user_data.h"

#include <string.h>

/* cloud-init tells formats apart by how they start. */
static const struct {
	const char *start;
	enum user_data_kind kind;
	const char *what;
} kinds[] = {
    {"#!", USER_DATA_SCRIPT, "script"},
    {"#cloud-config", USER_DATA_UNSUPPORTED, "#cloud-config"},
    {"#cloud-boothook", USER_DATA_UNSUPPORTED, "#cloud-boothook"},
    {"#include", USER_DATA_UNSUPPORTED, "#include"},
    {"#part-handler", USER_DATA_UNSUPPORTED, "#part-handler"},
    {"## template: jinja", USER_DATA_UNSUPPORTED, "jinja template"},
    {"Content-Type: multipart", USER_DATA_UNSUPPORTED, "MIME multipart"},
    {"MIME-Version:", USER_DATA_UNSUPPORTED, "MIME multipart"},
    {"\x1f\x8b", USER_DATA_UNSUPPORTED, "gzip"},
};

enum user_data_kind user_data_kind(const unsigned char *bytes, size_t len, const char **what)
{
	*what = "no user data";
	if (len == 0)
		return USER_DATA_NONE;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t start_len = strlen(kinds[i].start);

		if (len < start_len || memcmp(bytes, kinds[i].start, start_len) != 0)
			continue;
		*what = kinds[i].what;
		return kinds[i].kind;
	}
	*what = "text";
	return USER_DATA_TEXT;
}
