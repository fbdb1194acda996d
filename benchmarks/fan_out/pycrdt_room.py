"""pycrdt-websocket on a free port of this machine, which it prints; without a store, on uvloop if that is there."""

from __future__ import annotations

import asyncio
import socket

from hypercorn import Config
from hypercorn.asyncio import serve
from pycrdt.websocket import ASGIServer, WebsocketServer


async def main() -> None:
    rooms = WebsocketServer()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.loglevel = "ERROR"
    async with rooms:
        print(listener.getsockname()[1], flush=True)
        await serve(ASGIServer(rooms), config, mode="asgi")


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(main())
    except ImportError:
        asyncio.run(main())
