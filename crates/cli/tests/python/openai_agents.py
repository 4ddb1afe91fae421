"""Two agents of the OpenAI Agents SDK at once, whose models are scripts, each with a credential session of its own.

Run: openai_agents.py URL TOKEN; prints JSON.
"""

import asyncio
import json
import sys

from agent_runs import RUNS, steps
from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage
from agents.mcp import MCPServerStreamableHttp
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText


class ScriptedModel(Model):
    """Calls one tool after another, and then repeats the last result."""

    def __init__(self, run):
        self.steps = steps(run)

    async def get_response(self, system_instructions, input, *_, **__):
        results = [item["output"] for item in input if isinstance(item, dict) and item.get("type") == "function_call_output"]
        if len(results) < len(self.steps):
            name, arguments = self.steps[len(results)]
            call_id = f"call-{len(results)}"
            output = ResponseFunctionToolCall(
                type="function_call", call_id=call_id, name=name, arguments=json.dumps(arguments)
            )
        else:
            text = ResponseOutputText(type="output_text", text=json.dumps(results[-1]), annotations=[])
            output = ResponseOutputMessage(
                id="message", type="message", role="assistant", status="completed", content=[text]
            )
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *_, **__):
        raise NotImplementedError


def connect(url, headers):
    return MCPServerStreamableHttp({"url": url, "headers": headers}, client_session_timeout_seconds=60)


async def act(url, token, run):
    headers = {"Authorization": f"Bearer {token}"}
    # The program opens the session. Its handle is in a header, so that the model can neither omit nor change it.
    async with connect(url, headers) as server:
        created = await server.call_tool("create_credential_session", {})
    headers["Valetkey-Session"] = created.structured_content["credential_session"]
    async with connect(url, headers) as server:
        agent = Agent(name=run, mcp_servers=[server], model=ScriptedModel(run))
        result = await Runner.run(agent, "Who are you?", run_config=RunConfig(tracing_disabled=True))
        return result.final_output


async def main():
    url, token = sys.argv[1:]
    results = await asyncio.gather(*(act(url, token, run) for run in RUNS))
    print(json.dumps(dict(zip(RUNS, results))))


asyncio.run(main())
