/* See client_retry.h. */
#include "common/aws/client_retry.h"

#include <string.h>

enum {
	FAULT_BASE_MS = 50,
	THROTTLE_BASE_MS = 500,
	MAX_DELAY_MS = 20000,
};

static bool is_one_of(const char *code, const char *const codes[])
{
	for (size_t i = 0; codes[i] != NULL; i++)
		if (strcmp(code, codes[i]) == 0)
			return true;
	return false;
}

enum retry_kind retry_kind_of_error(const struct aws_error *error)
{
	static const char *const throttling[] = {"Throttling",
						 "ThrottlingException",
						 "ThrottledException",
						 "RequestThrottled",
						 "RequestThrottledException",
						 "RequestLimitExceeded",
						 "TooManyRequestsException",
						 "BandwidthLimitExceeded",
						 "PriorRequestNotComplete",
						 "EC2ThrottledException",
						 "SlowDown",
						 NULL};
	static const char *const faults[] = {"RequestTimeout", "RequestTimeoutException", NULL};
	static const char *const expired[] = {"ExpiredToken", "ExpiredTokenException",
					      "RequestExpired", NULL};

	if (is_one_of(error->code, throttling) || error->http_status == 429)
		return RETRY_THROTTLE;
	if (is_one_of(error->code, expired))
		return RETRY_EXPIRED;
	switch (error->http_status) {
	case 500:
	case 502:
	case 503:
	case 504:
		return RETRY_FAULT;
	default:
		return is_one_of(error->code, faults) ? RETRY_FAULT : RETRY_NEVER;
	}
}

enum retry_kind retry_kind_of_curl(CURLcode result)
{
	static const CURLcode lost[] = {
	    CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_CONNECT,
	    CURLE_OPERATION_TIMEDOUT,   CURLE_GOT_NOTHING,           CURLE_SEND_ERROR,
	    CURLE_RECV_ERROR,           CURLE_PARTIAL_FILE,          CURLE_SSL_CONNECT_ERROR};

	for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++)
		if (result == lost[i])
			return RETRY_FAULT;
	return RETRY_NEVER;
}

int retry_delay_ms(enum retry_kind kind, int attempt, double random)
{
	int ms = kind == RETRY_THROTTLE ? THROTTLE_BASE_MS : FAULT_BASE_MS;

	for (int i = 0; i < attempt && ms < MAX_DELAY_MS; i++)
		ms *= 2;
	if (ms > MAX_DELAY_MS)
		ms = MAX_DELAY_MS;
	return (int)(random * ms);
}
