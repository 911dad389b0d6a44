/*
 * A certificate, its chain and its private key as PEM: do they belong together, and what does the
 * certificate say?  In ACM's words and members.  Pure; OpenSSL does the reading.
 */
#ifndef COMMON_AWS_CERTIFICATE_PEM_H
#define COMMON_AWS_CERTIFICATE_PEM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/aws/codec.h"

/* All NUL-terminated PEM; chain "" = none. */
struct certificate_pem {
	const char *certificate, *chain, *key;
	bool may_lack_chain; /* IAM takes any certificate alone, ACM only one that signs itself */
};

/*
 * The members of an ACM CertificateDetail that the certificate itself determines (DomainName,
 * SubjectAlternativeNames, Serial, Subject, Issuer, NotBefore, NotAfter, KeyAlgorithm,
 * SignatureAlgorithm, KeyUsages, ExtendedKeyUsages) as a new document; NULL with a ValidationError:
 * not PEM, expired, key of another certificate or encrypted, chain that does not lead to it.
 */
MUST_CHECK json_t *certificate_pem_facts(const struct certificate_pem *pem, int64_t now_ms,
					 struct aws_error *error);

#endif
