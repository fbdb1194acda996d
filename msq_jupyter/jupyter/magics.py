"""`%msq COMMAND`: parses a line, and runs a command of the table in `commands`.

Commands wait for the synchronizer, and a magic is a plain function: so a line at the top level of a cell is given an
`await` after IPython has made Python of it. Elsewhere, inside of a function, the command runs on in the background,
and what comes of it is shown when it is there.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import re
import shlex
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, NoReturn

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.error import UsageError
from IPython.core.magic import no_var_expand

from msq_jupyter.errors import MsqError
from msq_jupyter.jupyter.commands import COMMANDS, models_in, sessions_in

if TYPE_CHECKING:
    from typing import TypeGuard

MAGIC = "msq"

#: A line of ours up to some word, perhaps with an assignment before; the words in between.
_LINE = re.compile(rf"\s*(?:[\w, ]+=\s*)?%{MAGIC}\s+(.*)")


class _HelpShown(Exception):
    """Help was asked for, and printed."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}; %{self.prog.removeprefix('%')} --help says more")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise _HelpShown


class Running:
    """A command on its way; at the top level of a cell it is awaited.

    Args:
        task: the command.
        shell: where what comes of it is shown, if nobody waits for it.
    """

    def __init__(self, task: asyncio.Task[Any], shell: Any) -> None:
        self._task = task
        self._shell = shell
        self._awaited = False
        task.add_done_callback(self._on_done)

    def __await__(self) -> Generator[Any, None, Any]:
        self._awaited = True
        return self._task.__await__()

    def _ipython_display_(self) -> None:
        """Nothing is there to be shown yet."""

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        if self._awaited or task.cancelled():
            return
        error = task.exception()
        if error is not None:
            print(f"%{MAGIC}: {error}")
        elif task.result() is not None:
            data, metadata = self._shell.display_formatter.format(task.result())
            if data:
                self._shell.display_pub.publish(data, metadata)


class Magics:
    """The magic of one shell.

    Args:
        shell: the shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._parsers = {name: _parser(name) for name in COMMANDS}
        shell.register_magic_function(self.run, "line", MAGIC)
        shell.input_transformers_post.append(self.await_commands)
        self._matcher = _matcher(self.complete)
        shell.Completer.custom_matchers.append(self._matcher)

    def stop(self) -> None:
        """Take the magic away."""
        self._shell.magics_manager.magics["line"].pop(MAGIC, None)
        if self.await_commands in self._shell.input_transformers_post:
            self._shell.input_transformers_post.remove(self.await_commands)
        if self._matcher in self._shell.Completer.custom_matchers:
            self._shell.Completer.custom_matchers.remove(self._matcher)

    @no_var_expand
    def run(self, line: str) -> Running:
        """What `%msq LINE` does.

        Raises:
            UsageError: not a command, or not what it takes; nothing has happened.
        """
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise UsageError(f"%{MAGIC}: {error}: {line}") from None
        if not words or words[0] in ("-h", "--help", "help"):
            print(_overview())
            return self._running(_nothing())
        name, *rest = words
        if name not in COMMANDS:
            raise UsageError(f"%{MAGIC}: expected one of {', '.join(COMMANDS)}; got {name}")
        try:
            options = self._parsers[name].parse_args(rest)
        except _HelpShown:
            return self._running(_nothing())
        return self._running(self._delegate(name, options))

    def _running(self, command: Coroutine[Any, Any, Any]) -> Running:
        try:
            return Running(asyncio.get_running_loop().create_task(command), self._shell)
        except RuntimeError:
            command.close()
            raise UsageError(f"%{MAGIC}: expected a loop that runs, as notebooks have: see %autoawait") from None

    async def _delegate(self, name: str, options: argparse.Namespace) -> Any:
        try:
            return await COMMANDS[name].run(self._shell.user_ns, options)
        except MsqError as error:
            raise UsageError(f"%{MAGIC} {name}: {error}") from error

    def await_commands(self, lines: list[str]) -> list[str]:
        """Have the commands of a cell awaited, where that can be: not inside of functions."""
        text = "".join(lines)
        if f"run_line_magic('{MAGIC}'" not in text or not self._shell.autoawait:
            return lines
        try:
            tree = ast.parse(text)
        except SyntaxError:  # await stands in the cell already, or it is no Python at all
            try:
                tree = compile(text, "<cell>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            except SyntaxError:
                return lines
        places = sorted({(call.lineno, call.col_offset) for call in _calls(tree)}, reverse=True)
        encoded = [line.encode() for line in text.splitlines(keepends=True)]
        for line_number, column in places:
            line = encoded[line_number - 1]
            encoded[line_number - 1] = line[:column] + b"await " + line[column:]
        return [line.decode() for line in encoded]

    def complete(self, line: str, begun: str) -> list[str] | None:
        """What may come next in a line: commands, options, and what options take; None when it is no line of ours.

        Args:
            line: what stands before the cursor.
            begun: the end of it, as far as it may be completed.
        """
        found = _LINE.match(line.removesuffix(begun))
        if found is None:
            return None
        before = found[1].split()
        words = self._words(before[0], before[-1]) if before else list(COMMANDS)
        return [word for word in words if word.startswith(begun)]

    def _words(self, name: str, last: str) -> list[str]:
        names = self._shell.user_ns
        if name not in COMMANDS:
            return []
        if last == "--session":
            return list(sessions_in(names))
        if last == "--model":
            return list(models_in(names))
        actions = self._parsers[name]._actions
        for action in actions:
            if last in action.option_strings and action.choices is not None:
                return [str(choice) for choice in action.choices]
        options = [option for action in actions for option in action.option_strings if option.startswith("--")]
        return [*COMMANDS[name].words, *options]


def _matcher(complete: Callable[[str, str], list[str] | None]) -> Any:
    """A matcher for IPython's completer, in whose lines nobody else is asked: what is there in Python has no place."""

    @context_matcher(identifier=f"%{MAGIC}")  # type: ignore[untyped-decorator]
    def match(context: CompletionContext) -> SimpleMatcherResult:
        words = complete(context.text_until_cursor, context.token)
        completions = [SimpleCompletion(text=word, type="magic") for word in words or ()]
        return {"completions": completions, "suppress": words is not None, "ordered": True}

    return match


async def _nothing() -> None:
    """What a line comes to that only printed something."""


def _parser(name: str) -> argparse.ArgumentParser:
    command = COMMANDS[name]
    parser = _Parser(prog=f"%{MAGIC} {name}", description=command.summary[0].upper() + command.summary[1:] + ".")
    for flags, details in command.arguments:
        parser.add_argument(*flags, **details)
    return parser


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {command.name:<{width}}  {command.summary}" for command in COMMANDS.values()]
    return "\n".join([f"%{MAGIC} COMMAND; %{MAGIC} COMMAND --help says more.", *lines])


def _calls(tree: ast.AST) -> list[ast.Call]:
    """The calls of the magic that stand where `await` may stand."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda | ast.Await):
            continue
        if _is_ours(node):
            found.append(node)
        found += _calls(node)
    return found


def _is_ours(node: ast.AST) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "run_line_magic"
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
        and node.args[0].value == MAGIC
    )
