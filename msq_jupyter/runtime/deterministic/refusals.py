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


def _whole(remedy: str, *modules: str) -> dict[str, dict[str, str]]:
    return {module: {"*": remedy} for module in modules}


REFUSED: Mapping[str, Mapping[str, str]] = {
    "builtins": {
        "id": "addresses of objects differ between kernels; use self.id of a model, or a counter",
        "open": _FILES,
        "input": _ASKING,
        **dict.fromkeys(("exec", "eval", "compile"), _RUNNING_CODE),
        **dict.fromkeys(("globals", "locals"), _FRAMES),
        "dir": "what objects have differs between versions of Python; use vars(thing)",
        "breakpoint": "a replica that waits falls behind; print, or step through a replica of msq_jupyter.testing",
        "help": _SHOWING,
        "display": _SHOWING,
        "get_ipython": "models run without a notebook, too; use it in a cell and publish",
    },
    # Randomness. The rest of `random` and `uuid` draws from the session's stream: see `chance`.
    "random": {
        **dict.fromkeys(("seed", "getstate", "setstate", "Random", "SystemRandom"), _SEED),
        **dict.fromkeys(("vonmisesvariate", "binomialvariate"), "it has no definition of ours; use random.random()"),
    },
    "uuid": dict.fromkeys(("uuid1", "uuid6", "uuid7", "uuid8", "getnode"), _OLD_UUID),
    "numpy.random": {"*": "its streams are not the session's; use self.random(), or random.gauss() and so on"},
    **_whole(_RANDOM, "secrets"),
    # Time. The rest of `time` and `datetime` is session time: see `clock`.
    "time": {
        "sleep": _WAIT,
        **dict.fromkeys(("process_time", "process_time_ns", "thread_time", "thread_time_ns"), _CPU_TIME),
        **dict.fromkeys(("clock_gettime", "clock_gettime_ns", "clock_settime", "clock_settime_ns"), _CPU_TIME),
        **dict.fromkeys(("clock_getres", "get_clock_info", "pthread_getcpuclockid", "tzset"), _CPU_TIME),
    },
    **_whole(_ZONES, "zoneinfo"),
    **_whole(_CPU_TIME, "timeit"),
    **_whole(_WAIT, "sched"),
    **_whole(_LOCALE, "locale", "gettext"),
    # Files and the machine.
    "os": {
        "*": _MACHINE,
        "urandom": _RANDOM,
        **dict.fromkeys(("open", "listdir", "scandir", "walk", "stat", "remove", "mkdir", "makedirs"), _FILES),
        **dict.fromkeys(("system", "popen", "fork", "kill"), _PROCESSES),
    },
    "pathlib": {"*": _FILES, "PurePath": "it differs between systems; use pathlib.PurePosixPath"},
    **_whole(_FILES, "posixpath", "ntpath", "io", "shutil", "tempfile", "glob", "fileinput", "linecache", "mmap"),
    **_whole(_FILES, "sqlite3", "dbm", "zipfile", "tarfile", "netrc", "logging.handlers", "mimetypes", "filecmp"),
    **_whole(_MACHINE, "sys", "platform", "sysconfig", "site", "pwd", "resource"),
    **_whole(_ASKING, "getpass"),
    **_whole(_PICKLE, "pickle", "shelve", "marshal"),
    # The network and other programs.
    **_whole(_NETWORK, "socket", "ssl", "socketserver", "urllib.request", "http.client", "http.server", "ftplib"),
    **_whole(_NETWORK, "smtplib", "imaplib", "poplib", "telnetlib", "webbrowser", "xmlrpc.client", "xmlrpc.server"),
    **_whole(_NETWORK, "requests", "httpx", "aiohttp", "urllib3", "websockets", "tornado", "zmq"),
    **_whole(_PROCESSES, "subprocess", "multiprocessing", "signal", "pty", "ctypes"),
    # Threads and tasks.
    **_whole(_THREADS, "threading", "_thread", "asyncio", "concurrent.futures", "queue", "select", "selectors"),
    **_whole(_THREADS, "contextvars", "trio", "anyio"),
    # The inside of Python.
    **_whole(_MEMORY, "gc", "weakref", "tracemalloc"),
    **_whole(_RUNNING_CODE, "code", "codeop", "runpy", "importlib", "ast", "dis"),
    **_whole(_FRAMES, "inspect", "traceback", "faulthandler", "pdb", "bdb"),
    # Numbers.
    "math": {"sumprod": "use sum(x * y for x, y in zip(a, b))", "fma": "use x * y + z"},
    **_whole(_NOT_DEFINED, "cmath"),
    **_whole(_STATISTICS, "statistics"),
}

#: What stays of modules of which everything else is refused: it depends on nothing but its arguments.
KEPT: Mapping[str, frozenset[str]] = {
    "os": frozenset(("path", "fspath", "PathLike", "fsencode", "fsdecode", "strerror")),
    "posixpath": frozenset(
        (
            *("basename", "commonpath", "commonprefix", "dirname", "isabs", "join", "normcase", "normpath"),
            *("split", "splitdrive", "splitext", "splitroot"),
        )
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
_SHOWN = {"posixpath": "os.path", "ntpath": "os.path", "_thread": "threading"}


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
