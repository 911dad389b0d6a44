/*
 * The AWS SDK for JavaScript v3 through the lab's single endpoint: builds a group behind a load
 * balancer, waits for it with the SDK's waiters, reads with its paginators, takes all of it down.
 * usage: NODE_PATH=.../node_modules node flow.js ENDPOINT
 */
"use strict";

const assert = require("node:assert/strict");
const asg = require("@aws-sdk/client-auto-scaling");
const ec2 = require("@aws-sdk/client-ec2");
const elb = require("@aws-sdk/client-elastic-load-balancing-v2");
const sts = require("@aws-sdk/client-sts");

const config = {
  endpoint: process.argv[2],
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
};
const clients = {
  asg: new asg.AutoScalingClient(config),
  ec2: new ec2.EC2Client(config),
  elb: new elb.ElasticLoadBalancingV2Client(config),
  sts: new sts.STSClient(config),
};
const USER_DATA = `#!/bin/bash
exec python3 -m http.server --bind "$HOST" 8000
`;

async function refused(name, status, promise) {
  const error = await promise.then(
    () => assert.fail(`${name} was expected`),
    (e) => e,
  );
  assert.equal(error.name, name);
  assert.equal(error.$metadata.httpStatusCode, status);
  assert.match(error.$metadata.requestId, /^[0-9a-f-]{36}$/);
  return error;
}

async function until(what, seconds, condition) {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.fail(`waited ${seconds} s for ${what}`);
}

async function identity() {
  const me = await clients.sts.send(new sts.GetCallerIdentityCommand({}));
  assert.equal(me.Account, "000000000000");
  assert.match(me.Arn, /^arn:aws:iam::000000000000:/);
}

async function launchTemplate() {
  const zones = await clients.ec2.send(new ec2.DescribeAvailabilityZonesCommand({}));
  assert.ok(zones.AvailabilityZones.length >= 2);
  const images = await clients.ec2.send(new ec2.DescribeImagesCommand({ Owners: ["amazon"] }));
  const made = await clients.ec2.send(
    new ec2.CreateLaunchTemplateCommand({
      LaunchTemplateName: "js-lab",
      LaunchTemplateData: {
        ImageId: images.Images[0].ImageId,
        InstanceType: "t3.micro",
        UserData: Buffer.from(USER_DATA).toString("base64"),
      },
    }),
  );
  assert.ok(made.LaunchTemplate.CreateTime instanceof Date);
  await refused(
    "InvalidLaunchTemplateName.AlreadyExistsException",
    400,
    clients.ec2.send(
      new ec2.CreateLaunchTemplateCommand({
        LaunchTemplateName: "js-lab",
        LaunchTemplateData: { InstanceType: "t3.micro" },
      }),
    ),
  );
  return made.LaunchTemplate.LaunchTemplateId;
}

async function targetGroup(vpc) {
  await refused(
    "TargetGroupNotFoundException",
    400,
    clients.elb.send(new elb.DescribeTargetGroupsCommand({ Names: ["js"] })),
  );
  const made = await clients.elb.send(
    new elb.CreateTargetGroupCommand({
      Name: "js",
      Protocol: "HTTP",
      Port: 8000,
      VpcId: vpc,
      HealthCheckIntervalSeconds: 1,
      HealthCheckTimeoutSeconds: 1,
      HealthyThresholdCount: 2,
    }),
  );
  const arn = made.TargetGroups[0].TargetGroupArn;
  await clients.elb.send(
    new elb.ModifyTargetGroupAttributesCommand({
      TargetGroupArn: arn,
      Attributes: [{ Key: "deregistration_delay.timeout_seconds", Value: "0" }],
    }),
  );
  return arn;
}

async function loadBalancer(subnets, group) {
  const made = await clients.elb.send(
    new elb.CreateLoadBalancerCommand({ Name: "js", Subnets: subnets, Tags: [{ Key: "by", Value: "js é" }] }),
  );
  const balancer = made.LoadBalancers[0];
  assert.equal(balancer.State.Code, "provisioning");
  assert.ok(balancer.CreatedTime instanceof Date);
  await elb.waitUntilLoadBalancerAvailable(
    { client: clients.elb, maxWaitTime: 20, minDelay: 1, maxDelay: 1 },
    { LoadBalancerArns: [balancer.LoadBalancerArn] },
  );
  const listeners = await clients.elb.send(
    new elb.CreateListenerCommand({
      LoadBalancerArn: balancer.LoadBalancerArn,
      Protocol: "HTTP",
      Port: 80,
      DefaultActions: [{ Type: "forward", TargetGroupArn: group }],
    }),
  );
  await rules(listeners.Listeners[0].ListenerArn);
  const tags = await clients.elb.send(new elb.DescribeTagsCommand({ ResourceArns: [balancer.LoadBalancerArn] }));
  assert.deepEqual(tags.TagDescriptions[0].Tags, [{ Key: "by", Value: "js é" }]);
  return balancer;
}

