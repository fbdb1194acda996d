"""What tests of several rooms share: a synchronizer in this process, or a local one in a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from msq_jupyter.local_registry import read_note
from msq_jupyter.session import archive, crypto, session
from msq_jupyter.session.session import SessionCore
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.storage import Storage
from tests.session.models import Counter

Join = Callable[..., Any]

# A busy machine is no defect: nothing here asserts how long anything takes.
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")


#: Beside each other, browsers are slow, and so is what is measured in them; their tests run one after another.
BROWSERS = ("tests/browser/", "tests/test_benchmarks.py")
#: Long, and nothing is shared: each test of these files goes to whichever process is free.
APART = (
    *("tests/simulation/test_schedules.py", "tests/simulation/test_flips.py", "tests/simulation/test_restores.py"),
    *("tests/faults/test_virtual.py", "tests/faults/test_processes.py", "tests/faults/test_decoders.py"),
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n 2 --dist loadfile`, the tests of a file run in one process, as they share what its fixtures make."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if nodeid.startswith(APART):
                return nodeid
            return "browsers" if nodeid.startswith(BROWSERS) else nodeid.partition("::")[0]

    return ByFile(config, log)


@pytest.fixture(scope="session", autouse=True)
def _each_key_once() -> Iterator[None]:
    """A password's key costs a quarter of a second on purpose; the tests ask for the same few thousands of times.

    It is the true one: other processes, which derive it again, join with it too.
    """
    derive_once = functools.cache(crypto.derive_root_key)
    with pytest.MonkeyPatch.context() as patch:
        for module in (session, archive):
            patch.setattr(module, "derive_root_key", derive_once)
        yield


class SynchronizerThread:
    """A synchronizer on a thread and a loop of its own: a busy test does not keep it from working.

    Args:
        data_directory: where it keeps its data.
    """

    def __init__(self, data_directory: Path) -> None:
        self._data_directory = data_directory
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._url: Future[str] = Future()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> SynchronizerThread:
        self._thread.start()
        self.url = self._url.result(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive()

    def on_disk(self, function: Callable[[Storage], Any]) -> Any:
        """Do something with the storage, on its own thread."""

        async def do() -> Any:
            return await self._running._journal.call(function)

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(30)

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._main())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())

    async def _main(self) -> None:
        try:
            async with Synchronizer(data_directory=self._data_directory) as running:
                self._running = running
                self._url.set_result(running.url)
                await self._stop.wait()
        except BaseException as error:
            if not self._url.done():
                self._url.set_exception(error)
            raise


@pytest.fixture
def synchronizer(tmp_path: Path) -> Iterator[SynchronizerThread]:
    """A synchronizer without sessions."""
    with SynchronizerThread(tmp_path / "synchronizer") as running:
        yield running


@contextlib.asynccontextmanager
async def joining(
    synchronizer: SynchronizerThread, kind: type[SessionCore] = SessionCore, **defaults: Any
) -> AsyncIterator[Join]:
    """A function that joins sessions; all are left at the end.

    Args:
        synchronizer: where.
        kind: what is joined.
        **defaults: arguments of `join`, unless a call says otherwise.
    """
    async with contextlib.AsyncExitStack() as stack:

        async def join(model: type | None = None, **arguments: Any) -> Any:
            given = {"app_id": "test", "name": "room", "synchronizer": synchronizer.url, **defaults, **arguments}
            if model is not None:
                given["model"] = model
            return await stack.enter_async_context(await kind.join(**given))

        yield join


@pytest.fixture
async def join(synchronizer: SynchronizerThread) -> AsyncIterator[Join]:
    """Join a session of this test with a `Counter`, unless another model is given."""
    async with joining(synchronizer, model=Counter, password="pw") as join:
        yield join


@pytest.fixture
def local_synchronizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data directory of a local synchronizer that starts when it is needed and ends with the test."""
    directory = tmp_path / "local"
    monkeypatch.setenv("MSQ_DATA_DIR", str(directory))
    monkeypatch.delenv("MSQ_SYNCHRONIZER", raising=False)
    yield directory
    note = read_note(directory)
    if note is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(note.pid, signal.SIGTERM)
