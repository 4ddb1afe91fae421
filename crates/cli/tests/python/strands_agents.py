"""Two agents of Strands at once, whose models are scripts, each with a credential session of its own.

Run: strands_agents.py URL TOKEN; prints JSON.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from agent_runs import RUNS, steps
from strands import Agent
from strands.models import Model
from strands.tools.mcp import MCPClient


class ScriptedModel(Model):
    """Calls one tool after another, and then repeats the last result."""

    def __init__(self, run):
        self.steps = steps(run)

    def update_config(self, **_):
        pass

    def get_config(self):
        return {}

    def structured_output(self, *_, **__):
        raise NotImplementedError

    async def stream(self, messages, *_, **__):
        contents = [block for message in messages for block in message["content"]]
        results = [block["toolResult"] for block in contents if "toolResult" in block]
        yield {"messageStart": {"role": "assistant"}}
        if len(results) < len(self.steps):
            name, arguments = self.steps[len(results)]
            tool = {"toolUse": {"toolUseId": f"call-{len(results)}", "name": name}}
            yield {"contentBlockStart": {"start": tool}}
            yield {"contentBlockDelta": {"delta": {"toolUse": {"input": json.dumps(arguments)}}}}
        else:
            yield {"contentBlockStart": {"start": {}}}
            yield {"contentBlockDelta": {"delta": {"text": json.dumps(results[-1]["content"])}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use" if len(results) < len(self.steps) else "end_turn"}}


def act(url, token, run):
    headers = {"Authorization": f"Bearer {token}"}
    # The program opens the session. Its handle is in a header, so that the model can neither omit nor change it.
    with MCPClient(url=url, headers=headers) as client:
        created = client.call_tool_sync("open", "create_credential_session", {})
    headers["Valetkey-Session"] = created["structuredContent"]["credential_session"]
    with MCPClient(url=url, headers=headers) as client:
        agent = Agent(model=ScriptedModel(run), tools=client.list_tools_sync(), callback_handler=None)
        return str(agent("Who are you?"))


def main():
    url, token = sys.argv[1:]
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda run: act(url, token, run), RUNS))
    print(json.dumps(dict(zip(RUNS, results))))


main()
