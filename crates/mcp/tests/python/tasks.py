"""The official MCP client, over stdio: follows tasks of the server `everything`. Run: tasks.py COMMAND ARGUMENT…; prints JSON."""

import asyncio
import json
import os
import sys

from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.stdio import stdio_client

KEYS = {"access_key_id": "ASIA000000000000AAAA", "secret_access_key": "of-AAAA-kept", "session_token": "token"}
TOOL = "everything__simulate-research-query"


async def clarify(context, params):
    return types.ElicitResult(action="accept", content={"interpretation": "historical"})


async def refused(request):
    try:
        return str(await request)
    except McpError as error:
        return [error.error.code, error.error.message]


async def converse(session):
    greeting = await session.initialize()
    tools = {}
    # A list waits five seconds for a server, and npx may take longer to start one.
    while TOOL not in tools:
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
    await session.call_tool("set_aws_credentials_context", {"credentials_json": KEYS})
    tasks = session.experimental
    started = await tasks.call_tool_as_task(TOOL, {"topic": "keys", "ambiguous": True})
    other = await tasks.call_tool_as_task(TOOL, {"topic": "locks"})
    cancelled = await tasks.cancel_task(other.task.taskId)
    # The question to the person comes while the result is awaited.
    result = await tasks.get_task_result(started.task.taskId, types.CallToolResult)
    ended = await tasks.get_task(started.task.taskId)
    return {
        "capability": greeting.capabilities.tasks.model_dump(exclude_none=True),
        "support": tools[TOOL].execution.taskSupport,
        "started": started.task.status,
        "cancelled": cancelled.status,
        "text": result.content[0].text,
        "receipt": result.meta,
        "ended": ended.status,
        "unknown": await refused(tasks.get_task("none")),
        "no_task": await refused(tasks.call_tool_as_task("everything__echo", {"message": "a"})),
        "own": await refused(tasks.call_tool_as_task("get_aws_credentials_context", {})),
    }


async def main():
    server = StdioServerParameters(command=sys.argv[1], args=sys.argv[2:], env=dict(os.environ))
    async with stdio_client(server) as (reader, writer):
        async with ClientSession(reader, writer, elicitation_callback=clarify) as session:
            print(json.dumps(await converse(session)))


asyncio.run(main())
