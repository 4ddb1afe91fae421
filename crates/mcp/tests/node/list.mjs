// The official TypeScript client, over stdio: lists the tools and calls one. Run: list.mjs TOOL COMMAND ARGUMENT…;
// prints JSON.
import { createRequire } from "node:module";

const require = createRequire(process.env.RIG_NODE + "/");
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");

const [tool, command, ...args] = process.argv.slice(2);
const client = new Client({ name: "test", version: "1" });
await client.connect(new StdioClientTransport({ command, args, env: process.env }));
let said;
try {
  const { tools } = await client.listTools();
  const keys = { access_key_id: "ASIA000000000000AAAA", secret_access_key: "of-AAAA-kept" };
  if (tools.some(({ name }) => name === "set_aws_credentials_context")) {
    await client.callTool({ name: "set_aws_credentials_context", arguments: { credentials_json: keys } });
  }
  const result = await client.callTool({ name: tool, arguments: {} });
  said = { tools: tools.map(({ name }) => name), isError: result.isError ?? false };
} catch (error) {
  said = { rejected: error.name };
}
console.log(JSON.stringify(said));
await client.close();
