#!/bin/bash
# Takes away what build-lab.sh built, by its names, in the order in which one thing needs another. Run
# again, it stops at what is no longer there. ENDPOINT and NAME are as in build-lab.sh.
set -euo pipefail
endpoint=${ENDPOINT-http://127.0.0.1:4566} name=${NAME:-course}
export AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-us-east-1} AWS_DEFAULT_OUTPUT=text AWS_PAGER=
if [ "$endpoint" ]; then
  export AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID:-test} AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY:-test}
fi

aws() { command aws ${endpoint:+--endpoint-url "$endpoint"} "$@"; }

balancer=$(aws elbv2 describe-load-balancers --names "$name" --query 'LoadBalancers[0].LoadBalancerArn')
target_group=$(aws elbv2 describe-target-groups --names "$name" --query 'TargetGroups[0].TargetGroupArn')
read -r -a instances <<< "$(aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names "$name" \
  --query 'AutoScalingGroups[0].Instances[].InstanceId')"

# The policies, the schedule and the alarms of target tracking go with the group.
aws cloudwatch delete-alarms --alarm-names "$name-busy" "$name-idle"
aws autoscaling delete-auto-scaling-group --auto-scaling-group-name "$name" --force-delete
aws elbv2 delete-load-balancer --load-balancer-arn "$balancer"
aws elbv2 wait load-balancers-deleted --load-balancer-arns "$balancer"
aws elbv2 delete-target-group --target-group-arn "$target_group"
if [ ${#instances[@]} -gt 0 ] && [ "${instances[0]}" != None ]; then
  aws ec2 wait instance-terminated --instance-ids "${instances[@]}"
fi

aws ec2 delete-launch-template --launch-template-name "$name" > /dev/null
aws ec2 delete-key-pair --key-name "$name" > /dev/null
rm -f "$name.key"
aws ec2 delete-security-group --group-name "$name-web" > /dev/null
# A load balancer keeps its group until its network interfaces are gone.
for _ in $(seq 30); do
  aws ec2 delete-security-group --group-name "$name-alb" > /dev/null && exit 0
  sleep 2
done
exit 1
