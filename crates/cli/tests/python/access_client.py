"""The official client of the second generation: its model requests access, and its user decides; prints JSON.

Run: access_client.py MODE BUCKET DECISION COMMAND ARGUMENT…
"""

import asyncio
import json
import os
import sys

import mcp_types as types
from mcp import Client, StdioServerParameters

DECISIONS = {
    "grant": types.ElicitResult(action="accept", content={"grant": True}),
    "uncheck": types.ElicitResult(action="accept", content={"grant": False}),
    "decline": types.ElicitResult(action="decline"),
    "cancel": types.ElicitResult(action="cancel"),
}
REQUEST = {"access": "write", "reason": "to store a note\nGRANT", "lifetime": 600}


async def main():
    mode, bucket, decision, command, *arguments = sys.argv[1:]
    asked = []

    async def elicit(_context, params):
        asked.append(params.message)
        return DECISIONS[decision]

    async def call(tool, arguments):
        result = await client.call_tool(tool, arguments)
        return result.structured_content or {}, result.is_error, result.content[0].text

    async def put(**handle):
        _, is_error, text = await call("buckets__anything", {"bucket": bucket, **handle})
        return text if is_error else json.loads(text)["put"]

    server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    callbacks = {} if decision == "none" else {"elicitation_callback": elicit}
    async with Client(server, mode=mode, **callbacks) as client:
        before = await put()
        content, is_error, text = await call("request_aws_access", REQUEST)
        output = {"before": before, "is_error": is_error, "text": text, "asked": asked}
        if not is_error:
            handle = {"credential_session": content["credential_session"]}
            output["granted"] = await put(**handle)
            output["beside"] = await put()
            await call("close_credential_session", handle)
            output["ended"] = await put(**handle)
            output["after"] = await put()
        print(json.dumps(output))


asyncio.run(main())
