/*
 * Any bytes as a configuration file: they are refused with a reason, or give a
 * document that passes the same check unchanged.  No files are read (UserDataFile).
 */
#include <stddef.h>
#include <stdint.h>

#include "common/base/check.h"
#include "common/config/config.h"
#include "common/doc/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	json_t *document = doc_parse((const char *)data, size, "fuzz", &err);
	json_t *config, *again;

	if (document == NULL) {
		CHECK(err.text[0] != '\0');
		return 0;
	}
	config = config_check(document, NULL, &err);
	json_decref(document);
	if (config == NULL) {
		CHECK(err.text[0] != '\0');
		return 0;
	}
	again = config_check(config, NULL, &err);
	CHECK(again != NULL && json_equal(config, again));
	json_decref(again);
	json_decref(config);
	return 0;
}
