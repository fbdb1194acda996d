"""What `Session.join` is given, checked; and what a session says about itself."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from msq_jupyter import protocol
from msq_jupyter.errors import ArgumentError
from msq_jupyter.persistence.retention import EVERYTHING, parse_retention
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.view import View
from msq_jupyter.session.client import LinkState
from msq_jupyter.session.saving import SavedState
from msq_jupyter.stable import check_options, is_utf8, stable_json, text_digest

NAME_LENGTH_MAX = 128

#: What `on_code_edit=` may be.
OnCodeEdit = Literal["ask", "follow", "stay"]

#: What `debug=` may name, and what it does.
DEBUG_WORDS = {
    "session": "show what happens: joining, loading, migrating, saving, restoring",
    "state": "check after every event that the models hold only what can be replicated",
}


@dataclass(frozen=True)
class Participant:
    """Somebody in the session.

    Attributes:
        view_id: the id in "view-join" and "view-exit".
        label: a name for people; a second "ada" is "ada 2".
        view_data: what the participant gave as `view_data`.
        is_me: whether it is this kernel.
    """

    view_id: str
    label: str
    view_data: Any
    is_me: bool


@dataclass(frozen=True)
class Status:
    """How a session is doing.

    Attributes:
        link_state: "joining", "catching up", "live", "away", "closed" or "failed".
        saved_state: "none" (the model never saved), "dirty" (something waits to be uploaded), "saving" (it is uploaded
            and not acknowledged), "saved", or "failed" (and tried again).
        saved_number: the newest version of this session, 0 for none.
        saved_at_s: when it was saved, in seconds since 1970 by the synchronizer's clock, 0 for never.
        saved_by: name of the participant who caused it.
        save_error: why the last upload failed, or "".
        next_save_s: when what waits is uploaded, or tried again, in seconds since 1970 by this kernel's clock; 0 when
            nothing waits, or nothing keeps it.
        on_branch: what is saved here is kept beside what new sessions start from, because others moved the head.
        waiting_ms: how long a running cell has kept the replica from catching up, 0 if it does not.
    """

    link_state: LinkState
    saved_state: SavedState
    saved_number: int
    saved_at_s: float
    saved_by: str
    save_error: str
    next_save_s: float
    on_branch: bool
    waiting_ms: int


@dataclass(frozen=True)
class JoinArguments:
    """The arguments of `Session.join`, see there; `checked` refuses what makes no sense."""

    app_id: str
    name: str
    password: str | None = field(repr=False)
    model: type[Model]
    view: type[View]
    options: Mapping[str, Any]
    persistent_options: tuple[str, ...]
    synchronizer: str | None = field(repr=False)  # may hold a token
    view_data: Any
    tick_rate: float
    debug: frozenset[str]
    join_timeout_s: float
    rejoin_limit_ms: float
    persist_interval_ms: float
    persisted: str | int
    code_hash: str | None
    on_code_edit: str = "ask"
    #: When this kernel's user edited the code, in seconds since 1970; 0 for never.
    edited_s: float = 0.0
    retention: str = EVERYTHING
    progress: Callable[[float], object] | None = None

    @property
    def persistent_id(self) -> str:
        """Identity of the saved data: neither password nor code enters it."""
        return persistent_id_of(self.app_id, self.name, {key: self.options[key] for key in self.persistent_options})

    def session_id(self, code_hash: str) -> str:
        """Identity of the live session: saved data's identity, the other options, and the code."""
        others = {key: value for key, value in self.options.items() if key not in self.persistent_options}
        return text_digest(f"{self.persistent_id}|{stable_json(others)}|{code_hash}")

    def message(self, session_id: str, view_id: str, password_check: bytes, sealed_card: bytes) -> protocol.Join:
        """What to say to the synchronizer first."""
        return protocol.Join(
            protocol_version=protocol.PROTOCOL_VERSION,
            session_id=session_id,
            persistent_id=self.persistent_id,
            view_id=view_id,
            password_check=password_check,
            view_data=sealed_card,
            tick_rate=float(self.tick_rate),
            rejoin_limit_ms=float(self.rejoin_limit_ms),
            persisted=self.persisted,
            have_run="",
            have_seq=0,
        )

    def card(self, code_hash: str) -> dict[str, Any]:
        """What the others learn about this participant; those of other sessions learn from it why theirs is another."""
        edited = {"edited_s": self.edited_s} if self.edited_s else {}
        return {"label": self.label, "view_data": self.view_data, "code_hash": code_hash, **edited}

    @property
    def label(self) -> str:
        """A name for people: from the view data, from JupyterHub, or the user of this machine."""
        name = self.view_data.get("name") if isinstance(self.view_data, dict) else None
        if isinstance(name, str) and name:
            return name
        return os.environ.get("JUPYTERHUB_USER") or user_name()