/* More than a page of them, and list indexes beyond nine. */
async function rules(listener) {
  for (let i = 1; i <= 12; i++)
    await clients.elb.send(
      new elb.CreateRuleCommand({
        ListenerArn: listener,
        Priority: i,
        Conditions: [{ Field: "path-pattern", PathPatternConfig: { Values: [`/no/${i}/*`, `/non/${i}`] } }],
        Actions: [{ Type: "fixed-response", FixedResponseConfig: { StatusCode: "404", MessageBody: `no ${i}` } }],
      }),
    );
  const pages = [];
  const query = { ListenerArn: listener, PageSize: 5 };
  for await (const page of elb.paginateDescribeRules({ client: clients.elb }, query)) pages.push(page.Rules.length);
  assert.deepEqual(pages, [5, 5, 3]); // with the default rule
}

async function autoScalingGroup(group) {
  await clients.asg.send(
    new asg.CreateAutoScalingGroupCommand({
      AutoScalingGroupName: "js",
      MinSize: 1,
      MaxSize: 3,
      DesiredCapacity: 1,
      AvailabilityZones: ["us-east-1a"],
      LaunchTemplate: { LaunchTemplateName: "js-lab", Version: "$Latest" },
      TargetGroupARNs: [group],
      Tags: Array.from({ length: 12 }, (_, i) => ({ Key: `k${i}`, Value: `v${i}`, PropagateAtLaunch: false })),
    }),
  );
  const { AutoScalingGroups: found } = await clients.asg.send(
    new asg.DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ["js"] }),
  );
  assert.deepEqual(found[0].SuspendedProcesses, []);
  assert.deepEqual(new Set(found[0].Tags.map((t) => t.Key + t.Value)), new Set(Array.from({ length: 12 }, (_, i) => `k${i}v${i}`)));
  assert.ok(found[0].CreatedTime instanceof Date);
  await refused(
    "AlreadyExistsFault",
    400,
    clients.asg.send(
      new asg.CreateAutoScalingGroupCommand({
        AutoScalingGroupName: "js",
        MinSize: 0,
        MaxSize: 0,
        AvailabilityZones: ["us-east-1a"],
        LaunchTemplate: { LaunchTemplateName: "js-lab" },
      }),
    ),
  );
  await elb.waitUntilTargetInService(
    { client: clients.elb, maxWaitTime: 60, minDelay: 1, maxDelay: 1 },
    { TargetGroupArn: group },
  );
}

async function scaleOut() {
  await clients.asg.send(new asg.SetDesiredCapacityCommand({ AutoScalingGroupName: "js", DesiredCapacity: 2 }));
  let members = [];
  await until("two in service", 60, async () => {
    const { AutoScalingInstances: all } = await clients.asg.send(new asg.DescribeAutoScalingInstancesCommand({}));
    members = all.filter((i) => i.LifecycleState === "InService" && i.AutoScalingGroupName === "js");
    return members.length === 2;
  });
  const ids = [];
  const query = { Filters: [{ Name: "instance-id", Values: members.map((i) => i.InstanceId) }], MaxResults: 5 };
  for await (const page of ec2.paginateDescribeInstances({ client: clients.ec2 }, query))
    for (const reservation of page.Reservations) for (const i of reservation.Instances) ids.push(i.InstanceId);
  assert.equal(ids.length, 2);
  await ec2.waitUntilInstanceRunning(
    { client: clients.ec2, maxWaitTime: 20, minDelay: 1, maxDelay: 1 },
    { InstanceIds: ids },
  );
  return ids;
}

async function answers(host) {
  const answer = await fetch(`http://${host}/`);
  assert.equal(answer.status, 200);
  assert.equal((await fetch(`http://${host}/no/11/x`)).status, 404);
}

async function takeDown(balancer, group, template, ids) {
  await clients.asg.send(new asg.DeleteAutoScalingGroupCommand({ AutoScalingGroupName: "js", ForceDelete: true }));
  await clients.elb.send(new elb.DeleteLoadBalancerCommand({ LoadBalancerArn: balancer }));
  await elb.waitUntilLoadBalancersDeleted(
    { client: clients.elb, maxWaitTime: 20, minDelay: 1, maxDelay: 1 },
    { LoadBalancerArns: [balancer] },
  );
  await ec2.waitUntilInstanceTerminated(
    { client: clients.ec2, maxWaitTime: 60, minDelay: 1, maxDelay: 1 },
    { InstanceIds: ids },
  );
  await until("the group to go", 30, async () => {
    const { AutoScalingGroups: left } = await clients.asg.send(
      new asg.DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ["js"] }),
    );
    return left.length === 0;
  });
  await clients.elb.send(new elb.DeleteTargetGroupCommand({ TargetGroupArn: group }));
  await clients.ec2.send(new ec2.DeleteLaunchTemplateCommand({ LaunchTemplateId: template }));
}

async function main() {
  await identity();
  const template = await launchTemplate();
  const { Subnets: subnets } = await clients.ec2.send(new ec2.DescribeSubnetsCommand({}));
  const group = await targetGroup(subnets[0].VpcId);
  const balancer = await loadBalancer(
    subnets.map((s) => s.SubnetId),
    group,
  );
  await autoScalingGroup(group);
  const ids = await scaleOut();
  // Port 80 may be one that the test must not take; the listener then stands 8000 higher.
  await answers(balancer.DNSName).catch(() => answers(`${balancer.DNSName}:8080`));
  await takeDown(balancer.LoadBalancerArn, group, template, ids);
  console.log("done");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
