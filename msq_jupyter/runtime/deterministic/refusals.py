"""What model code may not use, and what to use instead: one table.

A module maps names to remedies. The name "*" stands for everything in the module that has no entry of its own and is
not among what the module keeps (`KEPT`). What is not in the table stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from msq_jupyter.errors import DeterminismError

_FILES = "files are not replicated; read it in a cell and publish the content"
_NETWORK = "what it answers is not replicated; ask in a cell or a view and publish the answer"
_PROCESSES = "other programs are not replicated; run them in a cell and publish what they say"
_THREADS = "the order of threads and tasks differs; use self.future(ms).method()"
_ASKING = "a person answers on one kernel only; ask in a view or with a widget and publish the answer"
_RUNNING_CODE = "code made while the model runs is not part of the session's code; write it as a function"
_RANDOM = "it draws from this machine; use self.random(), or the functions of the module random"
_SEED = "the session has one stream of random numbers, the same for all; use self.random()"
_WAIT = "a model never waits; use self.future(ms).method()"
_CPU_TIME = "how long things take differs; measure in a cell"
_MACHINE = "it differs between machines; read it in a cell and publish it"
_LOCALE = "languages and regions of machines differ; format in a view"
_MEMORY = "when Python frees memory differs; keep ids of models, or destroy models yourself"
_FRAMES = "names of variables are not data; keep a dict of your own"
_PICKLE = "equal values give different bytes; keep the values themselves, or use json.dumps(..., sort_keys=True)"
_ZONES = "the rules of zones differ between machines; keep UTC and convert in a view"
_NOT_DEFINED = "it has no definition that is the same on every version of Python; compute it from what math has"
_STATISTICS = "its results differ between versions of Python; compute it from mean, median, variance and so on"
_SHOWING = "a model has no screen; publish, and show it in a view or a cell"
_OLD_UUID = "it names this machine; use self.generate_id() or uuid.uuid4()"

REFUSED: Mapping[str, Mapping[str, str]] = {
    "builtins": {
        "id": "addresses of objects differ between kernels; use self.id of a model, or a counter",
        "open": _FILES,
        "input": _ASKING,
        "exec": _RUNNING_CODE,
        "eval": _RUNNING_CODE,
        "compile": _RUNNING_CODE,
        "breakpoint": "a replica that waits falls behind; print, or step through a replica of msq_jupyter.testing",
        "globals": _FRAMES,
        "locals": _FRAMES,
        "dir": "what objects have differs between versions of Python; use vars(thing)",
        "help": _SHOWING,
        "display": _SHOWING,
        "get_ipython": "models run without a notebook, too; use it in a cell and publish",
    },
    # Randomness. The modules `random` and `uuid` draw from the session's stream: see `chance`.
    "random": dict.fromkeys(("seed", "getstate", "setstate", "Random", "SystemRandom"), _SEED)
    | dict.fromkeys(("vonmisesvariate", "binomialvariate"), "it has no definition of ours; use random.random()"),
    "uuid": dict.fromkeys(("uuid1", "uuid6", "uuid7", "getnode"), _OLD_UUID),
    "secrets": {"*": _RANDOM},
    "numpy.random": {"*": "its streams are not the session's; use self.random(), or random.gauss() and so on"},
    # Time. The rest of `time` and `datetime` is session time: see `clock`.
    "time": {"sleep": _WAIT}
    | dict.fromkeys(
        ("process_time", "process_time_ns", "thread_time", "thread_time_ns", "clock_gettime", "clock_gettime_ns")
        + ("clock_settime", "clock_settime_ns", "clock_getres", "get_clock_info", "pthread_getcpuclockid", "tzset"),
        _CPU_TIME,
    ),
    "zoneinfo": {"*": _ZONES},
    "timeit": {"*": _CPU_TIME},
    "sched": {"*": _WAIT},
    "locale": {"*": _LOCALE},
    "gettext": {"*": _LOCALE},
    # Files and the machine.
    "os": {"*": _MACHINE, "urandom": _RANDOM, "environ": _MACHINE}
    | dict.fromkeys(("open", "listdir", "scandir", "walk", "stat", "remove", "mkdir", "makedirs", "rename"), _FILES)
    | dict.fromkeys(("system", "popen", "fork", "kill"), _PROCESSES),
    "posixpath": {"*": _FILES},
    "ntpath": {"*": _FILES},
    "pathlib": {"*": _FILES, "PurePath": "it differs between systems; use pathlib.PurePosixPath"},
    "io": {"*": _FILES},
    "sys": {"*": _MACHINE},
    "platform": {"*": _MACHINE},
    "sysconfig": {"*": _MACHINE},
    "site": {"*": _MACHINE},
    "pwd": {"*": _MACHINE},
    "resource": {"*": _MACHINE},
    "getpass": {"*": _ASKING},
    **dict.fromkeys(
        ("shutil", "tempfile", "glob", "fileinput", "linecache", "mmap", "sqlite3", "dbm", "zipfile", "tarfile")
        + ("netrc", "logging.handlers", "mimetypes", "filecmp"),
        {"*": _FILES},
    ),
    **dict.fromkeys(("pickle", "shelve", "marshal"), {"*": _PICKLE}),
    # The network and other programs.
    **dict.fromkeys(
        (
            "socket",
            "ssl",
            "socketserver",
            "urllib.request",
            "http.client",
            "http.server",
            "ftplib",
            "smtplib",
            "imaplib",
        )
        + ("poplib", "telnetlib", "webbrowser", "xmlrpc.client", "xmlrpc.server", "requests", "httpx", "aiohttp")
        + ("urllib3", "websockets", "tornado", "zmq"),
        {"*": _NETWORK},
    ),
    **dict.fromkeys(("subprocess", "multiprocessing", "signal", "pty", "ctypes"), {"*": _PROCESSES}),
    # Threads and tasks.
    **dict.fromkeys(
        ("threading", "_thread", "asyncio", "concurrent.futures", "queue", "select", "selectors", "contextvars", "trio")
        + ("anyio",),
        {"*": _THREADS},
    ),
    # The inside of Python.
    **dict.fromkeys(("gc", "weakref", "tracemalloc"), {"*": _MEMORY}),
    **dict.fromkeys(("code", "codeop", "runpy", "importlib", "ast", "dis"), {"*": _RUNNING_CODE}),
    **dict.fromkeys(("inspect", "traceback", "faulthandler", "pdb", "bdb"), {"*": _FRAMES}),
    # Numbers.
    "math": {"sumprod": "use sum(x * y for x, y in zip(a, b))", "fma": "use x * y + z"},
    "cmath": {"*": _NOT_DEFINED},
    "statistics": {"*": _STATISTICS},
}

#: What stays of modules of which everything else is refused: it depends on nothing but its arguments.
KEPT: Mapping[str, frozenset[str]] = {
    "os": frozenset(("path", "fspath", "PathLike", "fsencode", "fsdecode", "strerror")),
    "posixpath": frozenset(
        ("basename", "commonpath", "commonprefix", "dirname", "isabs", "join", "normcase", "normpath", "split")
        + ("splitdrive", "splitext", "splitroot")
    ),
    "pathlib": frozenset(("PurePosixPath", "PureWindowsPath")),
    "io": frozenset(("StringIO", "BytesIO", "SEEK_SET", "SEEK_CUR", "SEEK_END")),
    "sys": frozenset(("float_info", "maxunicode", "intern", "exc_info", "exit", "stdout", "stderr")),
    "traceback": frozenset(("print_exc", "print_exception", "print_stack")),
    "inspect": frozenset(("isfunction", "ismethod", "isclass", "isabstract", "cleandoc")),
    "ast": frozenset(("literal_eval",)),
    "cmath": frozenset(("pi", "e", "tau", "inf", "nan", "infj", "nanj", "isnan", "isinf", "isfinite", "isclose")),
}

#: Modules that authors know by another name.
_SHOWN = {"posixpath": "os.path", "ntpath": "os.path"}


def remedy_for(module: str, name: str) -> str | None:
    """What to use instead of a member of a module; None when it may be used."""
    table = REFUSED.get(module, {})
    if name in table:
        return table[name]
    if "*" not in table or name in KEPT.get(module, ()):
        return None
    return table["*"]


def refuse(module: str, name: str, remedy: str) -> NoReturn:
    """Raise what tells the author.

    Raises:
        DeterminismError: always.
    """
    full = name if module == "builtins" else f"{_SHOWN.get(module, module)}.{name}"
    raise DeterminismError(f"{full} is not available in model code: {remedy}")


def refused_function(module: str, name: str, remedy: str) -> Any:
    """What stands in for something callable that is refused; it says so when it is called."""

    def refused(*_args: Any, **_kwargs: Any) -> NoReturn:
        refuse(module, name, remedy)

    refused.__name__ = refused.__qualname__ = name
    refused.__module__ = module
    return refused
