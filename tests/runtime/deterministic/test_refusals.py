"""What stands in for modules and builtins, by identity; what is refused, and what the author is told."""

from __future__ import annotations

import asyncio
import builtins
import cmath
import collections
import concurrent.futures
import gc
import io
import itertools
import json
import locale
import math
import ntpath
import operator
import os
import pathlib
import pickle
import posixpath
import re
import secrets
import socket
import statistics
import subprocess
import sys
import time
import types
import urllib.parse
import urllib.request
import uuid
import weakref
from pathlib import Path
from threading import Lock, Thread
from time import sleep as nap
from typing import Any

import numpy as np
import numpy.random as r
import pytest

from msq_jupyter.errors import AuthorError, DeterminismError
from msq_jupyter.runtime.deterministic import BUILTINS, OrderedFrozenSet, OrderedSet, has_substitute, substitute_for
from msq_jupyter.runtime.deterministic.refusals import KEPT, REFUSED

REFUSED_THINGS = {
    "open": open,
    "io.FileIO": io.FileIO,
    "input": input,
    "id": id,
    "eval": eval,
    "exec": exec,
    "compile": compile,
    "globals": globals,
    "breakpoint": breakpoint,
    "time.sleep": nap,
    "os.urandom": os.urandom,
    "os.getcwd": os.getcwd,
    "os.listdir": os.listdir,
    "os.path.exists": os.path.exists,
    "os.path.abspath": os.path.abspath,
    "pathlib.Path": Path,
    "pathlib.PurePath": pathlib.PurePath,
    "random.SystemRandom": secrets.SystemRandom,
    "secrets.token_hex": secrets.token_hex,
    "uuid.uuid1": uuid.uuid1,
    "socket.socket": socket.socket,
    "urllib.request.urlopen": urllib.request.urlopen,
    "subprocess.run": subprocess.run,
    "subprocess.Popen": subprocess.Popen,
    "threading.Thread": Thread,
    "asyncio.sleep": asyncio.sleep,
    "asyncio.Queue": asyncio.Queue,
    "concurrent.futures.ThreadPoolExecutor": concurrent.futures.ThreadPoolExecutor,
    "gc.collect": gc.collect,
    "weakref.ref": weakref.ref,
    "weakref.WeakValueDictionary": weakref.WeakValueDictionary,
    "locale.setlocale": locale.setlocale,
    "pickle.dumps": pickle.dumps,
    "numpy.random.rand": r.rand,
    "numpy.random.default_rng": r.default_rng,
    "statistics.quantiles": statistics.quantiles,
    "cmath.sin": cmath.sin,
    "sys.getrecursionlimit": sys.getrecursionlimit,
}


@pytest.mark.parametrize("name", REFUSED_THINGS)
def test_6_1_what_differs_between_kernels_is_refused_by_name(name):
    thing = REFUSED_THINGS[name]
    assert has_substitute(thing)
    with pytest.raises(DeterminismError) as caught:
        substitute_for(thing)("x")
    shown, _, remedy = str(caught.value).partition(" is not available in model code: ")
    assert shown == name
    assert len(remedy) > 20
    assert isinstance(caught.value, AuthorError)


def test_6_1_a_refusal_says_what_to_do():
    with pytest.raises(DeterminismError) as caught:
        BUILTINS["open"]("notes.txt")
    assert str(caught.value) == (
        "open is not available in model code: files are not replicated; read it in a cell and publish the content"
    )


MODULE_MEMBERS = [
    "os.environ",
    "os.getpid",
    "sys.platform",
    "sys.argv",
    "subprocess.run",
    "threading.active_count",
    "gc.get_objects",
]


@pytest.mark.parametrize("name", MODULE_MEMBERS)
def test_6_1_members_of_modules_are_refused_by_attribute(name):
    module, member = name.split(".")
    with pytest.raises(DeterminismError, match=f"^{name} is not available in model code: "):
        getattr(substitute_for(sys.modules[module]), member)()


def test_6_1_what_has_several_names_is_refused_by_the_one_that_authors_write():
    with pytest.raises(DeterminismError, match=r"^threading.Lock is not available in model code: the order of threads"):
        substitute_for(Lock)()


UNCHANGED = [
    *(int, str, list, dict, len, print, sorted, isinstance, super, ValueError, OSError, Ellipsis, None, 3, "a"),
    *(json, json.dumps, re, re.compile, itertools, collections, collections.deque, collections.Counter),
    *(math.sqrt, math.fsum, math.hypot, math.floor, math.pi, np.array, np.sin, np.dot, urllib.parse.urlparse),
    *(os.path.join, os.path.splitext, pathlib.PurePosixPath, io.StringIO, sys.intern, uuid.UUID, uuid.uuid5),
    *(socket.timeout, subprocess.TimeoutExpired, asyncio.CancelledError, pickle.PickleError),
]


@pytest.mark.parametrize("thing", UNCHANGED, ids=lambda thing: getattr(thing, "__name__", repr(thing)))
def test_6_1_all_else_stays_as_it_is(thing):
    assert substitute_for(thing) is thing
    assert not has_substitute(thing)


