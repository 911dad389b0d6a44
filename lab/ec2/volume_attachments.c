/* Volumes attached to instances and detached from them. */
#include <stdio.h>
#include <string.h>

#include "common/doc/doc.h"
#include "lab/ec2/instance.h"
#include "lab/ec2/volume.h"

static json_t *attachment_document(const struct ec2 *ec2, const char *volume_id,
				   const char *instance_id, const char *device,
				   bool is_deleted_with_instance)
{
	char now[CLOCK_TEXT_MAX];

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "VolumeId", volume_id, "InstanceId",
			 instance_id, "Device", device, "State", "attached", "AttachTime",
			 ec2_now(ec2, now), "DeleteOnTermination", is_deleted_with_instance);
}

int volume_attach(const struct ec2 *ec2, json_t *volume, json_t *instance, const char *device,
		  bool is_deleted_with_instance)
{
	const char *volume_id = doc_str(volume, "VolumeId", "");
	char now[CLOCK_TEXT_MAX];
	int failed;

	failed = json_array_append_new(doc_array(volume, "Attachments"),
				       attachment_document(ec2, volume_id,
							   doc_str(instance, "InstanceId", ""),
							   device, is_deleted_with_instance));
	failed |= json_object_set_new(volume, "State", json_string("in-use"));
	failed |= json_array_append_new(doc_array(instance, "BlockDeviceMappings"),
					json_pack("{s:s, s:{s:s, s:s, s:s, s:b}}", "DeviceName",
						  device, "Ebs", "VolumeId", volume_id, "Status",
						  "attached", "AttachTime", ec2_now(ec2, now),
						  "DeleteOnTermination", is_deleted_with_instance));
	return failed ? -1 : 0;
}

static bool is_device_used(const json_t *instance, const char *device)
{
	return filter_path_is(doc_array(instance, "BlockDeviceMappings"), "DeviceName", device);
}

static int check_volume(const json_t *volume, struct aws_error *error)
{
	const char *id = doc_str(volume, "VolumeId", "");

	if (strcmp(doc_str(volume, "State", ""), "available") == 0)
		return 0;
	aws_error_set(error, 400, "VolumeInUse", "%s is already attached to an instance", id);
	return -1;
}

static int check_instance(const json_t *instance, const json_t *volume, const char *device,
			  struct aws_error *error)
{
	enum instance_state state = instance_state_of(instance);
	const char *instance_id = doc_str(instance, "InstanceId", "");

	if (state != INSTANCE_RUNNING && state != INSTANCE_STOPPED && state != INSTANCE_PENDING) {
		aws_error_set(error, 400, "IncorrectState", "Instance '%s' is not 'running'.",
			      instance_id);
		return -1;
	}
	if (!filter_path_is(instance, "Placement.AvailabilityZone",
			    doc_str(volume, "AvailabilityZone", ""))) {
		aws_error_set(error, 400, "InvalidVolume.ZoneMismatch",
			      "The volume '%s' is not in the same availability zone as instance "
			      "'%s'",
			      doc_str(volume, "VolumeId", ""), instance_id);
		return -1;
	}
	if (!is_device_used(instance, device))
		return 0;
	aws_error_set(error, 400, "InvalidParameterValue",
		      "Invalid value '%.80s' for unixDevice. Attachment point %.80s is already in "
		      "use",
		      device, device);
	return -1;
}

static json_t *last_attachment(const json_t *volume, const char *state)
{
	const json_t *list = doc_array(volume, "Attachments");
	json_t *copy = json_copy(json_array_get(list, json_array_size(list) - 1));

	return copy == NULL ? NULL : ec2_now_shown(copy, "State", state);
}

/* Takes over both documents. */
static int put_both(struct ec2 *ec2, json_t *volume, json_t *instance, const json_t *input,
		    struct aws_error *error)
{
	struct store_txn *txn = store_begin(ec2->store);

	ec2_txn_put(txn, &ec2_volumes, volume);
	ec2_txn_put(txn, &ec2_instances, instance);
	return ec2_commit(txn, input, error);
}

