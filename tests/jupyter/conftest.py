"""A shell with the extension loaded, for the tests of what happens in IPython."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import msq_jupyter


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A shell with the extension loaded, whose names are `__main__`."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    interactive = pytest.importorskip("IPython.core.interactiveshell")
    from traitlets.config import Config

    main, check, hook = sys.modules["__main__"], linecache.checkcache, sys.displayhook
    config = Config()
    config.HistoryManager.enabled = False
    interactive.InteractiveShell.clear_instance()
    shell = interactive.InteractiveShell.instance(config=config)
    sys.modules["__main__"] = shell.user_module
    msq_jupyter.load_ipython_extension(shell)
    yield shell
    msq_jupyter.unload_ipython_extension(shell)
    interactive.InteractiveShell.clear_instance()
    shell.restore_sys_module_state()
    sys.modules["__main__"] = main
    linecache.checkcache, sys.displayhook = check, hook
