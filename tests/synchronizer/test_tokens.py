"""Token files: what they say, what is wrong with them, and that the check looks at every token."""

from __future__ import annotations

import hmac

import pytest

from msq_jupyter.errors import ArgumentError
from msq_jupyter.synchronizer import tokens
from msq_jupyter.synchronizer.tokens import ANYBODY, Gate, Token, digest_of, parse_tokens, plain_token

ADA = Token("ada", frozenset({"join", "create"}), digest_of("secret of ada"))
BOB = Token("bob", frozenset({"read-only"}), digest_of("secret of bob"))
FILE = f"# who may come\n{ADA.line()}\n\n{BOB.line()}  # only to look\n"


def test_a_token_file_says_who_may_do_what():
    assert parse_tokens(FILE, "tokens") == [ADA, BOB]
    assert "secret" not in FILE
    assert (ADA.is_read_only, ADA.may_create, ADA.may_enter) == (False, True, True)
    assert (BOB.is_read_only, BOB.may_create, BOB.may_enter) == (True, False, True)


def test_one_word_is_a_token_for_everything_but_administering():
    [token] = parse_tokens("s3cret\n", "tokens")
    assert token == plain_token("s3cret")
    assert "administer" not in token.scopes
    assert not token.is_read_only
    assert token.may_create


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "tokens: expected a token, got an empty file: make one with msq token create"),
        ("# nothing\n", "got an empty file"),
        ("zażółć", "line 1: expected a token of printable ASCII"),
        (ADA.line() + "\nplain", "line 2: expected a name, scopes and sha256: .* 1 words"),
        ("ada join sha256:12", "line 1: expected a name, scopes and sha256:"),
        (ADA.line().replace("create", "destroy"), "expected scopes of join, create, read-only, administer.*'join,dest"),
        (ADA.line().replace("join,", ""), "expected create together with join, got 'create': write join,create"),
        (ADA.line() + "\n" + ADA.line(), "expected each name once, got 'ada' twice: rename one"),
    ],
)
def test_what_is_wrong_with_a_token_file_is_named_and_shows_no_token(text: str, message: str):
    with pytest.raises(ArgumentError, match=message) as caught:
        parse_tokens(text, "tokens")
    assert ADA.digest.hex() not in str(caught.value)


@pytest.mark.parametrize(
    ("authorization", "token"),
    [
        (["Bearer secret of ada"], ADA),
        (["bearer secret of bob"], BOB),
        (["Bearer secret of eve"], None),
        (["secret of ada"], None),
        (["Basic secret of ada"], None),
        (["Bearer"], None),
        ([], None),
        (["Bearer secret of ada", "Bearer secret of ada"], None),
        (["Bearer \udcff"], None),
        ([f"Bearer {ADA.digest.hex()}"], None),
    ],
)
def test_only_a_token_that_is_known_is_admitted(authorization: list[str], token: Token | None):
    assert Gate([ADA, BOB]).admit(authorization) == token


def test_without_tokens_everybody_is_admitted():
    assert Gate().admit([]) == ANYBODY


def test_every_token_is_compared_in_constant_time_whichever_is_shown(monkeypatch: pytest.MonkeyPatch):
    compared: list[bytes] = []
    compare_digest = hmac.compare_digest

    def compare(first: bytes, second: bytes) -> bool:
        compared.append(first)
        return compare_digest(first, second)

    monkeypatch.setattr(tokens.hmac, "compare_digest", compare)
    for shown in ("Bearer secret of ada", "Bearer secret of bob", "Bearer wrong", "no"):
        compared.clear()
        Gate([ADA, BOB]).admit([shown])
        assert compared == [ADA.digest, BOB.digest]


def test_a_token_shows_nothing_of_its_digest():
    assert ADA.digest.hex() not in repr(ADA)
    assert repr(ADA.digest) not in repr(ADA)
