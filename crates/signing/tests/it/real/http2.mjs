// Calls two services whose clients speak HTTP/2, and prints the protocol and what the calls return.

import { createRequire } from "node:module";

const require = createRequire(process.env.RIG_NODE + "/");
const bedrock = require("@aws-sdk/client-bedrock-runtime");
const kinesis = require("@aws-sdk/client-kinesis");

const runtime = new bedrock.BedrockRuntimeClient({ maxAttempts: 1 });
const streams = new kinesis.KinesisClient({ maxAttempts: 1 });
const protocols = [runtime, streams].map((client) => client.config.requestHandler.metadata.handlerProtocol);
const call = (command) => streams.send(new kinesis[`${command[0]}Command`](command[1]));

const StreamName = "proxied";
await call(["CreateStream", { StreamName, ShardCount: 1 }]);
const records = Array.from({ length: 40 }, (_, number) => ({ Data: Buffer.from(`data ${number}`), PartitionKey: "k" }));
// Many requests at once, on the streams of one connection.
await Promise.all(records.map((record) => call(["PutRecord", { StreamName, ...record }])));
const { Shards } = await call(["ListShards", { StreamName }]);
const { ShardIterator } = await call(["GetShardIterator", {
  StreamName, ShardId: Shards[0].ShardId, ShardIteratorType: "TRIM_HORIZON",
}]);
const { Records } = await call(["GetRecords", { ShardIterator }]);
const texts = (items) => items.map((item) => Buffer.from(item.Data).toString()).sort().join();
const equal = texts(records) === texts(Records);
let refused = "";
try {
  await runtime.send(new bedrock.InvokeModelCommand({ modelId: "vendor.model-v1:0", body: "{}", contentType: "application/json" }));
} catch (error) {
  refused = `${error.name}: ${error.message}`;
}
console.log(JSON.stringify({ protocols, equal, refused }));
runtime.destroy();
streams.destroy();
