// The official TypeScript client, over HTTP: follows a task of the server `everything`. Run: tasks.mjs URL TOKEN; prints
// JSON.
import { createRequire } from "node:module";

const require = createRequire(process.env.RIG_NODE + "/");
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { ElicitRequestSchema } = require("@modelcontextprotocol/sdk/types.js");

const [url, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
const client = new Client({ name: "test", version: "1" }, { capabilities: { elicitation: { form: {} } } });
const asked = [];
client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
  asked.push(params.message);
  return { action: "accept", content: { interpretation: "historical" } };
});
await client.connect(transport);
// The client calls tools as tasks that are listed as such.
await client.listTools();
const call = { name: "everything__simulate-research-query", arguments: { topic: "keys", ambiguous: true } };
const kinds = [];
let result;
for await (const message of client.experimental.tasks.callToolStream(call)) {
  kinds.push(message.type);
  if (message.type === "error") throw message.error;
  if (message.type === "result") result = message.result;
}
console.log(JSON.stringify({ asked, kinds, text: result.content[0].text }));
await transport.terminateSession();
await client.close();
