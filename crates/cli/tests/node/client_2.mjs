// The official client of the second generation: sets credentials, calls AWS through a server, clears; prints JSON.
// Run: client_2.mjs MODE http URL TOKEN, or: client_2.mjs MODE stdio COMMAND ARGUMENT…
import { createRequire } from "node:module";

const require = createRequire(process.env.RIG_NODE + "/");
const { Client, StreamableHTTPClientTransport } = require("@modelcontextprotocol/client");
const { StdioClientTransport } = require("@modelcontextprotocol/client/stdio");

const KEYS = { access_key_id: "ASIA000000000000AAAA", secret_access_key: "of-AAAA-kept", session_token: "token" };
const [mode, kind, target, ...rest] = process.argv.slice(2);
const transport =
  kind === "stdio"
    ? new StdioClientTransport({ command: target, args: rest, env: process.env })
    : new StreamableHTTPClientTransport(new URL(target), {
        requestInit: { headers: { Authorization: `Bearer ${rest[0]}` } },
      });
const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
await client.connect(transport);

const call = (name, args) => client.callTool({ name, arguments: args });
const tools = (await client.listTools()).tools.map(({ name }) => name);
const bound = tools.includes("create_credential_session")
  ? (await call("create_credential_session", {})).structuredContent
  : {};
const early = await call("aws__get_caller_identity", bound);
const given = await call("set_aws_credentials_context", { credentials_json: KEYS, ...bound });
const identity = await call("aws__get_caller_identity", bound);
const cleared = await call("clear_credential_context", bound);
const late = await call("aws__get_caller_identity", bound);
console.log(
  JSON.stringify({
    protocol: client.getNegotiatedProtocolVersion(),
    tools,
    early: early.isError ?? false,
    given: given.content[0].text,
    arn: identity.structuredContent?.arn,
    cleared: cleared.content[0].text,
    late: late.isError ?? false,
  }),
);
await client.close();
