/*
 * The command line of the benchmark's load, and the request that it asks for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/load.h"

enum { BODY_MAX = 64 << 20 };

void load_die(const char *why)
{
	fprintf(stderr, "load: %s: %s\n", why, strerror(errno));
	exit(1);
}

/* headers: each with its CRLF. */
static void make_request(struct load_options *opt, const char *path, const char *host,
			 const char *headers)
{
	char length[64] = "";

	if (opt->body_bytes > 0)
		snprintf(length, sizeof(length), "Content-Length: %zu\r\n", opt->body_bytes);
	opt->request_len =
	    (size_t)snprintf(opt->request, LOAD_REQUEST_MAX,
			     "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s%sAccept: */*\r\n\r\n",
			     opt->body_bytes > 0 ? "POST" : "GET", path, host, headers, length,
			     opt->is_close ? "Connection: close\r\n" : "");
	opt->upload = calloc(1, opt->body_bytes + 1);
	if (opt->request_len >= LOAD_REQUEST_MAX || opt->upload == NULL)
		load_die("request");
}

static _Noreturn void usage(void)
{
	fprintf(
	    stderr,
	    "usage: load [-c CONNECTIONS] [-d SECONDS | -n REQUESTS] [-w WARM_SECONDS] [-r RATE]\n"
	    "            [-C] [-i] [-u UPLOAD_BYTES] [-p PATH] [-h HOST] [-H 'Name: value']...\n"
	    "            [-t TIMEOUT_SECONDS] [-P PID]... ADDRESS PORT\n"
	    "  -r  open loop at RATE requests/s; without it each connection sends on its "
	    "answer\n"
	    "  -C  a connection for each request\n"
	    "  -i  serve each connection once, print, and hold all until standard input ends\n"
	    "  -P  whose processor time is told\n");
	exit(2);
}

void load_parse_options(int argc, char **argv, struct load_options *opt)
{
	static char headers[LOAD_REQUEST_MAX / 2];
	const char *path = "/", *host = "www.example.com";
	size_t n = 0;
	int c;

	*opt = (struct load_options){.n_conns = 64, .seconds = 1, .timeout_s = 10};

	while ((c = getopt(argc, argv, "c:d:n:w:r:Ciu:p:h:H:t:P:")) != -1) {
		switch (c) {
		case 'c':
			opt->n_conns = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'd':
			opt->seconds = strtod(optarg, NULL);
			break;
		case 'n':
			opt->n_requests = strtoull(optarg, NULL, 10);
			opt->seconds = 600;
			break;
		case 'w':
			opt->warm_s = strtod(optarg, NULL);
			break;
		case 'r':
			opt->rate = strtod(optarg, NULL);
			break;
		case 'C':
			opt->is_close = true;
			break;
		case 'i':
			opt->is_idle = true;
			break;
		case 'u':
			opt->body_bytes = strtoul(optarg, NULL, 10);
			break;
		case 'p':
			path = optarg;
			break;
		case 'h':
			host = optarg;
			break;
		case 'H':
			n += (size_t)snprintf(headers + n, sizeof(headers) - n, "%s\r\n", optarg);
			break;
		case 't':
			opt->timeout_s = strtod(optarg, NULL);
			break;
		case 'P':
			if (opt->n_pids == LOAD_PIDS_MAX)
				usage();
			opt->pids[opt->n_pids++] = atoi(optarg);
			break;
		default:
			usage();
		}
		if (n >= sizeof(headers))
			usage();
	}
	if (argc - optind != 2 || opt->n_conns == 0 || opt->body_bytes > BODY_MAX ||
	    inet_pton(AF_INET, argv[optind], &opt->addr.sin_addr) != 1)
		usage();
	opt->addr.sin_family = AF_INET;
	opt->addr.sin_port = htons((uint16_t)atoi(argv[optind + 1]));
	make_request(opt, path, host, headers);
}
