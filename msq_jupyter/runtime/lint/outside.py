"""MSQ1xx: the world outside the model, which is another one for each replica."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from msq_jupyter.runtime.lint.classes import Site
from msq_jupyter.runtime.lint.finding import ERROR, WARNING
from msq_jupyter.runtime.lint.rule import Hit, Rule, called, handler, model, text_of

_CLOCKS = (
    *("time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns"),
    *("time.process_time", "time.process_time_ns", "time.thread_time", "time.thread_time_ns", "timeit.*"),
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
    *("pandas.Timestamp.now", "pandas.Timestamp.today", "pandas.Timestamp.utcnow"),
)
_CHANCE = ("random.*", "secrets.*", "os.urandom", "uuid.uuid1", "uuid.uuid4", "numpy.random.*")
_MACHINE = (
    *("os.environ", "os.environb", "os.getenv", "os.getpid", "os.getppid", "os.getcwd", "os.getlogin", "os.uname"),
    *("os.cpu_count", "os.name", "sys.platform", "sys.version", "sys.version_info", "sys.argv", "sys.path"),
    *("sys.executable", "sys.hexversion", "sys.implementation", "platform.*", "getpass.getuser", "socket.gethostname"),
)
_NAIVE = {f"datetime.datetime.{name}" for name in ("now", "utcnow", "today", "fromtimestamp", "fromisoformat")}
_NAIVE |= {"datetime.datetime", "datetime.datetime.utcfromtimestamp"}


def _zone_of_this_machine(node: ast.AST, site: Site) -> Iterator[Hit]:
    """Methods of a `datetime` without a zone: nothing can stand in for them, as for functions of the module."""
    assert isinstance(node, ast.Call)
    if not isinstance(node.func, ast.Attribute) or node.args or node.keywords:
        return
    owner = site.names.value(node.func.value)
    is_naive = (
        isinstance(owner, ast.Call)
        and site.names.qualified(owner.func) in _NAIVE
        and not any(word in ast.unparse(owner) for word in ("tz", "utc", "UTC"))
    )
    if node.func.attr == "astimezone" or (node.func.attr == "timestamp" and is_naive):
        yield node, text_of(node)


def _waiting(node: ast.AST, site: Site) -> Iterator[Hit]:
    words: dict[type[ast.AST], str] = {
        ast.AsyncFunctionDef: f"async def {getattr(node, 'name', '')}",
        ast.Await: "await",
        ast.AsyncFor: "async for",
        ast.AsyncWith: "async with",
    }
    if isinstance(site.node, ast.AsyncFunctionDef) and node is not site.node:
        return  # said once, at its head
    yield node, words[type(node)]


def _value_of_this_kernel(node: ast.AST, site: Site) -> Iterator[Hit]:
    """A mention counts when it is called now, or is data: `after = time.time` only names the function."""
    name = site.names.qualified(node) or ""
    is_seeded = name in ("random.Random", "numpy.random.default_rng") and (call := called(node, site)) and call.args
    if (called(node, site) and not is_seeded) or name.startswith(("os.environ", "sys.", "os.name")):
        yield node, name


RULES = (
    Rule(
        code="MSQ101",
        name="wall-clock",
        severity=WARNING,
        message="{what} asks for the time of day, and a model only has the session's time",
        remedy="use self.now(), in milliseconds; what needs the date comes from a view, as data of an event",
        why="Replicas run an event at different moments, and again when somebody joins later. Linked code gets session "
        "time instead, which counts from the session's start and is rarely what was meant.",
        bad=handler("self.voted_at = time.time()  # <-", above="import time"),
        good=handler("self.voted_at = self.now()"),
        names=_CLOCKS,
    ),
    Rule(
        code="MSQ102",
        name="real-randomness",
        severity=ERROR,
        message="{what} draws other numbers on every replica",
        remedy="use self.random(), self.random_int(a, b), self.choice(items), self.shuffle(items) or "
        "self.generate_id()",
        why="The functions of `random` are replaced by the session's own stream when code is linked. Generators of "
        "your own, a new seed, and real secrets are not.",
        bad=handler("self.winner = secrets.choice(self.names)  # <-", above="import secrets"),
        good=handler("self.winner = self.choice(self.names)"),
        names=(
            *("random.Random", "random.SystemRandom", "random.seed", "random.getstate", "random.setstate"),
            *("secrets.*", "os.urandom", "os.getrandom", "uuid.*"),
        ),
    ),
    Rule(
        code="MSQ103",
        name="files",
        severity=ERROR,
        message="{what} touches files, and every replica has others",
        remedy="read the file in a cell and publish what is in it; save with self.persist_session(...)",
        why="A file is on one machine. The other replicas would read something else, or nothing.",
        bad=handler('self.words = open("words.txt").read().split()  # <-'),
        good=handler("self.words = choice.split()"),
        names=(
            *("builtins.open", "io.*", "pathlib.*", "posixpath.*", "shutil.*", "tempfile.*", "glob.*", "fileinput.*"),
            *("sqlite3.*", "dbm.*", "linecache.*", "mmap.*", "zipfile.*", "tarfile.*", "filecmp.*", "mimetypes.*"),
            *("os.open", "os.listdir", "os.scandir", "os.walk", "os.stat", "os.remove", "os.mkdir", "os.makedirs"),
            *("os.rename", "os.replace", "os.unlink", "os.rmdir", "os.chdir"),
            *("numpy.load", "numpy.loadtxt", "numpy.genfromtxt", "numpy.fromfile", "numpy.save", "numpy.savez"),
            *("numpy.savetxt", "numpy.memmap", "pandas.read_csv", "pandas.read_excel", "pandas.read_parquet"),
            *("pandas.read_json", "pandas.read_sql"),
        ),
    ),
    Rule(
        code="MSQ104",
        name="network",
        severity=ERROR,
        message="{what} asks the network, and every replica would get an answer of its own",
        remedy="ask in a cell or a view, and publish the answer",
        why="Answers differ by place and time, and a model that waits keeps the session waiting.",
        bad=handler("self.page = requests.get(choice).text  # <-", above="import requests"),
        good=handler("self.page = choice"),
        names=(
            *("socket.*", "ssl.*", "urllib.request.*", "http.client.*", "http.server.*", "ftplib.*", "smtplib.*"),
            *("imaplib.*", "poplib.*", "telnetlib.*", "socketserver.*", "xmlrpc.client.*", "xmlrpc.server.*"),
            *("webbrowser.*", "requests.*", "httpx.*", "aiohttp.*", "websockets.*", "urllib3.*", "tornado.*", "zmq.*"),
            *("paramiko.*", "boto3.*", "redis.*"),
        ),
    ),
    Rule(
        code="MSQ105",
        name="subprocess",
        severity=ERROR,
        message="{what} starts a program, on every replica",
        remedy="start it in a cell or a view, and publish what came of it",
        why="Every participant's machine would run it, at every replay again.",
        bad=handler('subprocess.run(["convert", choice])  # <-', above="import subprocess"),
        good=handler('self.publish("images", "convert", choice)'),
        names=(
            *("subprocess.*", "multiprocessing.*", "pty.*", "signal.*", "ctypes.*"),
            *("os.system", "os.popen", "os.fork", "os.kill", "os.posix_spawn", "os.startfile", "os.execv", "os.spawnv"),
        ),
    ),
    Rule(
        code="MSQ106",
        name="this-machine",
        severity=ERROR,
        message="{what} is another on every machine",
        remedy="pass it with options= when joining, or publish it from a view",
        why="Environment, process, platform and version of Python belong to one participant.",
        bad=handler('self.course = os.environ["COURSE"]  # <-', above="import os"),
        good=model("def init(self, options):", '    self.course = options["course"]'),
        names=(
            *("os.*", "sys.*", "platform.*", "sysconfig.*", "site.*", "pwd.*", "resource.*"),
            *("getpass.getuser", "socket.gethostname"),
        ),
    ),
    Rule(
        code="MSQ107",
        name="threads",
        severity=ERROR,
        message="{what} lets things happen in an order of their own",
        remedy="use self.future(ms).method() for what happens later; compute in a cell and publish the result",
        why="Threads, tasks and signals interleave differently on every replica.",
        bad=handler("threading.Timer(5, self.close).start()  # <-", above="import threading")
        + "\n    def close(self):\n        self.is_open = False\n",
        good=handler("self.future(5000).close()") + "\n    def close(self):\n        self.is_open = False\n",
        names=(
            *("threading.*", "_thread.*", "concurrent.futures.*", "queue.*", "select.*", "selectors.*", "asyncio.*"),
            *("trio.*", "anyio.*", "contextvars.*"),
        ),
    ),
    Rule(
        code="MSQ108",
        name="async",
        severity=ERROR,
        message="{what} waits for an event loop, which a model does not have",
        remedy="write a plain method, and continue in another one by self.future(ms).method() or an event",
        why="A handler runs from its first line to its last at one moment of session time. A coroutine would be made "
        "and never run.",
        bad=model("async def vote(self, choice):  # <-", "    self.choice_made = choice"),
        good=model("def vote(self, choice):", "    self.choice_made = choice"),
        nodes=(ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith),
        check=_waiting,
    ),
    Rule(
        code="MSQ109",
        name="sleep",
        severity=ERROR,
        message="{what} would stop the session for everybody",
        remedy="use self.future(ms).method() for the rest",
        why="Time in a model is the session's, and stands still within one event.",
        bad=handler("time.sleep(1)  # <-", above="import time"),
        good=handler("self.future(1000).close()") + "\n    def close(self):\n        self.is_open = False\n",
        names=("time.sleep", "asyncio.sleep", "trio.sleep", "anyio.sleep", "sched.*"),
    ),
    Rule(
        code="MSQ110",
        name="input",
        severity=ERROR,
        message="{what} asks the person at one machine",
        remedy="ask in a cell or with a widget, and publish the answer",
        why="Every participant would be asked, and would answer differently.",
        bad=handler('self.title = input("title? ")  # <-'),
        good=handler("self.title = choice"),
        names=("builtins.input", "builtins.breakpoint", "getpass.*", "pdb.*", "bdb.*"),
    ),
    Rule(
        code="MSQ111",
        name="eval",
        severity=ERROR,
        message="{what} runs code that is not part of the session's code",
        remedy="write it as a function or a table of functions",
        why="The code that all replicas agree on is what they can see when they join; text that arrives later is not, "
        "and whoever may publish could run anything on everybody's machine.",
        bad=handler("self.result = eval(choice)  # <-"),
        good=handler("self.result = OPERATIONS[choice](1, 2)", above='OPERATIONS = {"max": max, "min": min}'),
        names=(
            *("builtins.eval", "builtins.exec", "builtins.compile", "builtins.__import__", "importlib.*", "runpy.*"),
            *("code.*", "codeop.*", "ast.*", "dis.*"),
        ),
    ),
    Rule(
        code="MSQ112",
        name="local-time-zone",
        severity=ERROR,
        message="{what} uses the time zone of this machine",
        remedy="write datetime.timestamp(moment) or datetime.astimezone(moment, timezone.utc), which take it as UTC",
        why="Participants live in different time zones. In linked code, the functions of `time` and `datetime` "
        "mean UTC; methods of a time without a zone cannot be replaced.",
        bad=handler(
            "self.closes_at = datetime(2030, 1, choice).timestamp()  # <-", above="from datetime import datetime"
        ),
        good=handler(
            "self.closes_at = datetime.timestamp(datetime(2030, 1, choice))", above="from datetime import datetime"
        ),
        nodes=(ast.Call,),
        check=_zone_of_this_machine,
    ),
    Rule(
        code="MSQ113",
        name="decided-at-definition",
        severity=ERROR,
        message="{what} is evaluated when the class is defined, so every kernel has code of its own",
        remedy="evaluate it in init, from self.now(), self.random() or options",
        why="Defaults, class attributes and constants are part of the code's identity. When they differ, every "
        "participant is alone in a session.",
        bad=handler("self.secret = SECRET", above="import random\n\nSECRET = random.random()  # <-"),
        good=model("def init(self, options):", "    self.secret = self.random()"),
        names=(*_CLOCKS, *_CHANCE, *_MACHINE),
        check=_value_of_this_kernel,
        at_definition=True,
    ),
    Rule(
        code="MSQ114",
        name="not-in-model-code",
        severity=ERROR,
        message="{what} is not available in model code",
        remedy="write it with what gives the same result everywhere",
        why="What a member of the standard library gives can differ between versions of Python, or make no sense in a "
        "model. Linked code gets an error instead.",
        bad=handler("self.copy = pickle.dumps(choice)  # <-", above="import pickle"),
        good=handler("self.copy = json.dumps(choice, sort_keys=True)", above="import json"),
        names=("pickle.*", "shelve.*", "marshal.*", "zoneinfo.*", "builtins.dir", "builtins.help", "builtins.display"),
    ),
)

#: The rule about what linking refuses and no other rule is about.
NOT_IN_MODEL_CODE = RULES[-1]
