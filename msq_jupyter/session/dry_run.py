"""Running a model on stored data in a scratch replica: nobody hears of it, and nothing is saved or written."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from msq_jupyter.errors import DryRunEnded, MsqError
from msq_jupyter.persistence.check_report import CheckedVersion
from msq_jupyter.persistence.records import schema_version_of
from msq_jupyter.runtime.codehash import identify
from msq_jupyter.runtime.happenings import HandlerFailed
from msq_jupyter.runtime.link import link
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.sources import library_of
from msq_jupyter.session.follower import Blueprint
from msq_jupyter.session.interrupts import ModelRun, interrupted_method
from msq_jupyter.session.time_limit import TimeIsUp, within
from msq_jupyter.stable import bytes_digest, content_value

#: How long one version may take to load, in seconds.
LIMIT_S = 10.0
#: Stands for the data there is now, where a version has its number.
NOW = 0
#: What is said of a model that swallowed the error of loading.
CAUGHT = "init caught an error of loading, so the data is not there and nothing will be saved"


def plan_for(model: type[Model], options: dict[str, object]) -> Blueprint:
    """What it takes to load versions with a model, linked apart from every session that runs.

    Raises:
        CodeIdentityError: the model's code cannot be identified.
        DeterminismError: the model's code keeps something where no other replica sees it.
    """
    return Blueprint("dry run", "dry run", link(identify(model, model_base=Model)), options)


def load(plan: Blueprint, number: int, content: bytes | None, limit_s: float = LIMIT_S) -> CheckedVersion:
    """Load one version, as a session that begins with it would.

    The user's interrupt ends it, too, and goes on to whoever would have had it.

    Args:
        plan: the model and its options.
        number: the version's.
        content: its data: canonical bytes, as stored; None begins without any.
        limit_s: `init`, and what it schedules for the same moment, may take so long, in seconds.
    """
    schema_version = None
    replica = plan.replica("dry run")
    try:
        persisted = None if content is None else content_value(content)
        if content is not None:
            schema_version = schema_version_of(persisted)
            replica.content_id = bytes_digest(content)
        _run(lambda: _begin(plan, replica, persisted), limit_s)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit() in a model must not end the kernel
        kind, place = type(error).__name__, _place(error.__cause__ or error)
        return CheckedVersion(number, False, schema_version, None, kind, str(error), place)
    pending = replica.pending_save
    after = None if pending is None else schema_version_of(content_value(pending.content))
    return CheckedVersion(number, True, schema_version, after, note=_note(replica))


def unreadable(number: int, error: MsqError) -> CheckedVersion:
    """What came of a version whose data could not be had."""
    return CheckedVersion(number, False, None, None, type(error).__name__, str(error))


def content_now(plan: Blueprint, replica: Replica, limit_s: float = LIMIT_S) -> bytes | None:
    """What the root model of a replica would save now.

    Its `save` method is called in a scratch copy: the model may have changed since it saved last. A root without
    such a method, or one that does not save just now, has what it collected last, if that waits to be stored.

    Args:
        plan: of the session the replica belongs to.
        replica: stays as it is.
        limit_s: saving may take so long, in seconds.

    Returns:
        Canonical bytes, or None when the replica holds nothing that is not stored.

    Raises:
        Exception: whatever `save` raises.
        DryRunEnded: it took longer, or the user interrupted it.
    """
    root = replica.root
    if callable(getattr(type(root), "save", None)):
        scratch, save = _scratch_copy(plan, replica), (type(root).__qualname__, "save")
        scratch.schedule.add(scratch.time_ms, 0.0, root.id, "save", ())
        _run(lambda: scratch.advance(scratch.time_ms), limit_s)
        for happening in scratch.happenings:
            if isinstance(happening, HandlerFailed) and (happening.model, happening.method) == save:
                raise happening.error
        if scratch.saves:
            return scratch.saves[-1].content
    return replica.saves[-1].content if replica.saves else None


def _scratch_copy(plan: Blueprint, replica: Replica) -> Replica:
    """A copy in which nothing is skipped as saved already."""
    scratch = plan.replica(replica.run)
    scratch.restore(replica.snapshot())
    scratch.saves.clear()
    scratch.content_id = ""
    return scratch


def _begin(plan: Blueprint, replica: Replica, persisted: object) -> None:
    """Run `init`, and what it scheduled for this very moment: many models finish loading there."""
    plan.start(replica, persisted)
    replica.advance(replica.time_ms)


def _run(function: Callable[[], object], limit_s: float) -> None:
    run = ModelRun()
    cause: KeyboardInterrupt | None = None
    with run:
        try:
            within(limit_s, function)
        except TimeIsUp as error:
            cause = error
        except KeyboardInterrupt as interrupt:
            run.caught(interrupt)
            cause = interrupt
    run.pass_on()
    if isinstance(cause, TimeIsUp):
        method = interrupted_method(cause) or "the model"
        raise DryRunEnded(f"{method} did not end within {limit_s:g} seconds, and was ended") from cause
    if run.interrupted:
        raise DryRunEnded(f"{run.method or 'the model'} was interrupted") from cause


def _note(replica: Replica) -> str:
    if getattr(replica.root, "load_failed", False) is True:
        return CAUGHT
    failed = [happening for happening in replica.happenings if isinstance(happening, HandlerFailed)]
    return "; ".join(f"{one.model}.{one.method} failed with {type(one.error).__name__}: {one.error}" for one in failed)


def _place(error: BaseException) -> str:
    """The innermost model method and the innermost line of the user's own: `Notes.add_titles, lesson.py line 12`."""
    method, place = "", ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        if library_of(frame.f_globals.get("__name__") or "__main__") is None:
            owner = frame.f_locals.get("self")
            method = f"{type(owner).__name__}.{code.co_name}" if isinstance(owner, Model) else method or code.co_name
            place = f"{method}, {_file_text(code.co_filename)} line {line}"
    return place


def _file_text(filename: str) -> str:
    """A cell's text is kept under a name that says nothing to people."""
    return "cell" if "ipykernel_" in filename or filename.startswith("<ipython-input") else filename
