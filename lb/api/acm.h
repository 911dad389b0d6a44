/*
 * ACM's certificates, kept where TLS ends: in the load balancer.  Handlers are those of acm.def,
 * with the store as their context.  Control thread only.
 *
 * Documents in the store:
 *   acm/certificate/UUID  {"Certificate": as describe-certificate prints it but for InUseBy,
 * "Tags"} acm/pem/UUID          {"Certificate", "CertificateChain", "PrivateKey"}: PEM text.  The
 * private key is as safe as the store's file is.
 */
#ifndef LB_API_ACM_H
#define LB_API_ACM_H

#include "common/aws/server.h"
#include "common/store/store.h"

/* For aws_server_add_service(), with the struct store as the context. */
extern const struct aws_action acm_actions[];
extern const size_t n_acm_actions;

/* The PEM document of a certificate by ARN; new reference; NULL when there is none. */
json_t *certificate_pem_get(struct store *store, const char *arn);

#endif
