// An MCP server with one STS client, which caches its credentials as long as the SDK allows.

import { createRequire } from "node:module";

const require = createRequire(process.env.RIG_NODE + "/");
const { McpServer } = require("@modelcontextprotocol/sdk/server/mcp.js");
const { StdioServerTransport } = require("@modelcontextprotocol/sdk/server/stdio.js");
const { STSClient, GetCallerIdentityCommand } = require("@aws-sdk/client-sts");

const sts = new STSClient({});
const server = new McpServer({ name: "whoami", version: "1" });
server.registerTool("whoami", { description: "The caller's ARN" }, async () => {
  const { Arn } = await sts.send(new GetCallerIdentityCommand({}));
  return { content: [{ type: "text", text: Arn }] };
});
await server.connect(new StdioServerTransport());
