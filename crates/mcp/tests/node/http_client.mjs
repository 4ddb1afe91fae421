// The official TypeScript client, over HTTP: lists the tools, sets credentials and calls. Run: http_client.mjs URL TOKEN;
// prints JSON.
import { createRequire } from "node:module";

const require = createRequire(process.env.RIG_NODE + "/");
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const [url, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
const client = new Client({ name: "test", version: "1" });
await client.connect(transport);
const { tools } = await client.listTools();
const keys = { access_key_id: "ASIA000000000000BBBB", secret_access_key: "of-BBBB-kept", session_token: "token" };
const given = await client.callTool({
  name: "set_aws_credentials_context",
  arguments: { credentials_json: keys },
});
const after = await client.callTool({ name: "fixture__whoami", arguments: {} });
console.log(
  JSON.stringify({
    tools: tools.map(({ name }) => name),
    given: given.isError ?? false,
    after: after.structuredContent,
  }),
);
await transport.terminateSession();
await client.close();
