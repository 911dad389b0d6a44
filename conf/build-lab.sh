#!/bin/bash
# Builds the students lab from nothing with the aws command alone: security groups, a key pair, a launch
# template, a load balancer with its target group, listener and rule, an Auto Scaling group, policies,
# a schedule, alarms. destroy-lab.sh takes all of it away again.
#
#   albatross-lab conf/empty.json &
#   conf/build-lab.sh          # prints the address of the web at the end
#
# It needs the user data of students.sh, which lies beside it, and writes the private key to NAME.key.
# ENDPOINT is where the APIs answer, NAME what everything is called, PORT what the load balancer listens
# on. With ENDPOINT empty, and PORT=80, the calls go to AWS itself, where the lab costs money.
set -euo pipefail
endpoint=${ENDPOINT-http://127.0.0.1:4566} name=${NAME:-course} port=${PORT:-8080}
export AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-us-east-1} AWS_DEFAULT_OUTPUT=text AWS_PAGER=
if [ "$endpoint" ]; then
  export AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID:-test} AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY:-test}
fi
here=$(cd "$(dirname "$0")" && pwd)

aws() { command aws ${endpoint:+--endpoint-url "$endpoint"} "$@"; }

vpc=$(aws ec2 describe-vpcs --filters Name=is-default,Values=true --query 'Vpcs[0].VpcId')
read -r -a subnets <<< "$(aws ec2 describe-subnets --filters "Name=vpc-id,Values=$vpc" --query 'Subnets[].SubnetId')"
image=$(aws ec2 describe-images --owners amazon --filters 'Name=name,Values=al2023-ami-2023*-x86_64' \
  --query 'sort_by(Images, &CreationDate)[-1].ImageId')

# The world may reach the load balancer; the load balancer may reach the instances.
alb_group=$(aws ec2 create-security-group --group-name "$name-alb" --description "the load balancer" \
  --vpc-id "$vpc" --query GroupId)
web_group=$(aws ec2 create-security-group --group-name "$name-web" --description "the instances" \
  --vpc-id "$vpc" --query GroupId)
aws ec2 wait security-group-exists --group-ids "$alb_group" "$web_group"
aws ec2 authorize-security-group-ingress --group-id "$alb_group" --protocol tcp --port "$port" \
  --cidr 0.0.0.0/0 > /dev/null
aws ec2 authorize-security-group-ingress --group-id "$web_group" --protocol tcp --port 8000 \
  --source-group "$alb_group" > /dev/null

(umask 077 && aws ec2 create-key-pair --key-name "$name" --query KeyMaterial > "$name.key")

aws ec2 create-launch-template --launch-template-name "$name" --launch-template-data '{
    "ImageId": "'"$image"'", "InstanceType": "t3.micro", "KeyName": "'"$name"'",
    "SecurityGroupIds": ["'"$web_group"'"], "UserData": "'"$(base64 -w 0 "$here/students.sh")"'",
    "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "'"$name"'"}]}]
  }' > /dev/null

balancer=$(aws elbv2 create-load-balancer --name "$name" --subnets "${subnets[@]}" \
  --security-groups "$alb_group" --query 'LoadBalancers[0].LoadBalancerArn')
target_group=$(aws elbv2 create-target-group --name "$name" --protocol HTTP --port 8000 --vpc-id "$vpc" \
  --health-check-path / --health-check-interval-seconds 5 --health-check-timeout-seconds 2 \
  --healthy-threshold-count 2 --query 'TargetGroups[0].TargetGroupArn')
aws elbv2 modify-target-group-attributes --target-group-arn "$target_group" \
  --attributes Key=deregistration_delay.timeout_seconds,Value=5 > /dev/null
aws elbv2 wait load-balancer-available --load-balancer-arns "$balancer"
listener=$(aws elbv2 create-listener --load-balancer-arn "$balancer" --protocol HTTP --port "$port" \
  --default-actions "Type=forward,TargetGroupArn=$target_group" --query 'Listeners[0].ListenerArn')
aws elbv2 create-rule --listener-arn "$listener" --priority 10 \
  --conditions Field=path-pattern,Values=/about \
  --actions 'Type=fixed-response,FixedResponseConfig={StatusCode=200,ContentType=text/plain,MessageBody=students}' \
  > /dev/null

aws autoscaling create-auto-scaling-group --auto-scaling-group-name "$name" \
  --launch-template "LaunchTemplateName=$name,Version=\$Latest" \
  --min-size 1 --max-size 4 --desired-capacity 2 --vpc-zone-identifier "$(IFS=,; echo "${subnets[*]}")" \
  --target-group-arns "$target_group" --health-check-type ELB --health-check-grace-period 30 \
  --default-instance-warmup 5 --tags "Key=Course,Value=cloud,PropagateAtLaunch=true"
aws autoscaling put-scaling-policy --auto-scaling-group-name "$name" --policy-name cpu-at-60 \
  --policy-type TargetTrackingScaling --target-tracking-configuration '{
    "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
    "TargetValue": 60, "DisableScaleIn": true}' > /dev/null
in_steps=$(aws autoscaling put-scaling-policy --auto-scaling-group-name "$name" --policy-name in-steps \
  --policy-type StepScaling --adjustment-type ChangeInCapacity --step-adjustments \
  MetricIntervalLowerBound=0,MetricIntervalUpperBound=15,ScalingAdjustment=1 \
  MetricIntervalLowerBound=15,ScalingAdjustment=2 --query PolicyARN)
one_less=$(aws autoscaling put-scaling-policy --auto-scaling-group-name "$name" --policy-name one-less \
  --adjustment-type ChangeInCapacity --scaling-adjustment -1 --cooldown 60 --query PolicyARN)
aws autoscaling put-scheduled-update-group-action --auto-scaling-group-name "$name" \
  --scheduled-action-name night --recurrence "0 22 29 2 *" --time-zone Europe/Paris --desired-capacity 1

alarm() { # NAME POLICY COMPARISON THRESHOLD: on the CPU of the group
  aws cloudwatch put-metric-alarm --alarm-name "$1" --alarm-actions "$2" --comparison-operator "$3" \
    --threshold "$4" --namespace AWS/EC2 --metric-name CPUUtilization --statistic Average --period 60 \
    --evaluation-periods 2 --dimensions "Name=AutoScalingGroupName,Value=$name"
}
alarm "$name-busy" "$in_steps" GreaterThanOrEqualToThreshold 80
alarm "$name-idle" "$one_less" LessThanThreshold 5
aws cloudwatch wait alarm-exists --alarm-names "$name-busy" "$name-idle"

aws elbv2 wait target-in-service --target-group-arn "$target_group"
echo "http://$(aws elbv2 describe-load-balancers --names "$name" --query 'LoadBalancers[0].DNSName'):$port"
