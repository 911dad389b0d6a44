/*
 * SSH keys as EC2 deals in them: generated (2048 bit RSA, Ed25519), imported in OpenSSH's public
 * form, with AWS's fingerprints (EC2 User Guide, "Verify the fingerprint of your key pair").
 * Generating takes about a tenth of a second.  Pure but for the randomness; any thread.
 */
#ifndef LAB_EC2_SSH_KEY_H
#define LAB_EC2_SSH_KEY_H

#include "common/base/check.h"

struct ssh_key {
	const char *type; /* "rsa" or "ed25519" */
	char fingerprint[96];
	char *public_line; /* "ssh-rsa AAAA.. name" */
	char *private_pem; /* generated ones only */
};

/* type: "rsa" or "ed25519".  -1 without memory or randomness. */
MUST_CHECK int ssh_key_generate(struct ssh_key *key, const char *type, const char *name);
/* base64: of the text of a public key file.  -1: not one of ours. */
MUST_CHECK int ssh_key_import(struct ssh_key *key, const char *base64);
/* Wipes and frees what it holds. */
void ssh_key_fini(struct ssh_key *key);

#endif
