"""Who may connect, and what for: access tokens with scopes, kept as digests in a text file. Pure.

A token file has one line for each token, and comments that start with `#`:

    # name     scopes        digest
    teacher    join,create   sha256:5e884898da28047151d0e56f8dc6292773603d0d6aabbd62a11ef721d1542d8b
    audience   read-only     sha256:…

`msq token create` writes such a line and prints the token, once. To withdraw a token, delete its line and send the
synchronizer SIGHUP. A file whose only line is one word holds a token itself, which may do everything but administer.

A token is 256 bits drawn by lot, so one SHA-256 of it is as good as a slow hash: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from msq_jupyter.errors import ArgumentError

#: What a token may be for.
SCOPES = {
    "join": "be in sessions under names that are in use, send events, save, annotate and prune versions",
    "create": "use names that nobody used before; goes with join",
    "read-only": "be in sessions that are there, and see versions; nothing it sends changes anything",
    "administer": "read /metrics",
}
#: What a token is for whose file says nothing about it.
PLAIN_SCOPES = frozenset({"join", "create", "read-only"})

_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Token:
    """What the holder of a token may do.

    Attributes:
        name: for logs and limits, never secret; "" for those who need none.
        scopes: words of `SCOPES`.
        digest: SHA-256 of the token.
    """

    name: str
    scopes: frozenset[str]
    digest: bytes = field(default=b"", repr=False)

    @property
    def may_enter(self) -> bool:
        """Whether it opens sessions and lists of versions at all."""
        return bool(self.scopes & {"join", "read-only"})

    @property
    def is_read_only(self) -> bool:
        """Whether its holder may only look."""
        return "join" not in self.scopes

    @property
    def may_create(self) -> bool:
        """Whether its holder may use a name that nobody used before."""
        return "create" in self.scopes

    def line(self) -> str:
        """Its line of a token file."""
        scopes = ",".join(scope for scope in SCOPES if scope in self.scopes)
        return f"{self.name} {scopes} sha256:{self.digest.hex()}"


#: Whoever connects where no token is asked for, which only this machine can reach.
ANYBODY = Token("", frozenset(SCOPES))


class Gate:
    """Knows the tokens of one synchronizer.

    Args:
        tokens: none lets everybody in, for everything.
    """

    def __init__(self, tokens: Sequence[Token] = ()) -> None:
        self._tokens = tuple(tokens)

    @property
    def is_open(self) -> bool:
        """Whether nobody needs a token."""
        return not self._tokens

    def admit(self, authorization: Sequence[str]) -> Token | None:
        """The token that is shown, None when there is none, or one that we don't know.

        It takes the same time whichever token is shown, and however much of it is right.

        Args:
            authorization: the values of all headers `Authorization`.
        """
        if self.is_open:
            return ANYBODY
        scheme, _, shown = (authorization[0] if len(authorization) == 1 else "").partition(" ")
        digest = digest_of(shown)
        found = None
        for token in self._tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found if scheme.lower() == "bearer" else None


def digest_of(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def plain_token(token: str) -> Token:
    """What a token may do that comes without scopes."""
    return Token("token", PLAIN_SCOPES, digest_of(token))


def parse_scopes(text: str, where: str) -> frozenset[str]:
    """Scopes in a row, with commas between.

    Args:
        text: for example `join,create`.
        where: to name in an error.

    Raises:
        ArgumentError: a word that is no scope, or `create` without `join`.
    """
    scopes = frozenset(text.split(","))
    if scopes - SCOPES.keys():
        raise ArgumentError(f"{where}: expected scopes of {', '.join(SCOPES)}, with commas between, got {text!r}")
    if "create" in scopes and "join" not in scopes:
        raise ArgumentError(f"{where}: expected create together with join, got {text!r}: write join,create")
    return scopes


def parse_tokens(text: str, where: str) -> list[Token]:
    """The tokens of a token file.

    Args:
        text: of the file.
        where: its name, for errors, which show nothing of what may be a token.

    Raises:
        ArgumentError: names the line, and what was expected there.
    """
    lines = [(number, line.split("#")[0].split()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, words) for number, words in lines if words]
    if len(lines) == 1 and len(lines[0][1]) == 1:
        [(number, [token])] = lines
        if not (token.isascii() and token.isprintable()):
            raise ArgumentError(f"{where}, line {number}: expected a token of printable ASCII")
        return [plain_token(token)]
    tokens = [_parse_line(words, f"{where}, line {number}") for number, words in lines]
    if not tokens:
        raise ArgumentError(f"{where}: expected a token, got an empty file: make one with msq token create")
    _check_names(tokens, where)
    return tokens


def _parse_line(words: Sequence[str], where: str) -> Token:
    if len(words) != 3 or not _DIGEST.fullmatch(words[2]) or not _NAME.fullmatch(words[0]):
        raise ArgumentError(
            f"{where}: expected a name, scopes and sha256: with 64 hexadecimal digits, with spaces between, got "
            f"{len(words)} words that are not that: let msq token create write the line"
        )
    return Token(words[0], parse_scopes(words[1], where), bytes.fromhex(words[2].partition(":")[2]))


def _check_names(tokens: Iterable[Token], where: str) -> None:
    seen: set[str] = set()
    for token in tokens:
        if token.name in seen:
            raise ArgumentError(f"{where}: expected each name once, got {token.name!r} twice: rename one")
        seen.add(token.name)


def check_name(name: str) -> str:
    """A name for a token, or ArgumentError."""
    if not _NAME.fullmatch(name):
        raise ArgumentError(
            f"--name: expected 1 to 64 letters, digits or characters of . _ @ - without spaces, got {name!r}"
        )
    return name
