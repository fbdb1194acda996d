"""Every exception that `msq_jupyter` raises, in one tree with three branches.

* `AuthorError`: the model, the cell or the call has to change; the message shows how.
* `PeerError`: the other side of the wire (the synchronizer, another participant, the stored data) is at fault.
* `InternalError`: we are at fault; please report it.

A message names what was expected, what came, where, and what to do. Facts a program may need are attributes.
"""

from __future__ import annotations

import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Any


class MsqError(Exception):
    """Root of everything this package raises on purpose."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the user's own lines and what to do, not the way through this package."""
        lines: list[str] = []
        if self.__cause__ is not None:
            lines += [*_lines_of_users(self.__cause__), *traceback.format_exception_only(self.__cause__), "\n"]
        lines += [*_lines_of_users(self), f"{type(self).__name__}: {self}"]
        return "".join(lines).splitlines()


def _lines_of_users(error: BaseException) -> list[str]:
    hidden = [Path(__file__).parent, Path(sysconfig.get_path("stdlib")) / "asyncio"]
    ipython: Any = sys.modules.get("IPython")
    shell = None
    if ipython is not None:
        hidden.append(Path(ipython.__file__).parent)
        shell = ipython.get_ipython()
    lines: list[str] = []
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith(tuple(map(str, hidden))):
            cell = shell.compile.format_code_name(frame.filename) if shell else None
            place = " ".join(cell) if cell else f'File "{frame.filename}"'
            function = "" if frame.name == "<module>" else f", in {frame.name}"
            lines += [f"{place}, line {frame.lineno}{function}\n", f"    {frame.line}\n"]
    return lines


# --- the author's fault ------------------------------------------------------------------------------------------


class AuthorError(MsqError):
    """The model, the cell or the call has to change."""


class ArgumentError(AuthorError, ValueError):
    """An argument of a public function has a wrong type or value."""


class ModelCreationError(AuthorError, TypeError):
    """A model was made with `MyModel()` instead of `MyModel.create()`, or outside model code."""


class OutsideModelError(AuthorError):
    """Something that only model code may do was called from a cell, a widget or a view."""


class ModelWriteError(AuthorError):
    """A cell, a widget or a view tried to change a model; `path` says what."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class SubscriptionError(AuthorError, ValueError):
    """A topic or a handler that cannot be subscribed, published or unsubscribed."""


class ScheduleError(AuthorError, ValueError):
    """A future message into the past, to an unknown method, or of an unknown handle."""


class EventNeverEnds(AuthorError):
    """The user interrupted a model twice in the same event: whoever joins would be stuck there again."""


class NestingTooDeep(AuthorError, RecursionError):
    """Publishing or creating led back to itself again and again, within one event."""


class StateError(AuthorError, TypeError):
    """A model or an event holds a value that cannot be replicated; `path` says where."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class DeterminismError(AuthorError):
    """Model code asks for what differs between kernels, or keeps something where no snapshot holds it."""


class PersistenceTypeError(AuthorError, TypeError):
    """Data given to `persist_session` is not plain JSON; `path` says where."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class SaveMethodMissing(AuthorError, TypeError):
    """The root model has no method `save`, so there is no way to have it collect what it wants saved."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"expected {kind} to have a method save, which collects what is to be saved, got none; write one:\n"
            "    def save(self):\n"
            '        self.persist_session(lambda: {"version": 1, "notes": self.notes})'
        )


class NothingCollected(AuthorError):
    """The root model's `save` ended without a call of `persist_session`."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            f"{kind}.save ended without self.persist_session(...), so nothing was saved: does it return early, because "
            "loading failed or goes on?"
        )


class EventTooLarge(AuthorError, ValueError):
    """An event is larger than the synchronizer takes."""

    def __init__(self, size_bytes: int, limit_bytes: int, topic: str) -> None:
        super().__init__(
            f"the event {topic} has {size_bytes:,} bytes; an event may have at most {limit_bytes:,} bytes: "
            "send it in parts, or send what is needed to compute it"
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes
        self.topic = topic


class ContentTooLarge(AuthorError, ValueError):
    """Saved data, or the models as a whole, are larger than the synchronizer takes."""

    def __init__(self, what: str, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"{what} has {size_bytes:,} bytes, and at most {limit_bytes:,} can be stored: keep less, or only what "
            "cannot be computed again"
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class CodeIdentityError(AuthorError, TypeError):
    """The code of a model cannot be identified, so no two kernels could agree on it."""


class ModelInitError(AuthorError):
    """`init` of the root model raised; the cause is the author's own exception."""


class ViewInitError(AuthorError):
    """`__init__` of the view raised; the cause is the author's own exception."""


class PersistedDataError(ModelInitError):
    """`init` raised while it was given persisted data; nothing was overwritten. `version` is its number."""

    def __init__(self, message: str, version: int) -> None:
        super().__init__(message)
        self.version = version


class CodeEditRefused(AuthorError):
    """Edited code cannot take over, and the session goes on with the code it has; `report` says what was tried."""

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message)
        self.report = report


class DryRunEnded(AuthorError):
    """A model in a scratch replica took too long, or the user interrupted it; nothing else has changed."""


class SchemaError(AuthorError, TypeError):
    """A `PersistentModel`, or a migration of it, is not written as it must be."""


