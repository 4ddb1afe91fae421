"""A server with one tool, made with the official SDK."""

from mcp.server.fastmcp import FastMCP

server = FastMCP("bench", log_level="ERROR")


@server.tool()
def echo(text: str) -> str:
    """Returns the text."""
    return text


server.run()
