"""`%%live session`: a cell that runs at once, and again whenever what it has read of the session's model is another.

It runs on the main loop, never in the middle of another cell, at most thirty times a second, and after a slow run it
leaves the kernel as much time as it took. What it shows replaces what it showed before: each output has a display id of
its own and is updated in place, so nothing is cleared and nothing jumps, and a saved notebook holds the last one.
"""

from __future__ import annotations

import ast
import logging
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.display import display

from msq_jupyter.jupyter.live_output import LiveOutput, Outputs, captured
from msq_jupyter.runtime.paths import same
from msq_jupyter.runtime.reads import Read
from msq_jupyter.session.interrupts import ModelRun
from msq_jupyter.widgets.bindings import Binding
from msq_jupyter.widgets.session import Session

if TYPE_CHECKING:
    from types import CodeType

logger = logging.getLogger("msq_jupyter")

#: The shortest time from one run to the next, in seconds.
FRAME_S = 1 / 30


class LiveCell(Binding):
    """One live cell; made by `%%live`.

    Args:
        session: whose model it reads.
        shell: the IPython shell it belongs to.
        source: its code.
    """

    def __init__(self, session: Session, shell: Any, source: str) -> None:
        super().__init__(session)
        self._shell = shell
        self._code = _Code(shell, source)
        self._output: LiveOutput | None = None
        self._good = Outputs([])
        self._known: dict[Read, Any] = {}
        self._outside: Any = None
        self._waits = False
        self._not_before_s = 0.0
        self._is_running = False
        self.begin()

    def attach(self) -> None:
        """See `Binding.attach`. It runs at once; of another model `look` hears by itself."""
        if self._output is None:
            self._output = LiveOutput(self._shell.display_pub)
            self._run(in_a_cell=True)

    def look(self) -> None:
        """See `Binding.look`."""
        if not self._waits and not self._is_running and self._has_changed():
            self._ask()

    def _has_changed(self) -> bool:
        outside = self._session.outside
        if outside is not self._outside:
            return True  # the replica was made anew
        return any(not same(outside.value_of(read), value) for read, value in self._known.items())

    # --- running -------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Have it run as soon as it may."""
        self._waits = True
        wait_s = max(self._not_before_s - time.monotonic(), 0)
        self._session.loop.call_later(wait_s, self._run_when_idle)

    def _run_when_idle(self) -> None:
        if self._cells is not None and self._cells.is_running:
            self._cells.when_idle(lambda: self._session.loop.call_soon(self._run_when_idle))
            return
        self._waits = False
        if not self._ended:
            self._run(in_a_cell=False)

    def _run(self, *, in_a_cell: bool) -> None:
        """Run it, and show what has come of it.

        Args:
            in_a_cell: whether an interrupt is the cell's business; between cells the kernel would ignore it.
        """
        began_s = time.monotonic()
        self._is_running = True
        try:
            with nullcontext() if in_a_cell else ModelRun(inside=frozenset()):
                self._run_and_show()
        except KeyboardInterrupt:
            if in_a_cell:
                raise
            self._show("KeyboardInterrupt: this live cell has ended; run it to begin again")
            self.end()
        finally:
            self._is_running = False
            now_s = time.monotonic()
            self._not_before_s = now_s + max(FRAME_S - (now_s - began_s), now_s - began_s)

    def _run_and_show(self) -> None:
        error = ""
        outside = self._session.outside
        with outside.recording() as reads:
            try:
                with captured(self._shell.display_pub) as outputs:
                    self._code.run(self._shell)
                self._good = outputs
            except KeyboardInterrupt:
                raise
            except BaseException as raised:  # sys.exit() must not end the kernel
                error = self._code.traceback(self._shell, raised)
        self._outside = outside
        self._known = {read: outside.value_of(read) for read in reads}
        self._show(error)

    def _show(self, error: str) -> None:
        """Show what the last run that worked has brought, and why there is nothing newer."""
        if self._output is not None:
            self._output.show(self._good, error)

    def __repr__(self) -> str:
        return f"<LiveCell of {self._session.name!r}>"


class _Code:
    """The code of a live cell, compiled once."""

    def __init__(self, shell: Any, source: str) -> None:
        text = "\n" + shell.transform_cell(source)  # lines count from the one with %%live, as the notebook shows them
        number = len(shell.history_manager.input_hist_parsed) - 1  # `execution_count` may be the next cell's already
        self._file = shell.compile.cache(text, number, raw_code=text)
        tree = ast.parse(text, self._file)
        last = tree.body[-1] if tree.body else None
        self._value: CodeType | None = None
        if isinstance(last, ast.Expr) and not source.rstrip().endswith(";"):
            tree.body.pop()
            self._value = compile(ast.Expression(last.value), self._file, "eval")
        self._body = compile(tree, self._file, "exec")

    def run(self, shell: Any) -> None:
        """Run it with the names of the notebook; the value of a last line is displayed."""
        exec(self._body, shell.user_ns)
        if self._value is not None:
            value = eval(self._value, shell.user_ns)
            if value is not None:
                display(value)  # type: ignore[no-untyped-call]

    def traceback(self, shell: Any, error: BaseException) -> str:
        """The traceback of an error, from the cell on."""
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != self._file:
            trace = trace.tb_next
        lines = shell.InteractiveTB.structured_traceback(type(error), error, trace)
        return "\n".join(lines)


def live(shell: Any, line: str, cell: str) -> None:
    """What `%%live` does.

    Args:
        shell: the IPython shell.
        line: an expression whose value is the session; "session" if it is empty.
        cell: the code.

    Raises:
        UsageError: it is no session.
        SessionClosed: the session has been left.
        SyntaxError: the code is none.
    """
    name = line.strip() or "session"
    try:
        session = shell.ev(name)
    except Exception as error:
        raise UsageError(f"%%live: expected a session, as in %%live session, got {name}: {error}") from None
    if not isinstance(session, Session):
        raise UsageError(f"%%live: expected a session, as in %%live session, got {name}, a {type(session).__name__}")
    session.require_open()
    LiveCell(session, shell, cell)


def load(shell: Any) -> None:
    """Register `%%live`."""

    def live_cell(line: str, cell: str) -> None:
        """Run this cell now, and again whenever what it has read of a session's model is another.

        ::

            %%live session
            plt.bar(list(session.model.votes), session.model.votes.values())

        It never runs in the middle of another cell. When it fails, the last good output stays, with the error below
        it, and the next change tries again. Running the cell anew replaces it; deleting it ends it. `await` is not
        possible in it. What it prints stands above what it displays.
        """
        live(shell, line, cell)

    shell.register_magic_function(live_cell, "cell", "live")