def test_6_1_author_s_own_things_stay_as_they_are():
    def function() -> None: ...

    class Mine(dict): ...

    module = types.ModuleType("mine")
    for thing in (function, Mine, Mine(), module, object()):
        assert substitute_for(thing) is thing


def test_6_1_modules_lead_to_what_stands_in():
    assert substitute_for(math).sin is substitute_for(math.sin) is not math.sin
    assert substitute_for(math).floor is math.floor
    assert substitute_for(np).random is substitute_for(r)
    assert substitute_for(np).array is np.array
    assert substitute_for(os).path is substitute_for(os.path)
    assert substitute_for(operator).pow is substitute_for(pow) is BUILTINS["pow"]
    assert substitute_for(concurrent).futures is substitute_for(concurrent.futures)
    assert "sin" in dir(substitute_for(math))
    with pytest.raises(AttributeError, match="no attribute 'sine'"):
        _ = substitute_for(math).sine
    with pytest.raises(DeterminismError, match=r"math.tau cannot be set in model code: modules are not replicated"):
        del substitute_for(math).tau


def test_6_1_paths_are_those_of_linux_everywhere():
    ours = substitute_for(os)
    assert ours.path.join("a", "b") == "a/b"
    assert (ours.sep, ours.linesep) == ("/", "\n")
    assert substitute_for(ntpath).join("a", "b") == "a/b"
    assert substitute_for(ntpath.join) is posixpath.join
    assert substitute_for(sys).maxsize == 2**63 - 1


def run(source: str, **names: Any) -> dict[str, Any]:
    """Execute source as model code is: with builtins of its own."""
    space = {"__builtins__": BUILTINS, "__name__": "model", **names}
    exec(source, space)
    return space


def test_6_1_builtins_are_complete():
    added = {"_", "copyright", "credits", "license", "exit", "quit", "__IPYTHON__", "display", "get_ipython"}
    assert set(dir(builtins)) - added <= set(BUILTINS)
    assert BUILTINS["set"] is OrderedSet
    assert BUILTINS["frozenset"] is OrderedFrozenSet
    assert vars(builtins)["set"] is set  # the notebook's own stay as they are


def test_6_1_code_with_these_builtins_has_ordered_sets():
    space = run(
        """
s = set("hello")
shown = repr(s), isinstance(s, set), type(s) is set, isinstance(frozenset(), frozenset), sum([0.1] * 10)
def kinds():
    return {name: kind.__name__ for name, kind in dict(a=set, b=frozenset).items()}
"""
    )
    assert space["shown"] == ("{'h', 'e', 'l', 'o'}", True, True, True, 0.9999999999999999)
    assert space["kinds"]() == {"a": "set", "b": "frozenset"}


def test_6_1_imports_in_model_code_give_what_stands_in():
    space = run(
        """
def f():
    import math, os.path, concurrent.futures, numpy.random as r
    from math import sin
    from os.path import join, exists
    from time import sleep as nap
    import json
    return math, os, concurrent, r, sin, join, exists, nap, json
"""
    )
    found = space["f"]()
    expected = [math, os, concurrent, r, math.sin, os.path.join, os.path.exists, time.sleep, json]
    assert [a is substitute_for(b) for a, b in zip(found, expected, strict=True)] == [True] * len(expected)
    with pytest.raises(ImportError, match=r"cannot import name 'sine'"):
        run("from math import sine")
    with pytest.raises(ModuleNotFoundError):
        run("import no_such_module")


def test_6_1_modules_loaded_later_are_entered_then():
    source = """
import sys
from msq_jupyter.runtime.deterministic import substitute_for
assert "ftplib" not in sys.modules and "sqlite3" not in sys.modules
import math
substitute_for(math)
import ftplib, sqlite3
for thing in (ftplib.FTP, sqlite3.connect):
    try:
        substitute_for(thing)("x")
    except Exception as error:
        print(error)
"""
    told = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == [
        "ftplib.FTP is not available in model code: what it answers is not replicated; ask in a cell or a view and "
        "publish the answer",
        "sqlite3.connect is not available in model code: files are not replicated; read it in a cell and publish the "
        "content",
    ]


def test_6_1_members_that_modules_get_later_are_refused_too():
    source = """
from msq_jupyter.runtime.deterministic import substitute_for
import concurrent.futures
substitute_for(concurrent.futures)
assert "ThreadPoolExecutor" not in vars(concurrent.futures)
try:
    substitute_for(concurrent.futures.ThreadPoolExecutor)()
except Exception as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout
    assert told.startswith("concurrent.futures.ThreadPoolExecutor is not available in model code: the order of threads")


def test_6_1_vars_needs_something_to_look_into():
    assert BUILTINS["vars"](types.SimpleNamespace(a=1)) == {"a": 1}
    with pytest.raises(DeterminismError, match=r"^vars without an argument is not available"):
        BUILTINS["vars"]()


def test_every_entry_of_the_table_says_what_to_use():
    for module, members in REFUSED.items():
        for name, remedy in members.items():
            assert "use " in remedy or ";" in remedy, (module, name)
    for module in KEPT:
        assert "*" in REFUSED[module]
