"""An agent for ECS services in LangGraph, with two sub-agents whose models are scripts, over LangChain's adapters.

Two invocations run at once, each with its own credential session; a third one fails. Run: workflow.py URL TOKEN; prints
JSON.
"""

import asyncio
import json
import sys
from typing import TypedDict

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_mcp_adapters.client import MultiServerMCPClient
from langgraph.graph import END, START, StateGraph

WHO = "aws__get_caller_identity"


class ScriptedModel(BaseChatModel):
    """Calls one tool after another, and then ends."""

    steps: list

    @property
    def _llm_type(self):
        return "scripted"

    def bind_tools(self, tools, **_):
        return self

    def _generate(self, messages, *_, **__):
        done = sum(isinstance(message, ToolMessage) for message in messages)
        calls = [{"name": name, "args": args, "id": str(done)} for name, args in self.steps[done : done + 1]]
        message = AIMessage(content="" if calls else "done", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=message)])


class State(TypedDict):
    stack_job: dict
    log: list


def text(content):
    if isinstance(content, str):
        return content
    return "".join(block["text"] for block in content if block["type"] == "text")


class Invocation:
    """One run of the graph: a credential session of its own, which every tool call names in a header."""

    def __init__(self, url, headers, name, fails=False):
        self.url, self.headers, self.name, self.fails = url, headers, name, fails
        self.seen = []

    def client(self, headers):
        return MultiServerMCPClient({"valetkey": {"transport": "streamable_http", "url": self.url, "headers": headers}})

    async def call(self, name, **arguments):
        return text(await self.tools[name].ainvoke(arguments))

    async def run_agent(self, *steps):
        agent = create_agent(ScriptedModel(steps=list(steps)), list(self.tools.values()))
        messages = (await agent.ainvoke({"messages": [("user", "go")]}))["messages"]
        self.seen.append(repr(messages))
        return [[message.name, text(message.content)] for message in messages if isinstance(message, ToolMessage)]

    async def prepare(self, state):
        given = await self.call("extract_and_set_credentials_from_stack_job", stack_job_json=json.dumps(state["stack_job"]))
        return {"log": state["log"] + [["prepare", given]]}

    async def discover(self, state):
        info = {"service_id": f"svc-{self.name}", "cluster": "main"}
        return {"log": state["log"] + await self.run_agent((WHO, {}), ("set_service_context_info", {"service_info_json": info}))}

    async def report(self, state):
        if self.fails:
            raise RuntimeError("the second sub-agent fails")
        steps = [("get_service_context_info", {}), ("get_aws_credentials_context", {}), (WHO, {})]
        return {"log": state["log"] + await self.run_agent(*steps)}

    async def run(self):
        tools = {tool.name: tool for tool in await self.client(self.headers).get_tools()}
        created = json.loads(text(await tools["create_credential_session"].ainvoke({})))
        client = self.client({**self.headers, "Valetkey-Session": created["credential_session"]})
        self.tools = {tool.name: tool for tool in await client.get_tools()}
        graph = StateGraph(State)
        for name in ("prepare", "discover", "report"):
            graph.add_node(name, getattr(self, name))
        graph.add_edge(START, "prepare")
        graph.add_edge("prepare", "discover")
        graph.add_edge("discover", "report")
        graph.add_edge("report", END)
        state, failure = {"log": []}, None
        stack_job = {"spec": {"provider_credential_id": f"cred-{self.name}"}}
        try:
            state = await graph.compile().ainvoke({"stack_job": stack_job, "log": []})
        except RuntimeError as error:
            failure = str(error)
        finally:
            cleared = await self.call("clear_credential_context")
        after = [await self.call(name) for name in ("get_aws_credentials_context", "get_service_context_info")]
        try:
            late = await self.call(WHO)
        except Exception as error:
            late = f"refused: {error}"
        return {"log": state["log"], "failure": failure, "cleared": cleared, "after": after, "late": late}


async def main():
    url, token = sys.argv[1:]
    headers = {"Authorization": f"Bearer {token}"}
    runs = [Invocation(url, headers, "AAAA"), Invocation(url, headers, "BBBB"), Invocation(url, headers, "CCCC", fails=True)]
    results = await asyncio.gather(*(run.run() for run in runs))
    print(json.dumps({run.name: result for run, result in zip(runs, results)}))


if __name__ == "__main__":
    asyncio.run(main())