def persistent_id_of(app_id: str, name: str, persistent_options: Mapping[str, Any]) -> str:
    """Identity of the saved data of a name.

    Args:
        app_id: names the application.
        name: names the session within it.
        persistent_options: those options, with their values, that are part of it.
    """
    return text_digest(f"{app_id}/{name}{stable_json(dict(persistent_options))}")


def participants_of(cards: Mapping[str, Any], own_view_id: str) -> list[Participant]:
    """The people behind the views of a replica, told apart by name.

    Args:
        cards: what `JoinArguments.card` was for each view id.
        own_view_id: which of them is this kernel's.
    """
    seen: dict[str, int] = {}
    people = []
    for view_id, card in cards.items():
        label = str(card["label"])
        seen[label] = seen.get(label, 0) + 1
        told_apart = label if seen[label] == 1 else f"{label} {seen[label]}"
        people.append(Participant(view_id, told_apart, card["view_data"], view_id == own_view_id))
    return people


def checked(
    *, view: type[View] | None, options: Any, persistent_options: Iterable[str], debug: str | Iterable[str], **rest: Any
) -> JoinArguments:
    """The arguments of `Session.join`, or an error that says which one is wrong.

    Raises:
        ArgumentError: names the argument, what was expected, and what came.
    """
    if isinstance(debug, str):
        debug = debug.replace(",", " ").split()
    arguments = JoinArguments(
        view=View if view is None else view,
        options=check_options(options),
        persistent_options=_names("persistent_options", persistent_options),
        debug=frozenset(_names("debug", debug)),
        **rest,
    )
    check_rules({name: getattr(arguments, name) for name, _, _ in _RULES})
    parse_retention(arguments.retention)
    for key in arguments.persistent_options:
        if key not in arguments.options:
            raise ArgumentError(f"persistent_options: {key!r} is not a key of options")
    return arguments


def check_rules(values: Mapping[str, Any]) -> None:
    """Check some arguments, by name; raises ArgumentError as `checked` does."""
    for name, expected, holds in _RULES:
        if name in values and not holds(values[name]):
            value = values[name]
            shown = value.__name__ if isinstance(value, type) else repr(value)
            raise ArgumentError(f"{name}: expected {expected}, got {shown}")


def _names(argument: str, names: Any) -> tuple[str, ...]:
    if isinstance(names, (list, tuple, set, frozenset)) and all(isinstance(name, str) for name in names):
        return tuple(sorted(names))
    raise ArgumentError(f'{argument}: expected a list of names such as ["a", "b"], got {names!r}')


def _is_name(value: Any) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= NAME_LENGTH_MAX or not is_utf8(value):
        return False
    # Not `isprintable`: what it knows depends on the version of Python, and every kernel must join by the same name.
    return not any(sign < " " or "\x7f" <= sign <= "\x9f" for sign in value)


def _is_number(value: Any, low: float, high: float) -> bool:
    return type(value) in (int, float) and low <= value <= high


def _is_proper_subclass(value: Any, base: type) -> bool:
    return isinstance(value, type) and issubclass(value, base) and value is not base


_RULES: tuple[tuple[str, str, Any], ...] = (
    ("app_id", f"a name of 1 to {NAME_LENGTH_MAX} printable characters", _is_name),
    ("name", f"a name of 1 to {NAME_LENGTH_MAX} printable characters", _is_name),
    ("password", "a non-empty string or None", lambda v: v is None or (isinstance(v, str) and v != "" and is_utf8(v))),
    ("model", "a subclass of Model (the class, without brackets)", lambda v: _is_proper_subclass(v, Model)),
    ("view", "a subclass of View (the class, without brackets)", lambda v: isinstance(v, type) and issubclass(v, View)),
    ("synchronizer", "a URL or None", lambda v: v is None or isinstance(v, str)),
    ("tick_rate", "1/30 to 60 ticks a second", lambda v: _is_number(v, 1 / 30, 60)),
    ("debug", f"words of {sorted(DEBUG_WORDS)}", lambda v: v <= DEBUG_WORDS.keys()),
    ("join_timeout_s", "more than 0 seconds, at most an hour", lambda v: _is_number(v, 0.001, 3600)),
    ("rejoin_limit_ms", "0 to 60000 ms", lambda v: _is_number(v, 0, 60_000)),
    ("persist_interval_ms", "0 to 600000 ms", lambda v: _is_number(v, 0, 600_000)),
    (
        "persisted",
        '"latest", "ignore", or the number of a version',
        lambda v: v in ("latest", "ignore") or (type(v) is int and v > 0),
    ),
    ("on_code_edit", '"ask", "follow" or "stay"', lambda v: v in get_args(OnCodeEdit)),
    ("progress", "a function of one number, or None", lambda v: v is None or callable(v)),
    ("code_hash", "a non-empty string or None", lambda v: v is None or _is_name(v)),
)


def user_name() -> str:
    """The user of this machine, for people."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a user database
        return "somebody"
