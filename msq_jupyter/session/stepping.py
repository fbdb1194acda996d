"""When the replica moves: on the main loop, between cells, in portions, and never in the middle of a cell.

The socket thread asks for a step with `wake`; the loop does it when it is free. A cell that runs keeps it waiting, and
`waiting_ms` says for how long.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Callable

from msq_jupyter.errors import MsqError, OutsideModelError
from msq_jupyter.session.follower import Follower, Happening
from msq_jupyter.session.interrupts import ModelRun, method_in

#: How long one portion of catching up may keep the main loop, in seconds.
PORTION_S = 0.02
#: A cell that keeps the replica waiting longer than this is worth telling, in milliseconds.
WAITING_MS = 500


class Stepper:
    """Steps a `Follower` on the loop that is running when it is made.

    Args:
        follower: what to step.
        handle: called with each thing that happened.
        after: called after each step.
        fail: called with an error that ends the session; there are no more steps then.
        interrupted: called with the method's name, or "", when the user interrupted a model; the replica must be made
            anew. It raises what ends the session.
    """

    def __init__(
        self,
        follower: Follower,
        handle: Callable[[Happening], None],
        after: Callable[[], None],
        fail: Callable[[MsqError], None],
        interrupted: Callable[[str], None],
    ) -> None:
        self._follower = follower
        self._handle = handle
        self._after = after
        self._fail = fail
        self._interrupted = interrupted
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._stepping = False
        self._ended = False
        self._woken_s: float | None = None
        self._run_began_s: float | None = None

    def wake(self) -> None:
        """Ask for a step; from any thread."""
        if self._woken_s is None:
            self._woken_s = time.monotonic()
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._step_portion)

    @property
    def waiting_ms(self) -> int:
        """For how long the loop has not come to a step, 0 when that is nothing to speak of; from any thread."""
        woken_s = self._woken_s
        waited_ms = 0 if woken_s is None else int((time.monotonic() - woken_s) * 1000)
        return waited_ms if waited_ms > WAITING_MS else 0

    @property
    def running_s(self) -> float:
        """For how long the model has been running without a pause, 0 when it is not; from any thread."""
        began_s = self._run_began_s
        return 0.0 if began_s is None else time.monotonic() - began_s

    @property
    def running_method(self) -> str:
        """The method of a model that runs just now, or ""; from any other thread."""
        return method_in(sys._current_frames().get(self._thread))

    def step(self) -> None:
        """Do everything there is to do, now.

        Raises:
            OutsideModelError: called from another thread than the one it was made on.
        """
        if threading.get_ident() != self._thread:
            raise OutsideModelError("step: expected the thread that joined the session; models move on no other")
        self._step(lambda: False)

    def _step_portion(self) -> None:
        self._woken_s = None
        deadline_s = time.monotonic() + PORTION_S
        if not self._step(lambda: time.monotonic() > deadline_s):
            self.wake()  # let the kernel do something else in between

    def _step(self, pause: Callable[[], bool]) -> bool:
        """Whether nothing is left to do."""
        if self._stepping or self._ended:
            return True
        done = True
        try:
            self._stepping = True
            if self._follower.behind:
                done = self._move(pause)
            while self._follower.happenings:
                self._handle(self._follower.happenings.popleft())
            self._after()
        finally:
            self._stepping = False
        return done

    def _move(self, pause: Callable[[], bool]) -> bool:
        done = True
        run = ModelRun()
        with run:
            try:
                self._run_began_s = time.monotonic()
                done = self._follower.step(self._watched(pause))
            except MsqError as error:
                self._end(error)
            except KeyboardInterrupt as interrupt:
                run.caught(interrupt)
            self._run_began_s = None
            if run.interrupted and not self._ended:
                # An event may be half executed here, and on no other replica.
                try:
                    self._interrupted(run.method)
                except MsqError as error:
                    self._end(error)
        run.pass_on()
        return done

    def end(self) -> None:
        """Step no more: another one takes over."""
        self._ended = True

    def _end(self, error: MsqError) -> None:
        self._ended = True
        self._fail(error)

    def _watched(self, pause: Callable[[], bool]) -> Callable[[], bool]:
        def watched() -> bool:
            self._run_began_s = time.monotonic()
            return pause()

        return watched
