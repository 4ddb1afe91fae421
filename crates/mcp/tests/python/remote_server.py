"""An MCP server over streamable HTTP, made with FastMCP. Prints its port, and ends when its input ends.

Its gate is either a token, or SigV4, verified by botocore with the keys that the arguments name: `ID=SECRET=TOKEN`.
"""

import argparse
import hashlib
import hmac
import socket
import sys
import threading

import uvicorn
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from fastmcp import Context, FastMCP
from fastmcp.server.dependencies import get_http_headers
from starlette.responses import PlainTextResponse

arguments = argparse.ArgumentParser()
arguments.add_argument("--port", type=int, default=0)
arguments.add_argument("--token")
arguments.add_argument("--key", action="append", default=[])
arguments.add_argument("--stateless", action="store_true")
arguments.add_argument("--json", action="store_true")
options = arguments.parse_args()
keys = {key.split("=", 2)[0]: key.split("=", 2)[1:] for key in options.key}

server = FastMCP("remote", instructions="A server at a URL.")


@server.tool
def whoami() -> str:
    """Returns the access key id of the request."""
    authorization = get_http_headers(include_all=True).get("authorization", "")
    return authorization.split("Credential=")[-1].split("/")[0]


@server.tool
def echo(text: str) -> str:
    """Returns the text."""
    return text


@server.tool
async def announce(text: str, context: Context) -> str:
    """Sends messages before its result."""
    await context.info(text)
    await context.report_progress(1, 2)
    return "announced"


def signature(method, url, headers, body):
    """Returns the signature that botocore computes for these headers of a request, and the one that it has."""
    fields = dict(part.strip().split("=", 1) for part in headers["authorization"].split(" ", 1)[1].split(","))
    key, date, region, service, _ = fields["Credential"].split("/")
    secret, token = keys[key]
    if headers.get("x-amz-security-token", "") != token or not headers["x-amz-date"].startswith(date):
        raise ValueError("another token or date")
    if headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
        raise ValueError("another body")
    signed = fields["SignedHeaders"].split(";")
    for required in ("host", "x-amz-date", "x-amz-security-token"):
        if required not in signed:
            raise ValueError(f"{required} is not signed")
    request = AWSRequest(method=method, url=url, data=body, headers={name: headers[name] for name in signed})
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(Credentials(key, secret, token), service, region)
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request), fields["Signature"]


class Gate:
    """Refuses requests without the token or a valid signature."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        replayed = False

        async def replay():
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        refusal = self.refusal(scope, headers, body)
        if refusal:
            return await PlainTextResponse(refusal, 403)(scope, receive, send)
        return await self.app(scope, replay, send)

    @staticmethod
    def refusal(scope, headers, body):
        if options.token:
            return None if headers.get("authorization") == f"Bearer {options.token}" else "another token"
        if not keys:
            return None
        query = "?" + scope["query_string"].decode() if scope["query_string"] else ""
        url = f"http://{headers['host']}{scope['raw_path'].decode()}{query}"
        try:
            expected, received = signature(scope["method"], url, headers, body)
        except Exception as error:
            return f"The request is not signed: {error!r}"
        return None if hmac.compare_digest(expected, received) else "The signature does not match"


def main():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", options.port))
    listener.listen()
    app = server.http_app(path="/runtimes/arn:aws/mcp" if keys else "/mcp", json_response=options.json, stateless_http=options.stateless)
    config = uvicorn.Config(Gate(app), log_level="warning", lifespan="on")
    running = uvicorn.Server(config)

    def stop_at_end_of_input():
        sys.stdin.read()
        running.force_exit = running.should_exit = True

    threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    running.run(sockets=[listener])


main()