EC2_HANDLER(AttachVolume)
{
	json_t *volume = ec2_find(ec2, &ec2_volumes, input, error), *instance = NULL, *answer;
	const char *device = doc_str(input, "Device", "");

	if (volume != NULL)
		instance = ec2_find(ec2, &ec2_instances, input, error);
	if (instance == NULL || check_volume(volume, error) != 0 ||
	    check_instance(instance, volume, device, error) != 0)
		goto fail;
	if (volume_attach(ec2, volume, instance, device, false) != 0) {
		ec2_error_memory(error);
		goto fail;
	}
	answer = last_attachment(volume, "attaching");
	if (put_both(ec2, volume, instance, input, error) == 0)
		return answer;
	json_decref(answer);
	return NULL;
fail:
	json_decref(volume);
	json_decref(instance);
	return NULL;
}

/* --- detaching --- */

static bool is_given_and_other(const json_t *input, const char *member, const json_t *attachment)
{
	const char *given = doc_str(input, member, "");

	return *given != '\0' && strcmp(given, doc_str(attachment, member, "")) != 0;
}

static int check_detach(const json_t *volume, const json_t *attachment, const json_t *input,
			struct aws_error *error)
{
	const char *id = doc_str(volume, "VolumeId", "");

	if (attachment == NULL) {
		aws_error_set(error, 400, "IncorrectState",
			      "Volume '%s' is in the 'available' state.", id);
		return -1;
	}
	if (!is_given_and_other(input, "InstanceId", attachment) &&
	    !is_given_and_other(input, "Device", attachment))
		return 0;
	aws_error_set(error, 400, "InvalidAttachment.NotFound",
		      "The volume '%s' is not attached to instance '%s' as device '%s'.", id,
		      doc_str(input, "InstanceId", doc_str(attachment, "InstanceId", "")),
		      doc_str(input, "Device", doc_str(attachment, "Device", "")));
	return -1;
}

static int check_root(const json_t *instance, const json_t *attachment, struct aws_error *error)
{
	bool is_root = strcmp(doc_str(instance, "RootDeviceName", "-"),
			      doc_str(attachment, "Device", "")) == 0;

	if (!is_root || instance_state_of(instance) == INSTANCE_STOPPED)
		return 0;
	aws_error_set(error, 400, "OperationNotPermitted",
		      "Unable to detach root volume '%s' from instance '%s'",
		      doc_str(attachment, "VolumeId", ""), doc_str(instance, "InstanceId", ""));
	return -1;
}

static void remove_mapping(json_t *instance, const char *volume_id)
{
	json_t *list = doc_array(instance, "BlockDeviceMappings");

	for (size_t i = json_array_size(list); i-- > 0;)
		if (filter_path_is(json_array_get(list, i), "Ebs.VolumeId", volume_id))
			json_array_remove(list, i);
}

EC2_HANDLER(DetachVolume)
{
	json_t *volume = ec2_find(ec2, &ec2_volumes, input, error), *instance = NULL, *answer;
	const json_t *attachment = json_array_get(doc_array(volume, "Attachments"), 0);

	if (volume == NULL || check_detach(volume, attachment, input, error) != 0)
		goto fail;
	instance = ec2_get(ec2, &ec2_instances, doc_str(attachment, "InstanceId", ""), error);
	if (instance == NULL || check_root(instance, attachment, error) != 0)
		goto fail;
	answer = last_attachment(volume, "detaching");
	remove_mapping(instance, doc_str(volume, "VolumeId", ""));
	json_array_clear(doc_array(volume, "Attachments"));
	json_object_set_new(volume, "State", json_string("available"));
	if (put_both(ec2, volume, instance, input, error) == 0)
		return answer;
	json_decref(answer);
	return NULL;
fail:
	json_decref(volume);
	json_decref(instance);
	return NULL;
}

void volume_let_go(struct ec2 *ec2, struct store_txn *txn, const char *instance_id)
{
	json_t *volumes = ec2_find_all(ec2, &ec2_volumes, "Attachments.InstanceId", instance_id);
	json_t *volume;
	size_t i;

	json_array_foreach (volumes, i, volume) {
		json_t *copy;

		if (filter_path_is(volume, "Attachments.DeleteOnTermination", "true")) {
			ec2_txn_delete(txn, &ec2_volumes, doc_str(volume, "VolumeId", ""));
			continue;
		}
		copy = json_deep_copy(volume);
		json_array_clear(doc_array(copy, "Attachments"));
		json_object_set_new(copy, "State", json_string("available"));
		ec2_txn_put(txn, &ec2_volumes, copy);
	}
	json_decref(volumes);
}
