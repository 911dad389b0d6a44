/*
 * Typed access to JSON documents (jansson), in AWS's member names.  The readers are
 * for documents already validated (a missing or differently typed member gives the
 * default); what people and peers send is checked first, by shape_check() in
 * common/aws/shapes.h.  doc_load() and doc_read_file() block on the disk.
 */
#ifndef COMMON_DOC_DOC_H
#define COMMON_DOC_DOC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

/* Plain readers; object may be NULL.  Strings are borrowed from the document. */
const char *doc_str(const json_t *object, const char *member, const char *otherwise);
int64_t doc_int(const json_t *object, const char *member, int64_t otherwise);
double doc_num(const json_t *object, const char *member, double otherwise);
bool doc_bool(const json_t *object, const char *member, bool otherwise);
/* Borrowed; NULL when absent or of another type.  (json_array_size(NULL) is 0, json_array_foreach
 * skips NULL.) */
json_t *doc_array(const json_t *object, const char *member);
json_t *doc_object(const json_t *object, const char *member);
bool doc_has(const json_t *object, const char *member); /* present and not null */

/* The first object of the list whose member is the text, borrowed, or NULL. */
json_t *doc_find(const json_t *list, const char *member, const char *text);

/* Does the array of strings hold text? */
bool doc_list_has(const json_t *array, const char *text);

/* Key/Value lists as AWS writes tags and attributes: [{"Key": k, "Value": v}]. */
const char *doc_kv_get(const json_t *list, const char *key, const char *otherwise);
/* 0, or -1 without memory. */
MUST_CHECK int doc_kv_set(json_t *list, const char *key, const char *value);
bool doc_kv_remove(json_t *list, const char *key);

enum { DOC_FILE_MAX = 64 << 20 };

/* Parses a regular file of at most DOC_FILE_MAX bytes; err: "FILE:LINE:COLUMN: reason".  A key
 * given twice in one object is an error.  New reference or NULL. */
MUST_CHECK json_t *doc_load(const char *path, struct err *err);
/* The same for bytes; name stands in for the path. */
MUST_CHECK json_t *doc_parse(const char *text, size_t len, const char *name, struct err *err);

/* The bytes of a regular file (NUL added, not counted; free() them), or NULL with err naming it. */
MUST_CHECK char *doc_read_file(const char *path, size_t max_bytes, size_t *len, struct err *err);

/* A number that two documents share if they are equal, and hardly ever if not.  Not for what an
 * enemy makes: it is no cryptographic hash.  NULL is fine. */
uint64_t doc_digest(const json_t *document);

/* The entry of candidates (NULL-terminated) that text is likeliest a slip of, case aside, or NULL
 * if none is near (did-you-mean).  Texts of more than 64 bytes are near nothing. */
const char *doc_nearest(const char *text, const char *const candidates[]);

#endif
