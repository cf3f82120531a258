"""A server of the Model Context Protocol (MCP): an agent that speaks it works in sessions (``agb[mcp]``).

``agb mcp`` runs it. A program builds it itself to serve it from its own web application:

>>> from agb import AsyncAGB
>>> from agb.integrations.mcp import Options, create_server
>>> server = create_server(AsyncAGB, Options(image="agb-code-space-1"))
>>> server.name
'agb'
"""

from __future__ import annotations

try:
    import mcp.server.lowlevel  # noqa: F401
except ImportError as error:
    raise ImportError("the MCP server needs the extra 'mcp': pip install 'agb[mcp]'") from error

from .options import BadOptions, Http, Options
from .server import create_server
from .transports import http_app, serve_http, serve_stdio

__all__ = ["BadOptions", "Http", "Options", "create_server", "http_app", "serve_http", "serve_stdio"]
