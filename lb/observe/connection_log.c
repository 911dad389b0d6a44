/* The connection log: see connection_log.h. */
#include "lb/observe/connection_log.h"

#include "lb/observe/line.h"

void connection_log_write(struct log_file *log, unsigned lane, const struct connection_entry *entry)
{
	struct line_clock clock = {0};
	char *start = log_file_line(log, lane);
	struct line line = {start, start + LOG_LINE_MAX - 1};

	line_time(&line, &clock, entry->accepted_us, false); /* 1 */
	line_or_dash(&line, entry->client_ip);               /* 2 */
	line_number(&line, entry->client_port, 1);           /* 3 */
	line_literal(&line, " ");
	line_number(&line, entry->listener_port, 1);     /* 4 */
	line_literal(&line, " - - - \"-\" - - - ");      /* 5-11: TLS */
	line_connection_id(&line, entry->connection_id); /* 12 */
	line_literal(&line, " - ");                      /* 13: TLS */
	line_or_dash(&line, entry->elb);                 /* 14 */
	line_or_dash(&line, entry->node);                /* 15 */
	line.at[-1] = '\n';
	log_file_put(log, lane, (size_t)(line.at - start));
}
