/* What the files of IAM share: roles.c, instance_profiles.c, server_certificates.c.  Private to
 * them. */
#ifndef LAB_NEIGHBOURS_IAM_H
#define LAB_NEIGHBOURS_IAM_H

#include "lab/neighbours/neighbours.h"

#define IAM_ROLES "iam/role/"
#define IAM_PROFILES "iam/instance-profile/"
#define IAM_CERTIFICATES "iam/server-certificate/"

/* The document of a noun ("Role") by name, with its key; NULL with NoSuchEntity. */
json_t *iam_find(struct neighbours *neighbours, const char *folder, const char *noun,
		 const char *name, char key[NEIGHBOURS_KEY_MAX], struct aws_error *error);

/* 0 when the name is free; -1 with EntityAlreadyExists.  key is filled. */
MUST_CHECK int iam_check_free(struct neighbours *neighbours, const char *folder, const char *noun,
			      const char *name, char key[NEIGHBOURS_KEY_MAX],
			      struct aws_error *error);

/* A role as the Get and List actions print it: without its policies, the document URL-encoded. */
json_t *iam_role_shown(const json_t *role);

/* "AROA" and 17 more, as IAM's ids look. */
void iam_new_id(const char *prefix, char id[32]);

/* {member: [..], "IsTruncated": false}: takes over list. */
json_t *iam_list_answer(const char *member, json_t *list, struct aws_error *error);

/* The names of the instance profiles that hold the role. */
json_t *iam_profiles_of(struct neighbours *neighbours, const char *role);

#endif
