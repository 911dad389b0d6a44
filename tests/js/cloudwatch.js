/*
 * CloudWatch as the AWS SDK for JavaScript v3 speaks it, in its default protocol (JSON 1.0) or in
 * CBOR: the same calls, and the same answers expected.
 * usage: NODE_PATH=.../node_modules node cloudwatch.js ENDPOINT json|cbor
 */
"use strict";

const assert = require("node:assert/strict");
const cw = require("@aws-sdk/client-cloudwatch");
const protocols = require("@aws-sdk/core/protocols");

const [endpoint, protocol] = process.argv.slice(2);
const seen = [];
const client = new cw.CloudWatchClient({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
  // The SDK keeps the Content-Length of the larger body when it compresses CBOR: a fault of its own.
  disableRequestCompression: protocol === "cbor",
  ...(protocol === "cbor" ? { protocol: protocols.AwsSmithyRpcV2CborProtocol } : {}),
});
client.middlewareStack.add(
  (next) => async (args) => {
    seen.push(args.request.headers["content-type"], args.request.headers["content-encoding"]);
    return next(args);
  },
  { step: "finalizeRequest", priority: "low", name: "look" },
);

async function refused(name, status, promise) {
  const error = await promise.then(
    () => assert.fail(`${name} was expected`),
    (e) => e,
  );
  assert.equal(error.name, name, error);
  assert.equal(error.$metadata.httpStatusCode, status);
  assert.ok(error.message.length > 0);
}

const minute = new Date(Math.floor(Date.now() / 60000) * 60000);
const metric = { Namespace: "Js", MetricName: "Load", Dimensions: [{ Name: "Name", Value: "a b & c" }] };

async function metrics() {
  const { Namespace, ...datum } = metric;
  await client.send(
    new cw.PutMetricDataCommand({
      Namespace,
      MetricData: [
        { ...datum, Value: 1.25, Unit: "Percent", Timestamp: minute },
        { ...datum, Values: [3, 4.5], Counts: [2, 1], Unit: "Percent", Timestamp: minute, StorageResolution: 1 },
      ],
    }),
  );
  const got = await client.send(
    new cw.GetMetricStatisticsCommand({
      ...metric,
      StartTime: new Date(minute.getTime() - 60000),
      EndTime: new Date(minute.getTime() + 60000),
      Period: 60,
      Statistics: ["Sum", "SampleCount", "Maximum"],
    }),
  );
  assert.equal(got.Label, "Load");
  assert.deepEqual(got.Datapoints, [{ Timestamp: minute, Sum: 11.75, SampleCount: 4, Maximum: 4.5, Unit: "Percent" }]);
  const nothing = await client.send(
    new cw.GetMetricStatisticsCommand({
      Namespace: "None",
      MetricName: "None",
      StartTime: minute,
      EndTime: new Date(minute.getTime() + 60000),
      Period: 60,
      Statistics: ["Sum"],
    }),
  );
  assert.deepEqual(nothing.Datapoints, []);
}

/* Enough for the SDK to compress it, and for two pages. */
async function many() {
  await client.send(
    new cw.PutMetricDataCommand({
      Namespace: "Many",
      MetricData: Array.from({ length: 600 }, (_, i) => ({ MetricName: `metric-${i}`, Value: i })),
    }),
  );
  const pages = [];
  for await (const page of cw.paginateListMetrics({ client }, { Namespace: "Many" })) pages.push(page.Metrics.length);
  assert.deepEqual(pages, [500, 100]);
}

async function alarms() {
  const alarm = {
    AlarmName: "js",
    AlarmDescription: "",
    ...metric,
    Statistic: "Average",
    Period: 60,
    EvaluationPeriods: 3,
    DatapointsToAlarm: 2,
    Threshold: -12.5,
    ComparisonOperator: "LessThanThreshold",
    TreatMissingData: "notBreaching",
    Unit: "Percent",
    AlarmActions: ["arn:aws:sns:us-east-1:000000000000:ops"],
  };
  await client.send(new cw.PutMetricAlarmCommand(alarm));
  const { MetricAlarms: found } = await client.send(new cw.DescribeAlarmsCommand({ AlarmNames: ["js"] }));
  const { AlarmDescription: _, ...wanted } = alarm;
  for (const name of Object.keys(wanted)) assert.deepEqual(found[0][name], wanted[name], name);
  assert.deepEqual(found[0].OKActions, []);
  assert.ok(found[0].StateUpdatedTimestamp instanceof Date);
  assert.ok(Math.abs(found[0].StateUpdatedTimestamp - Date.now()) < 600000);
  await client.send(new cw.SetAlarmStateCommand({ AlarmName: "js", StateValue: "ALARM", StateReason: "test" }));
  await cw.waitUntilAlarmExists({ client, maxWaitTime: 10, minDelay: 1, maxDelay: 1 }, { AlarmNames: ["js"] });
  await client.send(new cw.DeleteAlarmsCommand({ AlarmNames: ["js"] }));
  await refused(
    "ResourceNotFound",
    404,
    client.send(new cw.SetAlarmStateCommand({ AlarmName: "js", StateValue: "OK", StateReason: "test" })),
  );
}

async function errors() {
  await refused("InvalidAction", 400, client.send(new cw.ListMetricStreamsCommand({})));
  await refused(
    "InvalidParameterCombinationException",
    400,
    client.send(
      new cw.GetMetricStatisticsCommand({
        ...metric,
        StartTime: new Date(0),
        EndTime: minute,
        Period: 60,
        Statistics: ["Sum"],
      }),
    ),
  );
}

async function main() {
  await metrics();
  await many();
  await alarms();
  await errors();
  const type = { json: "application/x-amz-json-1.0", cbor: "application/cbor" }[protocol];
  assert.ok(seen.includes(type), seen.join());
  if (protocol === "json") assert.ok(seen.includes("gzip"), seen.join());
  console.log("done");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
