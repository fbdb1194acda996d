"""How long it takes to say which code a model runs: the code hash of a notebook, beside two ways others go.

The notebook has a cell of constants and helpers and ten cells with a model class each, about 10 kB, run under file
names of their own as a kernel does. All take turns in one run; each round is a notebook nobody has seen before.

* ours, first: parse the cells, compare them with the code that runs, walk all that is reachable.
* ours, again: the same notebook once more, as after every cell that defines nothing new.
* ours, one edited: one of the ten cells was run again with a change.
* cloudpickle: SHA-256 of the pickled root class. It follows what the class refers to, but its bytes differ between
  versions of Python, and between two kernels of one version.
* inspect: SHA-256 of `inspect.getsource` of the methods. It follows nothing, and comments count.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import itertools
import linecache
import platform
import statistics
import sys
import time
import types
from collections.abc import Callable
from typing import Any

import cloudpickle

from msq_jupyter.runtime.codehash import capture_sources, identify
from msq_jupyter.runtime.model import Model

HELPERS = '''
from msq_jupyter import Model
LIMIT, SPEED = 100, 0.25

def clipped(value, low=0.0, high=LIMIT):
    """A value inside of its limits."""
    return low if value < low else high if value > high else value

def label(name, number):
    return f"{name.title():>12} #{number:03d}" if number else name
'''

PART = '''
class Part{n}(Model):
    """Part {n} of a machine: it turns, wears out and tells its neighbours."""

    strength = {n} + 1

    def init(self, options, persisted=None):
        self.name = label("part {n}", options["number"])
        self.angle, self.wear = 0.0, []
        self.neighbours = {{"left": options.get("left"), "right": None}}
        self.subscribe("machine", "turn", self.turn)

    def turn(self, data):
        self.angle = (self.angle + data["by"] * SPEED * self.strength) % 360
        if self.angle > 180 and len(self.wear) < LIMIT:
            self.wear.append({{"at": self.now(), "angle": clipped(self.angle)}})
        for side, part in self.neighbours.items():  # both, in order
            if part is not None and self.random() < 0.1:
                self.future(50).tell(side, part.name)

    def tell(self, side, name):
        self.publish("machine", "told", [side, name, sum(one["angle"] for one in self.wear)])
'''

ROOT = "class Root(Model):\n    def init(self, options):\n        self.parts = [{parts}]\n"
PARTS = 10

_names = itertools.count()


def run_cell(main: types.ModuleType, text: str) -> None:
    name = f"/tmp/ipykernel_1/{next(_names)}.py"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec", dont_inherit=True), main.__dict__)


def new_notebook(mark: int) -> tuple[types.ModuleType, int]:
    """A notebook with something in each cell that no other has, and its size in bytes."""
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    creations = ", ".join(f"Part{n}.create({{'number': {n}}})" for n in range(PARTS))
    cells = [HELPERS, *(PART.format(n=n) for n in range(PARTS)), ROOT.format(parts=creations)]
    cells = [f"{cell}# round {mark}\n" for cell in cells]
    for cell in cells:
        run_cell(main, cell)
    return main, sum(map(len, cells))


def with_inspect(root: type) -> str:
    classes = [kind for kind in vars(sys.modules["__main__"]).values() if isinstance(kind, type) and kind is not Model]
    methods = [value for kind in classes for value in vars(kind).values() if inspect.isfunction(value)]
    return hashlib.sha256("".join(map(inspect.getsource, methods)).encode()).hexdigest()


def with_cloudpickle(root: type) -> str:
    return hashlib.sha256(cloudpickle.dumps(root)).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=31)
    arguments = parser.parse_args()

    times: dict[str, list[float]] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        began = time.process_time()
        result = call()
        times.setdefault(name, []).append((time.process_time() - began) * 1e3)
        return result

    before, undo, size = sys.modules["__main__"], capture_sources(), 0
    try:
        for number in range(arguments.rounds):
            module, size = new_notebook(number)
            root = module.Root
            first = timed("ours, first", lambda root=root: identify(root, model_base=Model))
            again = timed("ours, again", lambda root=root: identify(root, model_base=Model))
            run_cell(module, PART.format(n=3).replace("> 180", "> 90"))
            edited = timed("ours, one edited", lambda root=root: identify(root, model_base=Model))
            assert first.code_hash == again.code_hash != edited.code_hash
            timed("cloudpickle", lambda root=root: with_cloudpickle(root))
            timed("inspect", lambda root=root: with_inspect(root))
    finally:
        sys.modules["__main__"] = before
        undo()

    print(f"| {size / 1000:.1f} kB of cells | median ms | p95 ms | / cloudpickle |")
    print("|---|---:|---:|---:|")
    peer = statistics.median(times["cloudpickle"])
    for name, taken in times.items():
        median, worst = statistics.median(taken), statistics.quantiles(taken, n=20)[-1]
        print(f"| {name} | {median:.1f} | {worst:.1f} | {median / peer:.1f} |")
    print(f"\nPython {platform.python_version()}, processor time, {arguments.rounds} rounds")


if __name__ == "__main__":
    main()
