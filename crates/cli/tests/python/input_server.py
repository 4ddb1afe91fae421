"""An MCP server of the first generation whose tool requests elicitation, roots and sampling of its client."""

from mcp.server.fastmcp import Context, FastMCP
from mcp.types import SamplingMessage, TextContent
from pydantic import BaseModel

server = FastMCP("input")


class Person(BaseModel):
    name: str


@server.tool()
async def gather(context: Context) -> dict:
    """Returns what the client responds to each request."""
    elicited = await context.elicit("What is your name?", Person)
    roots = await context.session.list_roots()
    message = SamplingMessage(role="user", content=TextContent(type="text", text="Greet!"))
    sampled = await context.session.create_message([message], max_tokens=10)
    return {
        "name": elicited.data.name,
        "roots": [str(root.uri) for root in roots.roots],
        "sampled": sampled.content.text,
        "protocol": context.session.client_params.protocolVersion,
    }


server.run()
