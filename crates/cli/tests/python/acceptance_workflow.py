"""The acceptance flow of the original design in LangGraph, with a platform tool that only the gateway may call.

Two invocations run at once, each with two sub-agents; a third one fails. Run: acceptance_workflow.py URL TOKEN; prints
JSON.
"""

import asyncio
import json
import sys

sys.dont_write_bytecode = True  # The folder of the sources stays clean.
from workflow import WHO, Invocation  # noqa: E402

SET, EXTRACT = "set_aws_credentials_context", "extract_and_set_credentials_from_stack_job"
GET_CREDENTIALS, GET_SERVICE = "get_aws_credentials_context", "get_service_context_info"
SET_SERVICE, HIDDEN = "set_service_context_info", "platform__get_aws_credential"
CREDENTIALS = {"access_key_id": "AKIA_TEST", "secret_access_key": "secret_test", "region": "us-west-2"}


class AcceptanceInvocation(Invocation):
    """One run of the graph: the first sub-agent sets credentials, the second one uses them."""

    async def prepare(self, state):
        """Looks at the tools as the agent sees them, and calls the hidden one although it is not listed."""
        async with self.client(self.headers).session("valetkey") as session:
            listed = (await session.list_tools()).model_dump_json()
            try:
                refused = (await session.call_tool(HIDDEN, {"id": f"cred-{self.name}"})).model_dump_json()
            except Exception as error:
                refused = f"refused: {error}"
        self.seen += [listed, refused]
        return {"log": [["tools", " ".join(sorted(self.tools))], ["hidden", refused]]}

    async def discover(self, state):
        before = [(GET_CREDENTIALS, {}), (GET_SERVICE, {}), (WHO, {})]
        own = [(SET, {"credentials_json": json.dumps(CREDENTIALS)}), (GET_CREDENTIALS, {}), (HIDDEN, {"id": "cred-1"})]
        log = await self.run_agent(*before, *own, ("platform__get_stack_job", {"id": self.name}))
        stack_job = log[-1][1]
        extract = [(EXTRACT, {"stack_job_json": "{}"}), (EXTRACT, {"stack_job_json": stack_job})]
        return {"log": state["log"] + log + await self.run_agent(*extract, (GET_CREDENTIALS, {}), (WHO, {}))}

    async def report(self, state):
        if self.fails:
            raise RuntimeError("the second sub-agent fails")
        info = {"service_id": f"svc-{self.name}", "zone": "b", "cluster": "a"}
        steps = [(SET_SERVICE, {"service_info_json": json.dumps({"zone": "b"})})]
        steps += [(SET_SERVICE, {"service_info_json": json.dumps(info)}), (GET_SERVICE, {})]
        for invalid in ('{"secret_access_key": "s"}', '{"access_key_id": "AKIA_TEST"}', "not json"):
            steps.append((SET, {"credentials_json": invalid}))
        return {"log": state["log"] + await self.run_agent(*steps, (WHO, {}))}


async def main():
    url, token = sys.argv[1:]
    headers = {"Authorization": f"Bearer {token}"}
    runs = [AcceptanceInvocation(url, headers, name, fails=name == "CCCC") for name in ("AAAA", "BBBB", "CCCC")]
    results = await asyncio.gather(*(run.run() for run in runs))
    print(json.dumps({run.name: {**result, "seen": run.seen} for run, result in zip(runs, results)}))


asyncio.run(main())
