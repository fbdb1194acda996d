"""The commands of `%msq`: one table. They parse and delegate; what they do is done by `Session` and its friends."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from msq_jupyter.errors import ArgumentError
from msq_jupyter.runtime.model import Model
from msq_jupyter.session.arguments import DEBUG_WORDS
from msq_jupyter.session.discovery import find_place
from msq_jupyter.session.doctor import diagnose, gather
from msq_jupyter.session.invitation import is_link, parse_link
from msq_jupyter.widgets.session import Session

#: What `--password` is without a text: it is asked for, and not stored in the notebook.
ASK = object()

Names = dict[str, Any]


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        name: the word after `%msq`.
        summary: what it does, a line.
        run: does it, with the notebook's names and what was parsed; what it returns is shown.
        arguments: what it takes: names and options of `ArgumentParser.add_argument`.
        words: what Tab offers besides the options.
    """

    name: str
    summary: str
    run: Callable[[Names, argparse.Namespace], Awaitable[Any]]
    arguments: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = ()
    words: tuple[str, ...] = ()


def sessions_in(names: Names) -> dict[str, Session]:
    """The sessions of a notebook that are open, by variable; each once, the one named `session` first."""
    found: dict[str, Session] = {}
    for name in sorted(names, key=lambda name: name != "session"):
        value = names[name]
        if isinstance(value, Session) and not name.startswith("_") and value.is_open and value not in found.values():
            found[name] = value
    return found


def models_in(names: Names) -> dict[str, type[Model]]:
    """The model classes of a notebook, by name."""
    return {
        name: value
        for name, value in names.items()
        if isinstance(value, type)
        and issubclass(value, Model)
        and not name.startswith("_")
        and value.__module__.partition(".")[0] != "msq_jupyter"
    }


def _session(names: Names, options: argparse.Namespace) -> Session:
    there = sessions_in(names)
    if options.session is not None:
        if options.session in there:
            return there[options.session]
        raise ArgumentError(f"--session: expected {_one_of(there) or 'a session that is open'}, got {options.session}")
    if not there:
        raise ArgumentError(
            "there is no open session in this notebook: %msq join, or session = await Session.join(...)"
        )
    if len(there) > 1 and "session" not in there:
        raise ArgumentError(f"--session: expected one of several, {_one_of(there)}")
    return next(iter(there.values()))


def _one_of(names: Iterable[str]) -> str:
    return " or ".join(names)


# --- what they do ------------------------------------------------------------------------------------------------


async def _join(names: Names, options: argparse.Namespace) -> Session:
    given: dict[str, Any] = {"app_id": options.app, "name": options.name, "synchronizer": options.synchronizer}
    password = options.password
    if options.link and not is_link(options.link):
        given["synchronizer"] = options.link
    elif options.link:
        invitation = parse_link(options.link)
        given.update(app_id=invitation.app_id, name=invitation.name, synchronizer=invitation.address)
        password = invitation.password or password or (ASK if invitation.has_password else None)
    for option in ("app", "name"):
        if given[{"app": "app_id"}.get(option, option)] is None:
            raise ArgumentError(f"join: expected a link, or --app and --name; --{option} is missing")
    model = _model(names, options.model)
    if password is ASK:
        password = _password_of(names, given) or getpass.getpass(f"Password of {given['name']}: ")
    more = {"on_code_edit": options.on_code_edit, "view_data": _view_data(options.who)}
    session = await Session.join(model=model, password=password or None, **given, **more)
    names[options.variable] = session
    return session


def _model(names: Names, wanted: str | None) -> type[Model]:
    there = models_in(names)
    if wanted is None and len(there) == 1:
        return next(iter(there.values()))
    if wanted in there:
        return there[wanted]
    which = f"one of {', '.join(there)}" if there else "a subclass of Model, whose cell has to be run before"
    raise ArgumentError(f"--model: expected {which}, got {wanted or ('several' if there else 'none')}")


def _password_of(names: Names, given: Names) -> str | None:
    """The password of the session that is joined already: running the cell again does not ask again."""
    for session in sessions_in(names).values():
        if (session.app_id, session.name) == (given["app_id"], given["name"]):
            return session.given.password
    return None


def _view_data(who: str | None) -> Any:
    return None if who is None else {"name": who}


async def _leave(names: Names, options: argparse.Namespace) -> None:
    await _session(names, options).leave()


async def _status(names: Names, options: argparse.Namespace) -> Any:
    return _session(names, options).status


async def _panel(names: Names, options: argparse.Namespace) -> Any:
    return _session(names, options).panel()


async def _follow(names: Names, options: argparse.Namespace) -> Any:
    return await _session(names, options).follow()


async def _versions(names: Names, options: argparse.Namespace) -> Any:
    return await _session(names, options).versions()


async def _diff(names: Names, options: argparse.Namespace) -> Any:
    return await _session(names, options).diff(options.a, options.b)


async def _save(names: Names, options: argparse.Namespace) -> None:
    number = await _session(names, options).save(options.label)
    print(f"saved as version {number}")


async def _restore(names: Names, options: argparse.Namespace) -> None:
    await _session(names, options).restore(options.version, path=options.path)


async def _check(names: Names, options: argparse.Namespace) -> Any:
    model = _model(names, options.model) if options.model else None
    return await _session(names, options).check(model, options.versions or None)


async def _invite(names: Names, options: argparse.Namespace) -> Any:
    return _session(names, options).invite(password=options.with_password)


