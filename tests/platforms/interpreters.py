"""The interpreters that are here, and what each of them reports; each gets a folder of the packages it needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "platforms"
HERE = Path(__file__).parent

#: Which Python the locked `pyodide` is, and the platform that wheels for it name (PEP 783).
WASM_VERSION, WASM_PLATFORM = "3.14", "pyemscripten_2026_0_wasm32"


class NotHere(Exception):
    """An interpreter, or what it needs, is not on this machine; says why."""


class Report(NamedTuple):
    """What `report` printed."""

    platform: str
    samples: dict[str, str]


def own_report(*options: str) -> Report:
    """The report of the interpreter that runs the tests: the reference."""
    return _reported([sys.executable, "-m", "tests.platforms.report", *options], {"PYTHONHASHSEED": "1"})


def own_report_without_ormsgpack(*options: str) -> Report:
    """The same with the packer of WebAssembly."""
    program = (
        "import json, sys; sys.modules['ormsgpack'] = None; "
        "from tests.platforms.report import report; print(json.dumps(report(sys.argv[1:])))"
    )
    return _reported([sys.executable, "-c", program, *options], {})


def report_of_cpython(minor: int, *options: str) -> Report:
    """The report of CPython 3.`minor`.

    Raises:
        NotHere: there is none, or its packages cannot be had.
    """
    python = _cpython(minor)
    packages = _packages(f"cpython-3.{minor}", ["msgspec>=0.19", "ormsgpack>=1.9"], f"3.{minor}")
    return _reported(
        [python, "-m", "tests.platforms.report", *options], {"PYTHONPATH": f"{ROOT}{os.pathsep}{packages}"}
    )


def report_of_wasm(*options: str) -> Report:
    """The report of CPython on WebAssembly.

    Raises:
        NotHere: no Node, or its packages cannot be had.
    """
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules" / "pyodide").is_dir():
        raise NotHere(f"no CPython on WebAssembly here: run npm ci in {HERE.relative_to(ROOT)}, as make test does")
    packages = _packages("wasm", ["msgspec>=0.19", "msgpack>=1.1"], WASM_VERSION, "--platform", WASM_PLATFORM)
    return _reported([node, str(HERE / "pyodide.mjs"), str(ROOT), str(packages), *options], {})


def _reported(command: list[str], environment: dict[str, str]) -> Report:
    defaults = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "random", "PYTHONDONTWRITEBYTECODE": "1"}
    answer = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **defaults, **environment}, check=False
    )
    if answer.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {answer.returncode}:\n{answer.stderr[-4000:]}")
    told: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return Report(told["platform"], told["samples"])


def _cpython(minor: int) -> str:
    ask = "import sys; print(sys.implementation.name, sys.version_info.minor, *sys.abiflags)"
    for path in _candidates(minor):
        answer = subprocess.run([path, "-c", ask], capture_output=True, text=True, check=False)
        if answer.stdout.split() == ["cpython", str(minor)]:
            return path
    raise NotHere(f"no CPython 3.{minor} here, neither as python3.{minor} nor in ~/.pyenv")


def _candidates(minor: int) -> Iterator[str]:
    yield from map(str, sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")))
    found = shutil.which(f"python3.{minor}")
    if found:
        yield found


def _packages(name: str, requirements: list[str], version: str, *options: str) -> Path:
    """A folder with packages for an interpreter, kept in the checkout from one run to the next."""
    folder = CACHE / name
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--target", f"{fresh}/all", "--python-version", version, *options]
        answer = subprocess.run([*command, *requirements], capture_output=True, text=True, check=False)
        if answer.returncode:
            raise NotHere(f"no packages for {name}: {answer.stderr.strip().splitlines()[-1]}")
        try:
            Path(fresh, "all").rename(folder)
        except OSError:
            assert folder.is_dir()  # another run was quicker
    return folder
