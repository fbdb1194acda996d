"""The settings of `msq serve`: one table, from which flags, environment variables and configuration file are made.

For a setting `idle_exit_s` the flag is `--idle-exit-s`, the variable `MSQ_SERVE_IDLE_EXIT_S`, and the line in a
configuration file of traitlets `c.Serve.idle_exit_s = 600`. A flag counts before a variable, and that before the file.
"""
# ruff: noqa: RUF009 - `_setting` makes fields

from __future__ import annotations

import argparse
import difflib
import math
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from msq_jupyter.errors import ArgumentError
from msq_jupyter.local_registry import default_data_directory
from msq_jupyter.synchronizer.limits import Accounts, Limits
from msq_jupyter.synchronizer.tokens import Gate, parse_tokens

#: Before the name of a setting, in capitals, as an environment variable.
VARIABLE_PREFIX = "MSQ_SERVE_"
#: The section of a configuration file.
SECTION = "Serve"
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else -1
    if not 0 <= port <= 65_535:
        raise ValueError(f"expected a port from 0 to 65535, got {text}")
    return port


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise ValueError(f"expected a number from 0, got {text}")
    return amount


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"expected a whole number from 0, got {text}")
    return int(text)


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    for origin in origins:
        if not origin.startswith(("https://", "http://")) or "/" in origin.partition("://")[2]:
            raise ValueError(f"expected origins such as https://lab.example.org, with commas between, got {origin!r}")
    return origins


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected one of {', '.join(words)}, got {text!r}")
        return text

    return parse


def _setting(default: Any, parse: Callable[[str], Any], metavar: str, meaning: str) -> Any:
    return field(default=default, metadata={"parse": parse, "metavar": metavar, "help": meaning})


@dataclass(frozen=True)
class Settings:
    """What a synchronizer of its own is started with; each field is a setting."""

    host: str = _setting("127.0.0.1", str, "ADDRESS", "address to listen at")
    port: int = _setting(0, _port, "N", "TCP port to listen at; 0 lets the system choose")
    data: Path = field(
        default_factory=default_data_directory,
        metadata={"parse": Path, "metavar": "DIR", "help": "where sessions and versions are kept"},
    )
    token_file: Path | None = _setting(
        None,
        Path,
        "FILE",
        "access tokens, as msq token create writes them, or one line with a token for everything but administer; "
        "participants join with synchronizer='ws://TOKEN@host:port'; required when other machines can connect",
    )
    certificate: Path | None = _setting(None, Path, "FILE", "TLS certificate with its chain, PEM; makes the URL wss://")
    private_key: Path | None = _setting(None, Path, "FILE", "private key of the certificate, PEM")
    origins: tuple[str, ...] = _setting(
        (), _origins, "URLS", "web pages that may connect, with commas between; kernels need none"
    )
    idle_exit_s: float | None = _setting(
        None,
        _amount,
        "N",
        "end when nobody has been connected for N seconds; unless given, 600 with --local and never without",
    )
    keep_sessions_days: float = _setting(
        0,
        _amount,
        "N",
        "delete logs of sessions that nobody was in for N days in which the synchronizer ran; versions stay, and who "
        "comes later starts from the newest; 0 keeps all",
    )
    log_format: str = _setting("text", _one_of(*LOG_FORMATS), "FORMAT", "text, or json: one object a line, on stderr")
    log_level: str = _setting(
        "info", _one_of(*LOG_LEVELS), "LEVEL", f"the least that is logged: {', '.join(LOG_LEVELS)}"
    )
    token_events_per_s: float = _setting(
        0, _amount, "N", "with one token, so many events a second are read; more wait; 0 for all"
    )
    token_bytes_per_s: float = _setting(0, _amount, "N", "with one token, so many bytes a second are read; 0 for all")
    token_members: int = _setting(0, _count, "N", "with one token, so many connections at a time; 0 for all")
    token_sessions: int = _setting(0, _count, "N", "with one token, so many sessions at a time; 0 for all")
    token_stored_bytes: int = _setting(
        0,
        _count,
        "N",
        "under names that were first used with one token, so many bytes of logs, snapshots and versions are stored; "
        "0 for all",
    )
    address_events_per_s: float = _setting(
        0, _amount, "N", "from one address, so many events a second are read; a proxy is one address; 0 for all"
    )
    address_bytes_per_s: float = _setting(
        0, _amount, "N", "from one address, so many bytes a second are read; 0 for all"
    )
    address_members: int = _setting(0, _count, "N", "from one address, so many connections at a time; 0 for all")
    address_sessions: int = _setting(0, _count, "N", "from one address, so many sessions at a time; 0 for all")
    address_stored_bytes: int = _setting(
        0, _count, "N", "the same for names that were first used from one address; 0 for all"
    )
    address_wrong_tokens: int = _setting(
        60,
        _count,
        "N",
        "from one address, so many wrong tokens a minute are looked at; then newcomers from there wait; a proxy is one "
        "address; 0 for all",
    )

    def gate(self) -> Gate:
        """The tokens of the token file; raises ArgumentError."""
        if self.token_file is None:
            return Gate()
        try:
            text = self.token_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ArgumentError(
                f"--token-file: expected a text file with tokens, got {self.token_file}: {_cause(error)}"
            ) from None
        return Gate(parse_tokens(text, str(self.token_file)))

    def accounts(self) -> Accounts:
        """The limits."""
        names = [limit.name for limit in fields(Limits)]
        of_token, of_address = (
            Limits(**{name: getattr(self, f"{whose}_{name}") for name in names}) for whose in ("token", "address")
        )
        return Accounts(of_token, of_address)

    def tls(self) -> ssl.SSLContext | None:
        """What the certificate makes possible, None without one; raises ArgumentError."""
        if (self.certificate is None) != (self.private_key is None):
            raise ArgumentError("expected --certificate and --private-key together, got one of them: give both")
        if self.certificate is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.certificate, self.private_key)
        except OSError as error:  # an SSLError is one
            raise ArgumentError(
                f"expected a certificate in {self.certificate} and its private key in {self.private_key}, both PEM, "
                f"got files that are not that: {_cause(error)}"
            ) from None
        return context


