"""The facade: one list of names, imported lazily, and nothing heavy before."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import msq_jupyter
from msq_jupyter import errors


def test_every_name_of_the_facade_is_there_and_typed():
    tree = ast.parse(Path(msq_jupyter.__file__).read_text())
    typed = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        for inner in node.body
        if isinstance(inner, ast.ImportFrom)
        for alias in inner.names
    } - {"TYPE_CHECKING"}
    assert typed == set(msq_jupyter._HOMES)
    assert set(msq_jupyter.__all__) == typed | {"load_ipython_extension", "unload_ipython_extension"}
    for name in msq_jupyter.__all__:
        assert getattr(msq_jupyter, name).__module__.startswith("msq_jupyter")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Modle'"):
        msq_jupyter.Modle  # noqa: B018


def test_importing_the_package_loads_nothing_heavy():
    heavy = {"IPython", "anywidget", "cryptography", "ipywidgets", "msgspec", "sqlite3", "traitlets", "websockets"}
    code = "import sys, msq_jupyter; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not heavy & set(loaded)


def test_every_error_belongs_to_one_of_three_branches():
    branches = {errors.AuthorError, errors.PeerError, errors.InternalError}
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.MsqError) and kind is not errors.MsqError:
            assert sum(issubclass(kind, branch) for branch in branches) == 1, name
            assert kind.__doc__
