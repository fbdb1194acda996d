"""One value, one sequence of bytes.

JSON text is for people and diffs, MessagePack for hashes: the text of a float is not the same in every version of
every JSON library, its eight bytes are. Both forms sort the keys of objects.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from typing import Any

import msgspec

from msq_jupyter.errors import ArgumentError, PersistenceTypeError

#: Integers beyond are not exact in JavaScript and many databases.
INTEGER_LIMIT = 2**53
#: Deeper data is a cycle or a mistake.
DEPTH_MAX = 200
#: More values than anyone saves at once; lists that contain each other twice double at every level.
VALUES_MAX = 10_000_000

_content_encoder = msgspec.msgpack.Encoder(order="sorted")

#: What to write instead of a value that JSON has no form for.
_REMEDIES: dict[str, str] = {
    "set": "sort it into a list",
    "frozenset": "sort it into a list",
    "bytes": "encode it, for example with base64",
    "bytearray": "encode it, for example with base64",
    "datetime": "use .isoformat() or .timestamp()",
    "date": "use .isoformat()",
    "time": "use .isoformat()",
    "timedelta": "use .total_seconds()",
    "Decimal": "use str() to keep every digit",
    "function": "functions cannot be saved: save what is needed to make it again",
    "ndarray": "use .tolist()",
}


def text_digest(text: str) -> str:
    """SHA-256 of the UTF-8 bytes of `text`, in base64url without padding: 43 characters."""
    return bytes_digest(text.encode())


def bytes_digest(data: bytes) -> str:
    """SHA-256 of `data`, in base64url without padding: 43 characters."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def stable_json(value: Any) -> str:
    """JSON text with sorted keys and no white space, for values that `check_json` lets pass."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_bytes(value: Any) -> bytes:
    """Canonical MessagePack of JSON data that `check_json` lets pass; `content_value` is its inverse."""
    return _content_encoder.encode(value)


def content_value(content: bytes) -> Any:
    """The JSON data of `content_bytes`."""
    return msgspec.msgpack.decode(content)


def check_options(options: Any) -> dict[str, Any]:
    """A copy of session options, which are part of a session's identity.

    Raises:
        ArgumentError: not a dict of JSON data with string keys; names the path.
    """
    if options is None:
        return {}
    if type(options) is not dict:
        raise ArgumentError(f"options: expected a dict of JSON data, got {type(options).__name__}")
    try:
        check_json(options, "options")
    except PersistenceTypeError as error:
        raise ArgumentError(str(error)) from None
    copy: dict[str, Any] = json.loads(stable_json(options))
    return copy


def check_json(value: Any, root: str = "data") -> None:
    """Let plain JSON data pass: dicts with string keys, lists, strings, numbers, booleans and None.

    Tuples pass and come back as lists. Only exact types pass: a subclass (an Enum, a defaultdict) would come back
    as something else.

    Args:
        value: what is to be saved.
        root: what paths in messages begin with.

    Raises:
        PersistenceTypeError: names the first offending path, what is there, and what to write instead.
    """
    # A stack, so that deep data fails with a path and not with a RecursionError.
    stack: list[tuple[Any, tuple[str | int, ...]]] = [(value, ())]
    values = 0
    while stack:
        item, path = stack.pop()
        kind = type(item)
        values += 1
        if values > VALUES_MAX:
            raise _refusal(root, path[:4], f"one of more than {VALUES_MAX:,} values", "save less at once")
        if item is None or kind is bool:
            continue
        if kind is str:
            if not is_utf8(item):
                raise _refusal(root, path, "a string with half a surrogate pair", "decode the text correctly first")
        elif kind is int:
            if abs(item) >= INTEGER_LIMIT:
                raise _refusal(root, path, f"the integer {item}", "JSON keeps 53 bits: save it as a string")
        elif kind is float:
            if not math.isfinite(item):
                raise _refusal(root, path, repr(item), "JSON has no such number: save None or a string")
        elif kind is dict or kind is list or kind is tuple:
            if len(path) >= DEPTH_MAX:
                raise _refusal(root, path[:4], f"more than {DEPTH_MAX} levels", "break the cycle or flatten the data")
            if kind is dict:
                for key in item:
                    if type(key) is not str:
                        raise _refusal(root, path, f"the key {key!r}", f"keys must be strings: use str({key!r})")
                    if not is_utf8(key):
                        raise _refusal(root, path, f"the key {key!r}", "half a surrogate pair: decode the text first")
                stack.extend((item[key], (*path, key)) for key in reversed(item))
            else:
                stack.extend((item[index], (*path, index)) for index in reversed(range(len(item))))
        else:
            raise _refusal(root, path, _name_of(item), _remedy_for(item))


def path_text(root: str, parts: tuple[str | int, ...] | list[str | int]) -> str:
    """`data.items[3].name`: how a place inside a structure is written in messages."""
    text = root
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.isidentifier():
            text += f".{part}"
        else:
            text += f"[{part!r}]"
    return text


def _refusal(root: str, path: tuple[str | int, ...], what: str, remedy: str) -> PersistenceTypeError:
    place = path_text(root, path)
    return PersistenceTypeError(f"{what} at {place} is not JSON: {remedy}", path=place)


def _name_of(item: Any) -> str:
    return type(item).__qualname__


def _remedy_for(item: Any) -> str:
    if callable(item) and not isinstance(item, type):
        return _REMEDIES["function"]
    for kind in type(item).__mro__:
        if kind.__name__ in _REMEDIES:
            return _REMEDIES[kind.__name__]
        if kind in (str, int, float, bool, list, dict, tuple):
            return f"convert it with {kind.__name__}()"
    return "save its parts as dicts, lists, strings and numbers"


def is_utf8(text: str) -> bool:
    """Whether a string is text, without half a surrogate pair."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