def _cause(error: Exception) -> str:
    """What went wrong, and nothing of the bytes that may be a secret."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "unreadable").lower().replace("_", " ")
    return error.strerror or "unreadable" if isinstance(error, OSError) else "it is not UTF-8"


def flag_of(name: str) -> str:
    """The flag of a setting."""
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return VARIABLE_PREFIX + name.upper()


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of all settings, and `--config`; what they mean is in the help."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"configuration of traitlets, .py or .json: c.{SECTION}.port = 8765"
    )
    for setting in fields(Settings):
        default = "" if setting.default in (None, 0, ()) else f" (default: {getattr(Settings(), setting.name)})"
        parser.add_argument(
            flag_of(setting.name),
            metavar=setting.metadata["metavar"],
            help=f"{setting.metadata['help']}{default} [{variable_of(setting.name)}]".replace("%", "%%"),
        )


def settle(options: argparse.Namespace, environment: Mapping[str, str], *, flags_only: bool = False) -> Settings:
    """The settings, from flags, environment and configuration file.

    Args:
        options: what `add_flags` parsed.
        environment: variables of the process.
        flags_only: leave out the other two.

    Raises:
        ArgumentError: names the flag, the variable or the line, what was expected and what came.
    """
    given: dict[str, tuple[str, str]] = {}
    if not flags_only:
        given.update(_configured(options.config) if options.config else {})
        names = {variable_of(setting.name): setting.name for setting in fields(Settings)}
        for variable in environment:
            if variable.startswith(VARIABLE_PREFIX):
                given[_known(variable, names)] = variable, environment[variable]
    for setting in fields(Settings):
        text = getattr(options, setting.name)
        if text is not None:
            given[setting.name] = flag_of(setting.name), text
    values = {}
    for setting in fields(Settings):
        if setting.name in given:
            origin, text = given[setting.name]
            try:
                values[setting.name] = setting.metadata["parse"](text)
            except ValueError as error:
                raise ArgumentError(f"{origin}: {error}") from None
    return Settings(**values)


def _configured(path: Path) -> dict[str, tuple[str, str]]:
    # Here, because only those who have such a file need it.
    from traitlets.config.loader import JSONFileConfigLoader, PyFileConfigLoader

    loader = JSONFileConfigLoader if path.suffix == ".json" else PyFileConfigLoader
    try:
        section = loader(path.name, str(path.absolute().parent)).load_config().get(SECTION, {})
    except Exception as error:  # whatever the code in it raises
        raise ArgumentError(f"--config: expected a configuration of traitlets in {path}, got: {error}") from error
    names = {f"c.{SECTION}.{setting.name}": setting.name for setting in fields(Settings)}
    found = {}
    for name, value in section.items():
        text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        found[_known(f"c.{SECTION}.{name}", names)] = f"{path}: c.{SECTION}.{name}", text
    return found


def _known(word: str, names: Mapping[str, str]) -> str:
    if word not in names:
        nearest = difflib.get_close_matches(word, names, 1, cutoff=0.85)  # all begin alike
        hint = f"; did you mean {nearest[0]}?" if nearest else ": msq serve --help lists them"
        raise ArgumentError(f"expected the name of a setting, got {word}{hint}")
    return names[word]