class MigrationMissing(AuthorError, LookupError):
    """A `PersistentModel` has no migration from `step`, on the way from `saved_version` to `schema_version`."""

    def __init__(self, kind: str, step: int, saved_version: int, schema_version: int) -> None:
        saved = f"version {saved_version}" if saved_version else "no version, which counts as version 0"
        super().__init__(
            f"{kind} is at version {schema_version} and the saved data has {saved}: there is no migration from version "
            f"{step} to {step + 1}; write a method of {kind} with @migration({step}) that returns the migrated data"
        )
        self.step = step
        self.saved_version = saved_version
        self.schema_version = schema_version


class SchemaTooNew(AuthorError, ValueError):
    """Data of `saved_version` was saved by newer code than this one, which knows `schema_version`."""

    def __init__(self, kind: str, saved_version: int, schema_version: int) -> None:
        super().__init__(
            f"the saved data has version {saved_version}, and {kind} knows versions up to {schema_version}: newer code "
            "saved it, so run the cell with the newer code, or join with persisted= and the number of an older version"
        )
        self.saved_version = saved_version
        self.schema_version = schema_version


class ReplicaDiverged(AuthorError):
    """A replica came to differ from the others, was found, and restored; it is told, never raised.

    Attributes:
        path: where, for example `Poll.votes.yes`; "" when that could not be told.
        wrong: the value there that was wrong, as text.
        right: the value that the others have.
    """

    def __init__(self, path: str, wrong: str, right: str, *, wrong_place: str, right_place: str) -> None:
        whose = "this replica" if wrong_place == "here" else f"{wrong_place.removeprefix('at ')} replica"
        remedy = "model code is not deterministic: see msq lint"
        if path:
            attribute = path.partition(".")[2]
            where = f"what sets {attribute} differs from kernel to kernel" if attribute else "it depends on the kernel"
            text = f"{path}: {wrong} {wrong_place}, {right} {right_place}; {whose} was restored; {where}: {remedy}"
        else:
            text = f"{whose} came to differ from the others, nobody knows where, and was restored: {remedy}"
        super().__init__(text)
        self.path = path
        self.wrong = wrong
        self.right = right


# --- the peer's fault --------------------------------------------------------------------------------------------


class PeerError(MsqError):
    """The other side of the wire, or stored data, is at fault."""


class SynchronizerUnreachable(PeerError, ConnectionError):
    """No synchronizer answers at the URL, or the local one did not start."""


class SynchronizerRefused(PeerError, ConnectionError):
    """The synchronizer answered and said no."""


class ReadOnlyMember(PeerError, PermissionError):
    """This participant may look and nothing more: its access token says so."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"expected a token with the scope join to send {what}, and the access token of this participant is "
            "read-only: ask for another one, and join again"
        )


class WrongPassword(PeerError):
    """The name is in use with another password."""


class JoinTimeout(PeerError, TimeoutError):
    """`join` did not settle within `join_timeout_s`."""


class RestoreTimeout(PeerError, TimeoutError):
    """A version was not restored, or what came of it not stored, in time."""


class ProtocolError(PeerError):
    """A frame that no correct peer sends."""


class SealBroken(PeerError):
    """Sealed data was changed, forged, replayed, reordered, or belongs to another place."""


class VersionMissing(PeerError, LookupError):
    """The synchronizer has no such version."""


class NameMissing(PeerError, LookupError):
    """The synchronizer has nothing under this app and name."""


class VersionDamaged(PeerError):
    """A stored version is not what was saved; `number` says which. Its neighbours still load.

    `damaged` is the number of the version whose bytes are damaged: itself, or the one it is stored as a patch of.
    """

    def __init__(self, number: int, damaged: int = 0) -> None:
        self.number = number
        self.damaged = damaged or number
        what = f"version {number} as it was saved"
        if self.damaged != number:
            what = f"version {self.damaged}, of which version {number} is stored as a patch, as it was saved"
        super().__init__(
            f"expected {what}, got bytes with another digest: the file is damaged; "
            "take another version, or restore the data directory from a backup"
        )


class NoAnswer(PeerError, TimeoutError):
    """The synchronizer or another participant did not answer in time, or nothing that makes sense."""


class ContentDamaged(PeerError, ValueError):
    """The packed content of a version is not what was saved, or would need more memory than it may."""


class ExportDamaged(PeerError, ValueError):
    """A file of exported versions is not what was written; `line` and `version` (0 if unknown) say where."""

    def __init__(self, line: int, version: int, version_before: int, what: str) -> None:
        after = f"after version {version_before}" if version_before else "before the first version"
        place = f"version {version}" if version else after
        super().__init__(f"line {line}, {place}: {what}; take another copy of the file, or export again")
        self.line = line
        self.version = version


class StorageUnreadable(PeerError):
    """The data directory holds something this program cannot read."""


class StorageInUse(PeerError):
    """Another synchronizer has the data directory open."""


class AddressInUse(PeerError, OSError):
    """Another program listens at the address the synchronizer should use."""


class SessionClosed(PeerError, ConnectionError):
    """The session has been left, or ended for good."""


# --- our fault ---------------------------------------------------------------------------------------------------


class InternalError(MsqError):
    """An invariant of ours is broken: please report it with the traceback."""
