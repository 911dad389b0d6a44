/* See settings.h.  Any thread. */
#include "common/config/settings.h"

#include <string.h>

#include "common/base/check.h"
#include "common/doc/doc.h"

static const char *default_api_address(const char *section)
{
	static const struct {
		const char *section, *address;
	} defaults[] = {
	    {"Lb", "127.0.0.1:7001"},
	    {"Scaler", "127.0.0.1:7002"},
	    {"Lab", "127.0.0.1:7003"},
	};

	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		if (strcmp(defaults[i].section, section) == 0)
			return defaults[i].address;
	}
	return NULL;
}

void config_settings_read(const json_t *config, const char *section,
			  struct config_settings *settings)
{
	const char *api_address = default_api_address(section);
	const json_t *own = doc_object(config, section);
	const json_t *credentials = doc_array(own, "Credentials");

	CHECK(api_address != NULL);
	*settings = (struct config_settings){
	    .section = own,
	    .api_address = doc_str(own, "ApiAddress", api_address),
	    .state_url = doc_str(own, "StateUrl", "memory:"),
	    .region = doc_str(own, "Region", "us-east-1"),
	    .account_id = doc_str(own, "AccountId", "000000000000"),
	    .credentials = json_array_size(credentials) > 0 ? credentials : NULL,
	};
}
