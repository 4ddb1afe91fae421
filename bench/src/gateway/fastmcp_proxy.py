"""Forwards to the server `PEER echo` with FastMCP: over stdio, or over HTTP at the given port."""

import sys

from fastmcp.server import create_proxy

servers = {"mcpServers": {"peer": {"command": sys.argv[1], "args": ["echo"]}}}
proxy = create_proxy(servers, name="bench")
if len(sys.argv) > 2:
    proxy.run(transport="http", host="127.0.0.1", port=int(sys.argv[2]), show_banner=False, log_level="ERROR")
else:
    proxy.run(show_banner=False, log_level="ERROR")
