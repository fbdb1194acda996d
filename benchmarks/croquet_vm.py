"""Croquet's JavaScript VM in a Node of its own, at the work it is told to do. What it does is in `croquet/vm.js`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "croquet"
PACKAGE = FOLDER / "node_modules/@croquet/croquet"
#: Its snapshot of a million models is a string of a quarter of a gigabyte, and what it is made of.
HEAP_MB = 8192


class CroquetVm(AbstractContextManager["CroquetVm"]):
    """A VM that is there for the length of a `with`.

    Attributes:
        versions: of Croquet and Node.
    """

    def __enter__(self) -> CroquetVm:
        if not PACKAGE.exists():
            raise SystemExit(f"expected Croquet in {PACKAGE}: run npm ci in {FOLDER}, or leave it out")
        command = ["node", f"--max-old-space-size={HEAP_MB}", "vm.js"]
        self._process = subprocess.Popen(command, cwd=FOLDER, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        package = json.loads((PACKAGE / "package.json").read_text())
        self.versions = f"@croquet/croquet {package['version']}, Node {self._answer()['node'].removeprefix('v')}"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def do(self, work: str, count: int = 0) -> dict[str, Any]:
        """Have it do `count` of some work; gives what it measured."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"work": work, "count": count}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def stopwatch(self, work: str) -> Callable[[int], float]:
        """Some work, as something to call with a count that gives how many seconds it took."""
        return lambda count: self.do(work, count)["seconds"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("Croquet's VM ended before it answered; what it said is above")
        answer: dict[str, Any] = json.loads(line)
        return answer
