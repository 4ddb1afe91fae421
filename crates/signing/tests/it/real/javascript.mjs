// Calls several services with the AWS SDK for JavaScript, and prints what the calls return, without random ids.

import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { Readable } from "node:stream";

const require = createRequire(process.env.RIG_NODE + "/");
const sdk = (name) => require(`@aws-sdk/${name}`);
const { S3Client } = sdk("client-s3");
const { Upload } = sdk("lib-storage");

const NAME = "proxied-name";
const KEY = "a b/ü//+%.txt";
const TRUST = JSON.stringify({ Version: "2012-10-17", Statement: [] });
const PARTS = Array.from({ length: 8 }, (_, part) => Buffer.alloc(1024 * 1024, part));
const stream = () => Readable.from(PARTS);
const results = [];
const payloads = {};

// How the bodies of S3 are signed.
const s3 = new S3Client({});
const record = (next) => (args) => {
  const hash = args.request.headers["x-amz-content-sha256"];
  payloads[hash.startsWith("STREAMING") ? hash : "hash"] = true;
  return next(args);
};
s3.middlewareStack.addRelativeTo(record, { relation: "after", toMiddleware: "httpSigningMiddleware", name: "record" });

const clients = { "client-s3": s3 };

async function call(service, operation, input, pick) {
  const module = sdk(service);
  const Client = Object.entries(module).find(([name]) => /^[A-Z]\w+Client$/.test(name))[1];
  clients[service] ??= new Client({ maxAttempts: 1 });
  try {
    const output = await clients[service].send(new module[`${operation}Command`](input));
    results.push([service, operation, pick ? await pick(output) : output.$metadata.httpStatusCode]);
    return output;
  } catch (error) {
    results.push([service, operation, `${error.name}: ${error.message}`]);
    return {};
  }
}

const digest = async (output) => createHash("sha256").update(await output.Body.transformToByteArray()).digest("hex");

await call("client-s3", "CreateBucket", { Bucket: NAME });
await call("client-s3", "PutObject", { Bucket: NAME, Key: KEY, Body: "small", Metadata: { k: "v" } });
await call("client-s3", "GetObject", { Bucket: NAME, Key: KEY }, async (output) => [await digest(output), output.Metadata]);
await call("client-s3", "PutObject", { Bucket: NAME, Key: "stream", Body: stream(), ContentLength: 8 * 1024 * 1024 });
await call("client-s3", "GetObject", { Bucket: NAME, Key: "stream" }, digest);
await new Upload({ client: s3, params: { Bucket: NAME, Key: "parts", Body: stream() }, partSize: 5 * 1024 * 1024 }).done();
await call("client-s3", "GetObject", { Bucket: NAME, Key: "parts" }, digest);
await call("client-s3", "GetObject", { Bucket: NAME, Key: "parts", Range: "bytes=5-9" }, digest);
await call("client-s3", "CopyObject", { Bucket: NAME, Key: "copy", CopySource: `${NAME}/stream` });
await call("client-s3", "ListObjectsV2", { Bucket: NAME }, (output) => output.Contents.map((item) => [item.Key, item.Size]));
await call("client-s3", "DeleteObjects", { Bucket: NAME, Delete: { Objects: [{ Key: "copy" }] } }, (output) => output.Deleted);
await call("client-s3", "GetObject", { Bucket: NAME, Key: "none" });

await call("client-dynamodb", "CreateTable", {
  TableName: NAME, BillingMode: "PAY_PER_REQUEST", KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
  AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
});
await call("client-dynamodb", "PutItem", { TableName: NAME, Item: { id: { S: "1" }, n: { N: "7" } } });
await call("client-dynamodb", "GetItem", { TableName: NAME, Key: { id: { S: "1" } } }, (output) => output.Item);
await call("client-dynamodb", "Scan", { TableName: NAME }, (output) => output.Items);
await call("client-dynamodb", "DescribeTable", { TableName: "none" });

const queue = await call("client-sqs", "CreateQueue", { QueueName: NAME });
await call("client-sqs", "SendMessage", { QueueUrl: queue.QueueUrl, MessageBody: "hello & <b>" });
await call("client-sqs", "ReceiveMessage", { QueueUrl: queue.QueueUrl }, (output) => output.Messages.map((item) => item.Body));
await call("client-sqs", "GetQueueUrl", { QueueName: "none" });

const topic = await call("client-sns", "CreateTopic", { Name: NAME }, (output) => output.TopicArn);
await call("client-sns", "Publish", { TopicArn: topic.TopicArn, Message: "hello" });
await call("client-sns", "ListTopics", {}, (output) => output.Topics);

await call("client-sts", "GetCallerIdentity", {}, (output) => output.Account);
await call("client-secrets-manager", "CreateSecret", { Name: NAME, SecretString: "value", ClientRequestToken: "a".repeat(32) });
await call("client-secrets-manager", "GetSecretValue", { SecretId: NAME }, (output) => output.SecretString);
await call("client-cloudwatch-logs", "CreateLogGroup", { logGroupName: NAME });
await call("client-cloudwatch-logs", "CreateLogStream", { logGroupName: NAME, logStreamName: NAME });
await call("client-cloudwatch-logs", "DescribeLogStreams", { logGroupName: NAME }, (output) => output.logStreams.length);
await call("client-ecs", "CreateCluster", { clusterName: NAME }, (output) => output.cluster.clusterArn);
await call("client-ecs", "ListClusters", {}, (output) => output.clusterArns);
await call("client-iam", "CreateRole", { RoleName: NAME, AssumeRolePolicyDocument: TRUST }, (output) => output.Role.Arn);
await call("client-iam", "GetRole", { RoleName: NAME }, (output) => output.Role.Arn);
await call("client-iam", "GetRole", { RoleName: "none" });
await call("client-lambda", "ListFunctions", {}, (output) => output.Functions);
await call("client-lambda", "GetFunction", { FunctionName: "none" });

console.log(JSON.stringify({ results, payloads: Object.keys(payloads).sort() }));