async def _people(names: Names, options: argparse.Namespace) -> Any:
    session = _session(names, options)
    for person in session.participants:
        print(f"{person.label} (you)" if person.is_me else person.label)
    for other in session.others:
        print(f"{other.label}: {other.differs_in}")


async def _debug(names: Names, options: argparse.Namespace) -> None:
    _session(names, options).debug(options.words)


async def _synchronizer(names: Names, options: argparse.Namespace) -> None:
    there = sessions_in(names)
    if options.session or there:
        session = _session(names, options)
        print(f"{session.synchronizer}, {session.latency_ms:.1f} ms")
    else:
        print(f"{find_place(None).name}: it would be used by join")


async def _doctor(names: Names, options: argparse.Namespace) -> Any:
    others = {session.name: [other.label for other in session.others] for session in sessions_in(names).values()}
    synchronizer = options.synchronizer
    if synchronizer is None:
        synchronizer = next((session.given.synchronizer for session in sessions_in(names).values()), None)
    return diagnose(await gather(synchronizer, {name: people for name, people in others.items() if people}))


def _which(text: str) -> int | str:
    if text == "now":
        return text
    try:
        return int(text.removeprefix("v"))
    except ValueError:
        raise argparse.ArgumentTypeError(f'expected the number of a version, or "now", got {text!r}') from None


def _number(text: str) -> int:
    number = _which(text)
    if not isinstance(number, int):
        raise argparse.ArgumentTypeError(f"expected the number of a version, got {text!r}")
    return number


# --- the table ---------------------------------------------------------------------------------------------------

SESSION = (("--session",), {"metavar": "VARIABLE", "help": "which session, if there are several"})
_MODEL = {"metavar": "CLASS", "help": "the model's class; unless given, the only one of the notebook"}

COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command(
            "join",
            "join a session, and show its badge",
            _join,
            (
                (
                    ("link",),
                    {
                        "nargs": "?",
                        "help": "of an invitation, in place of --app, --name and --synchronizer; or a Jupyter server's "
                        "address, in place of --synchronizer",
                    },
                ),
                (("--app",), {"metavar": "ID", "help": "names the application, such as edu.school.demo"}),
                (("--name",), {"help": "names the session"}),
                (
                    ("--password",),
                    {
                        "nargs": "?",
                        "const": ASK,
                        "metavar": "TEXT",
                        "help": "the password; without a text it is asked for, and is not stored in the notebook",
                    },
                ),
                (("--model",), _MODEL),
                (("--synchronizer",), {"metavar": "URL", "help": "unless given, it is found as Session.join finds it"}),
                (("--who",), {"metavar": "NAME", "help": "how the others see you"}),
                (
                    ("--on-code-edit",),
                    {"choices": ("ask", "follow", "stay"), "default": "ask", "help": "see Session.join"},
                ),
                (
                    ("--variable",),
                    {"default": "session", "metavar": "NAME", "help": "which variable gets it (default: session)"},
                ),
            ),
        ),
        Command("leave", "leave the session; what waits to be saved is saved", _leave, (SESSION,)),
        Command("status", "say how the session is doing", _status, (SESSION,)),
        Command("panel", "show the panel: the live model, its versions, comparing, restoring", _panel, (SESSION,)),
        Command("follow", "go on with the model's edited code", _follow, (SESSION,)),
        Command(
            "save",
            "have the model save what is there now",
            _save,
            ((("label",), {"nargs": "?", "default": "", "help": "what to call the version"}), SESSION),
        ),
        Command("versions", "list what was ever saved", _versions, (SESSION,)),
        Command(
            "diff",
            "show what differs between two versions",
            _diff,
            (
                (("a",), {"type": _which, "metavar": "A", "help": 'number of a version, or "now"'}),
                (
                    ("b",),
                    {
                        "type": _which,
                        "metavar": "B",
                        "nargs": "?",
                        "default": "now",
                        "help": 'likewise; "now" unless given',
                    },
                ),
                SESSION,
            ),
        ),
        Command(
            "restore",
            "go back to a version, for everybody; what is there now is saved before",
            _restore,
            (
                (("version",), {"type": _number, "metavar": "N", "help": "its number"}),
                (("--path",), {"help": "only this, as differences print it; the rest stays as it is"}),
                SESSION,
            ),
        ),
        Command(
            "check",
            "say which versions a model can load",
            _check,
            (
                (("versions",), {"type": _number, "metavar": "N", "nargs": "*", "help": "which; all unless given"}),
                (("--model",), {**_MODEL, "help": "the model's class; unless given, that of the session"}),
                SESSION,
            ),
        ),
        Command(
            "invite",
            "show a line, a link and a QR code for others to join with",
            _invite,
            (
                (
                    ("--with-password",),
                    {"action": "store_true", "help": "with password and token in it; the output is stored here"},
                ),
                SESSION,
            ),
        ),
        Command("people", "list who is here, and who runs other code", _people, (SESSION,)),
        Command(
            "debug",
            "turn help for authors on; without words, off",
            _debug,
            (
                (("words",), {"nargs": "*", "metavar": "WORD", "help": "; ".join(map(": ".join, DEBUG_WORDS.items()))}),
                SESSION,
            ),
            tuple(DEBUG_WORDS),
        ),
        Command(
            "synchronizer", "say which synchronizer orders the events, and how far it is", _synchronizer, (SESSION,)
        ),
        Command(
            "doctor",
            "say what is wrong with the set-up, and what to do",
            _doctor,
            ((("--synchronizer",), {"metavar": "URL", "help": "the one to ask; unless given, the session's"}),),
        ),
    )
}
