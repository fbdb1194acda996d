"""IPython shells in this process, which leave it as it was."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


@contextmanager
def a_shell(*, is_singleton: bool = False) -> Iterator[InteractiveShell]:
    """A shell without history, whose names are `__main__`.

    Args:
        is_singleton: whether it is the one that `get_ipython` finds.
    """
    main, check, hook = sys.modules["__main__"], linecache.checkcache, sys.displayhook
    config = Config()
    config.HistoryManager.enabled = False
    if is_singleton:
        InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=config) if is_singleton else InteractiveShell(config=config)
    sys.modules["__main__"] = shell.user_module
    try:
        yield shell
    finally:
        if is_singleton:
            InteractiveShell.clear_instance()
        shell.restore_sys_module_state()
        sys.modules["__main__"] = main
        linecache.checkcache, sys.displayhook = check, hook
