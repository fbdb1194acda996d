"""The least a server in asyncio can do: frames of length and bytes, each given to all, one write per loop turn.

It keeps nothing, checks nothing and stamps nothing. Prints its port.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, cast

HEAD_BYTES = 4


class Member(asyncio.Protocol):
    everybody: ClassVar[set[asyncio.Transport]] = set()
    pending: ClassVar[list[bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._rest = cast(asyncio.Transport, transport), b""  # that of uvloop is no instance
        self.everybody.add(self._transport)

    def connection_lost(self, _: Exception | None) -> None:
        self.everybody.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        place = 0
        while len(data) - place >= HEAD_BYTES:
            end = place + HEAD_BYTES + int.from_bytes(data[place : place + HEAD_BYTES], "big")
            if end > len(data):
                break
            if not self.pending:
                asyncio.get_running_loop().call_soon(self.write)
            self.pending.append(data[place:end])
            place = end
        self._rest = data[place:]

    @classmethod
    def write(cls) -> None:
        frames = b"".join(cls.pending)
        cls.pending.clear()
        for transport in cls.everybody:
            transport.write(frames)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Member, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(main())
    except ImportError:
        asyncio.run(main())
