/*
 * Answers to our own calls: XML -> document, or error.  The peer may lie: UTF-8 only, no
 * DTD, no entities, no network, bounded size and depth, and what is not in the shape is skipped.
 */
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/aws/codec.h"
#include "common/aws/shape_walk.h"
#include "common/aws/utf8.h"

enum { MAX_XML = 64 << 20 };

static json_t *decode_value(const xmlNode *node, const struct shape *shape, int depth);

/* NULL: not well-formed, or more than we let a peer send. */
static xmlDoc *parse(const char *xml, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	xmlDoc *doc;

	pthread_once(&once, xmlInitParser);
	if (len == 0 || len > MAX_XML || !utf8_is_valid(xml, len) ||
	    memmem(xml, len, "<!DOCTYPE", 9))
		return NULL;
	doc = xmlReadMemory(xml, (int)len, NULL, "UTF-8",
			    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
				XML_PARSE_NOCDATA | XML_PARSE_IGNORE_ENC);
	if (doc && xmlGetIntSubset(doc)) {
		xmlFreeDoc(doc);
		return NULL;
	}
	return doc;
}

static bool is_element(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static const xmlNode *child_of(const xmlNode *node, const char *name)
{
	for (const xmlNode *child = node ? node->children : NULL; child; child = child->next) {
		if (is_element(child, name))
			return child;
	}
	return NULL;
}

/* The element's text; free with xmlFree.  NULL without memory. */
static char *text_of(const xmlNode *node)
{
	xmlChar *text = xmlNodeGetContent(node);

	return (char *)(text ? text : xmlStrdup((const xmlChar *)""));
}

static const struct shape_member *member_of(const struct shape *shape, const xmlNode *node)
{
	for (size_t i = 0; i < shape->n_members; i++) {
		if (is_element(node, shape->members[i].xml_name))
			return &shape->members[i];
	}
	return NULL;
}

/* A flattened list's or map's elements stand among the members; each is added to what there is. */
static int add_flat(json_t *object, const struct shape_member *member, json_t *one)
{
	json_t *list = json_object_get(object, member->name);

	if (!list) {
		list = json_array();
		if (json_object_set_new(object, member->name, list) < 0) {
			json_decref(one);
			return -1;
		}
	}
	return json_array_append_new(list, one);
}

static json_t *decode_structure(const xmlNode *node, const struct shape *shape, int depth)
{
	json_t *object = json_object();

	for (const xmlNode *child = node->children; object && child; child = child->next) {
		const struct shape_member *member = member_of(shape, child);
		bool is_flat =
		    member && member->shape->kind == SHAPE_LIST && member->shape->is_flattened;
		json_t *one;
		int rc;

		if (!member)
			continue;
		one = decode_value(child, is_flat ? member->shape->element.shape : member->shape,
				   depth);
		if (json_is_null(one))
			continue;
		rc = is_flat ? add_flat(object, member, one)
			     : json_object_set_new(object, member->name, one);
		if (rc < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static json_t *decode_list(const xmlNode *node, const struct shape *shape, int depth)
{
	json_t *list = json_array();

	for (const xmlNode *child = node->children; list && child; child = child->next) {
		if (child->type != XML_ELEMENT_NODE)
			continue;
		if (json_array_append_new(list, decode_value(child, shape->element.shape, depth)) <
		    0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static int decode_entry(const xmlNode *entry, const struct shape *shape, int depth, json_t *map)
{
	const xmlNode *key = child_of(entry, shape->key.xml_name);
	const xmlNode *value = child_of(entry, shape->element.xml_name);
	char *name;
	int rc;

	if (!key || !value)
		return 0;
	name = text_of(key);
	rc = name ? json_object_set_new(map, name, decode_value(value, shape->element.shape, depth))
		  : -1;
	xmlFree(name);
	return rc;
}

static json_t *decode_map(const xmlNode *node, const struct shape *shape, int depth)
{
	json_t *map = json_object();

	for (const xmlNode *child = node->children; map && child; child = child->next) {
		if (child->type == XML_ELEMENT_NODE && decode_entry(child, shape, depth, map) < 0) {
			json_decref(map);
			return NULL;
		}
	}
	return map;
}

/* NULL: the text is not of the shape's kind. */
static json_t *scalar_from(const char *text, const struct shape *shape)
{
	long long whole;
	double number;

	if (shape->kind == SHAPE_INTEGER || shape->kind == SHAPE_LONG)
		return shape_parse_integer(text, SHAPE_LONG, &whole) ? json_integer(whole) : NULL;
	if (shape->kind == SHAPE_FLOAT || shape->kind == SHAPE_DOUBLE)
		return shape_parse_double(text, &number) ? json_real(number) : NULL;
	if (shape->kind != SHAPE_BOOLEAN)
		return json_string(text);
	if (strcasecmp(text, "true") == 0)
		return json_true();
	return strcasecmp(text, "false") == 0 ? json_false() : NULL;
}

static json_t *decode_scalar(const xmlNode *node, const struct shape *shape)
{
	char *text = text_of(node);
	json_t *value = text ? scalar_from(text, shape) : NULL;

	/* An empty number or boolean means none: structures leave null out. */
	if (!value && text && *text == '\0')
		value = json_null();
	xmlFree(text);
	return value;
}

/* NULL: the answer does not fit the shape, or no memory. */
static json_t *decode_value(const xmlNode *node, const struct shape *shape, int depth)
{
	if (depth == SHAPE_MAX_DEPTH)
		return NULL;
	if (shape->kind == SHAPE_STRUCTURE)
		return decode_structure(node, shape, depth + 1);
	if (shape->kind == SHAPE_LIST)
		return decode_list(node, shape, depth + 1);
	if (shape->kind == SHAPE_MAP)
		return decode_map(node, shape, depth + 1);
	return decode_scalar(node, shape);
}

static const xmlNode *result_of(const struct aws_model *model,
				const struct aws_operation *operation, const xmlNode *root)
{
	char name[160];

	snprintf(name, sizeof(name), "%sResponse", operation->name);
	if (!root || !is_element(root, name))
		return NULL;
	if (model->protocol == AWS_EC2_QUERY || !operation->output)
		return root;
	snprintf(name, sizeof(name), "%sResult", operation->name);
	return child_of(root, name);
}

json_t *aws_response_decode(const struct aws_model *model, const struct aws_operation *operation,
			    const char *xml, size_t len, struct aws_error *error)
{
	xmlDoc *doc = parse(xml, len);
	const xmlNode *result = doc ? result_of(model, operation, xmlDocGetRootElement(doc)) : NULL;
	json_t *output = NULL;

	if (result && operation->output)
		output = decode_value(result, operation->output, 0);
	else if (result)
		output = json_object();
	if (!output)
		aws_error_set(error, 502, "MalformedResponse",
			      "The answer to %s of %s is not the XML that it should be",
			      operation->name, model->service);
	xmlFreeDoc(doc);
	return output;
}

static const char *code_from_status(int http_status)
{
	switch (http_status) {
	case 401:
	case 403:
		return "AccessDenied";
	case 404:
		return "NotFound";
	case 413:
		return "RequestEntityTooLarge";
	case 429:
		return "Throttling";
	case 502:
	case 503:
	case 504:
		return "ServiceUnavailable";
	default:
		return http_status >= 500 ? "InternalFailure" : "UnknownError";
	}
}

/* <ErrorResponse><Error> of Query, <Response><Errors><Error> of EC2; <Error> alone of S3's kin. */
static const xmlNode *error_of(const xmlNode *root)
{
	const xmlNode *errors = root ? child_of(root, "Errors") : NULL;

	if (!root || is_element(root, "Error"))
		return root;
	return child_of(errors ? errors : root, "Error");
}

void aws_error_decode(int http_status, const char *xml, size_t len, struct aws_error *error)
{
	xmlDoc *doc = xml ? parse(xml, len) : NULL;
	const xmlNode *found = doc ? error_of(xmlDocGetRootElement(doc)) : NULL;
	const xmlNode *code_node = child_of(found, "Code");
	const xmlNode *message_node = child_of(found, "Message");
	char *code = code_node ? text_of(code_node) : NULL;
	char *message = message_node ? text_of(message_node) : NULL;

	if (code && *code)
		aws_error_set(error, http_status, code, "%s", message ? message : "");
	else
		aws_error_set(error, http_status, code_from_status(http_status),
			      "HTTP status %d without an AWS error in the body", http_status);
	if (code)
		xmlFree(code);
	if (message)
		xmlFree(message);
	xmlFreeDoc(doc);
}
