/* SSM's public parameters that name the newest image of a kind, as tools look AMIs up. */
#include <stdio.h>
#include <string.h>

#include "common/base/ids.h"
#include "common/doc/doc.h"
#include "lab/neighbours/neighbours.h"

#define AWS_ACTION(name) AWS_DECLARE_ACTION(name)
#include "lab/neighbours/ssm.def"
#undef AWS_ACTION

#define AMAZON "/aws/service/ami-amazon-linux-latest/"
#define UBUNTU "/aws/service/canonical/ubuntu/server/"
#define DEBIAN "/aws/service/debian/release/"

/* The parameter, and how the names of its images begin. */
static const struct {
	const char *parameter, *image, *architecture;
} images[] = {
    {AMAZON "al2023-ami-kernel-default-x86_64", "al2023-ami-", "x86_64"},
    {AMAZON "al2023-ami-kernel-6.1-x86_64", "al2023-ami-", "x86_64"},
    {AMAZON "al2023-ami-kernel-default-arm64", "al2023-ami-", "arm64"},
    {AMAZON "al2023-ami-kernel-6.1-arm64", "al2023-ami-", "arm64"},
    {AMAZON "amzn2-ami-hvm-x86_64-gp2", "amzn2-ami-hvm-", "x86_64"},
    {AMAZON "amzn2-ami-kernel-5.10-hvm-x86_64-gp2", "amzn2-ami-kernel-5.10-", "x86_64"},
    {UBUNTU "22.04/stable/current/amd64/hvm/ebs-gp2/ami-id",
     "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-", "x86_64"},
    {UBUNTU "24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
     "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-", "x86_64"},
    {DEBIAN "12/latest/amd64", "debian-12-amd64-", "x86_64"},
    {DEBIAN "12/latest/arm64", "debian-12-arm64-", "arm64"},
};

struct search {
	const char *image, *architecture;
	const json_t *newest; /* borrowed from the store, until its next commit */
};

/* Images of other people may have any name: only those that AWS or a distribution owns count. */
static bool look(void *arg, const char *key, const json_t *document, int64_t revision)
{
	struct search *search = arg;
	const char *name = doc_str(document, "Name", "");

	(void)key;
	(void)revision;
	if (strncmp(name, search->image, strlen(search->image)) == 0 &&
	    strcmp(doc_str(document, "Architecture", ""), search->architecture) == 0 &&
	    doc_bool(document, "Public", false) &&
	    strcmp(doc_str(document, "CreationDate", ""),
		   doc_str(search->newest, "CreationDate", "")) > 0)
		search->newest = document;
	return true;
}

static const json_t *newest_image(struct neighbours *neighbours, const char *parameter)
{
	struct search search = {0};

	for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++)
		if (strcmp(images[i].parameter, parameter) == 0)
			search = (struct search){.image = images[i].image,
						 .architecture = images[i].architecture};
	if (search.image != NULL)
		store_scan(neighbours->store, "ec2/image/", look, &search);
	return search.newest;
}

json_t *handle_GetParameter(void *context, const struct aws_call *call, const json_t *input,
			    struct aws_error *error)
{
	const char *name = doc_str(input, "Name", "");
	const json_t *image = newest_image(context, name);
	char arn[ARN_TEXT_MAX];
	json_t *answer;

	if (image == NULL) {
		aws_error_set(error, 400, "ParameterNotFound",
			      "There is no parameter '%.200s': this endpoint has only some of "
			      "those that name images of Amazon Linux, Ubuntu and Debian",
			      name);
		return NULL;
	}
	snprintf(arn, sizeof(arn), "arn:aws:ssm:%.64s::parameter%.800s", call->region, name);
	answer = json_pack("{s:{s:s, s:s, s:s, s:i, s:s, s:s, s:s}}", "Parameter", "Name", name,
			   "Type", "String", "Value", doc_str(image, "ImageId", ""), "Version", 1,
			   "LastModifiedDate", doc_str(image, "CreationDate", ""), "ARN", arn,
			   "DataType", "aws:ec2:image");
	if (answer == NULL)
		neighbours_error_memory(error);
	return answer;
}
