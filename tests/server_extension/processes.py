"""A Jupyter server as a process, with kernels, and a reverse proxy in front of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

from jupyter_client.asynchronous.client import AsyncKernelClient

from msq_jupyter.local_registry import read_note
from tests.ports import free_port
from tests.waiting import until_serving

ROOT = Path(__file__).parents[2]
BASE_URL = "/user/ada/"


class RunningServer:
    """`jupyter server` below a base URL, with every folder of its own below `root`, enabled as installing enables it.

    Args:
        root: an empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "synchronizer"
        self.log = root / "server.log"
        self.token = secrets.token_urlsafe(12)
        enabled = root / "config" / "jupyter_server_config.d"
        enabled.mkdir(parents=True)
        shutil.copy(ROOT / "jupyter-config" / "msq_jupyter.json", enabled)
        # What else is installed only takes time here.
        others = ("jupyterlab", "notebook", "notebook_shim", "jupyter_lsp", "jupyter_server_terminals")
        off = {"ServerApp": {"jpserver_extensions": dict.fromkeys(others, False)}}
        (enabled / "others.json").write_text(json.dumps(off))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{BASE_URL}"
        self.rooms = f"ws://127.0.0.1:{self.port}{BASE_URL}msq"

    def with_token(self, page: str = "") -> str:
        """The address of a page as a browser shows it."""
        return f"{self.url}{page}?token={self.token}"

    def start(self) -> None:
        folders = {"CONFIG": "config", "DATA": "data", "RUNTIME": "runtime"}
        environment = {
            **os.environ,
            **{f"JUPYTER_{name}_DIR": str(self.root / folder) for name, folder in folders.items()},
            "IPYTHONDIR": str(self.root / "ipython"),
            "MSQ_DATA_DIR": str(self.data),
            "PYTHONPATH": str(ROOT),
        }
        environment.pop("MSQ_SYNCHRONIZER", None)
        command = [
            *(sys.executable, "-m", "jupyter", "server", "--allow-root", "--no-browser", "--ip=127.0.0.1", "--debug"),
            *(f"--port={self.port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}"),
            *(f"--ServerApp.base_url={BASE_URL}", f"--ServerApp.root_dir={self.root}"),
            "--ServerApp.allow_remote_access=True",
            "--ServerApp.custom_display_url=https://hub.example.org/user/ada/",
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.root)
        until_serving(self.with_token("api/status"), self._process, self.log)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)

    def kill_synchronizer(self, signal_number: int = signal.SIGKILL) -> None:
        note = read_note(self.data)
        if note is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(note.pid, signal_number)

    @contextlib.asynccontextmanager
    async def kernel(self) -> AsyncIterator[Kernel]:
        """A kernel that this server has started."""
        request = urllib.request.Request(self.with_token("api/kernels"), b"{}", method="POST")
        with await asyncio.to_thread(urllib.request.urlopen, request) as answer:
            kernel_id = json.load(answer)["id"]
        client = AsyncKernelClient(connection_file=str(self.root / "runtime" / f"kernel-{kernel_id}.json"))
        client.load_connection_file()
        client.start_channels(hb=False)
        try:
            await client.wait_for_ready(timeout=60)
            yield Kernel(client)
        finally:
            client.stop_channels()
            end = urllib.request.Request(self.with_token(f"api/kernels/{kernel_id}"), method="DELETE")
            (await asyncio.to_thread(urllib.request.urlopen, end)).close()


class Kernel:
    """Runs cells, and says what they print."""

    def __init__(self, client: AsyncKernelClient) -> None:
        self._client = client

    async def run(self, code: str) -> str:
        printed: list[str] = []

        def take(message: dict) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        reply = await self._client.execute_interactive(code, timeout=60, output_hook=take)
        assert reply["content"]["status"] == "ok", "\n".join(reply["content"]["traceback"])
        return "".join(printed)


class ReverseProxy:
    """Hands requests on as a proxy does for a host with a name of its own: the path stays, and so does `Host`.

    Args:
        port: of the server behind it.
        host: what clients call it; the requests that come in say "127.0.0.1", as no name is known here.
    """

    def __init__(self, port: int, host: str) -> None:
        self._port = port
        self._host = host
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> ReverseProxy:
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**16)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(30)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        head = [f"Host: {self._host}" if line.lower().startswith("host:") else line for line in head]
        head.insert(1, "X-Forwarded-Proto: https")
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**16)
        behind_writer.write("\r\n".join(head).encode("latin-1"))
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(carry(reader, behind_writer), carry(behind_reader, writer))


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
