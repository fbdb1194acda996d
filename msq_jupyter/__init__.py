"""Live, shared, lasting Jupyter notebooks: replicated models, synced widgets, data that outlives the code."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msq_jupyter.runtime.lint.live import lint_model
    from msq_jupyter.runtime.model import Model
    from msq_jupyter.runtime.operation import operation
    from msq_jupyter.runtime.persistent_model import PersistentModel, migration
    from msq_jupyter.runtime.view import View
    from msq_jupyter.widgets.session import Session
    from msq_jupyter.widgets.text_area import TextArea

__version__ = "0.1.0"

__all__ = [
    "Model",
    "PersistentModel",
    "Session",
    "TextArea",
    "View",
    "lint_model",
    "load_ipython_extension",
    "migration",
    "operation",
    "unload_ipython_extension",
]

# `import msq_jupyter` loads nothing heavy: a name is imported when it is first asked for.
_HOMES = {
    "Model": "msq_jupyter.runtime.model",
    "PersistentModel": "msq_jupyter.runtime.persistent_model",
    "Session": "msq_jupyter.widgets.session",
    "TextArea": "msq_jupyter.widgets.text_area",
    "View": "msq_jupyter.runtime.view",
    "lint_model": "msq_jupyter.runtime.lint.live",
    "migration": "msq_jupyter.runtime.persistent_model",
    "operation": "msq_jupyter.runtime.operation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext msq_jupyter` does."""
    importlib.import_module("msq_jupyter.jupyter.cells").load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """What `%unload_ext msq_jupyter` does."""
    importlib.import_module("msq_jupyter.jupyter.cells").unload(shell)
