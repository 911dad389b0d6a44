/* See settings.h. */
#include "lb/control/settings.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "common/doc/doc.h"
#include "lb/routing/target.h"

enum { MIB = 1024 * 1024, DEFAULT_BUFFER_MIB = 1024 };

/* One worker a core that the process may run on. */
static int64_t default_workers(void)
{
	cpu_set_t set;
	int n;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	n = CPU_COUNT(&set);
	return n > MAX_LANES ? MAX_LANES : n;
}

/* For all workers: half of the machine's memory. */
static int64_t default_buffer_mib(void)
{
	int64_t pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);

	return pages > 0 && page_bytes > 0 ? pages / 2 * page_bytes / MIB : DEFAULT_BUFFER_MIB;
}

void lb_settings_read(const json_t *config, struct lb_settings *settings)
{
	config_settings_read(config, "Lb", &settings->common);
	settings->n_workers =
	    (unsigned)doc_int(settings->common.section, "Workers", default_workers());
	settings->buffer_bytes =
	    (size_t)doc_int(settings->common.section, "BufferMemoryInMiB", default_buffer_mib()) *
	    MIB / settings->n_workers;
	settings->metrics_endpoint = doc_str(settings->common.section, "MetricsEndpoint", NULL);
	settings->ec2_endpoint = doc_str(settings->common.section, "Ec2Endpoint", NULL);
	settings->access_log = doc_str(settings->common.section, "AccessLog", NULL);
	settings->health_check_log = doc_str(settings->common.section, "HealthCheckLog", NULL);
	settings->is_access_log_json =
	    strcmp(doc_str(settings->common.section, "AccessLogFormat", "alb"), "json") == 0;
	settings->connection_log = doc_str(settings->common.section, "ConnectionLog", NULL);
	settings->auto_address = doc_str(settings->common.section, "AutoAddress", NULL);
	settings->zone = doc_str(settings->common.section, "AvailabilityZone", NULL);
}
