"""An MCP server over streamable HTTP, made with the second generation of the official SDK, whose protocol has no
session. Prints its port, and ends when its input ends."""

import socket
import sys
import threading

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

server = MCPServer("modern")


@server.tool()
def echo(text: str) -> str:
    """Returns the text."""
    return text


@server.tool()
async def announce(text: str, context: Context) -> str:
    """Sends progress before its result."""
    await context.report_progress(1, 2, text)
    return "announced"


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
running = uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="warning", lifespan="on"))


def stop_at_end_of_input():
    sys.stdin.read()
    running.force_exit = running.should_exit = True


threading.Thread(target=stop_at_end_of_input, daemon=True).start()
print(listener.getsockname()[1], flush=True)
running.run(sockets=[listener])
