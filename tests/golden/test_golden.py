"""What is on the wire byte by byte: frames and seals that were written once and must be read and written for ever.

`frames_N.jsonl` has a line for each kind of message of protocol version N: which way it goes, what it says (bytes in
hexadecimal behind 0x), and its frame. `seals_N.json` has what was sealed with the keys of one password. A change that
makes a line here untrue cannot talk to who has not made it: it needs another protocol version, and files of its own.
"""

from __future__ import annotations

import json
import re
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from msq_jupyter import protocol
from msq_jupyter.session.crypto import Keys, derive_root_key

HERE = Path(__file__).parent
FRAMES_FILE = HERE / f"frames_{protocol.PROTOCOL_VERSION}.jsonl"
FRAMES = [json.loads(line) for line in FRAMES_FILE.read_text().splitlines()]
SEALS = json.loads((HERE / f"seals_{protocol.PROTOCOL_VERSION}.json").read_text())
PAGE = Path(__file__).parents[2] / "docs/protocol.md"
WAYS: dict[str, tuple[Any, Any]] = {
    "entry": (protocol.Entry, protocol.decode_entry),
    "up": (protocol.Up, protocol.decode_up),
    "down": (protocol.Down, protocol.decode_down),
}


def in_json(value: Any) -> Any:
    """Plain data with bytes as text: what a golden line says."""
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    return [in_json(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("golden", FRAMES, ids=[f"{golden['way']}-{golden['message'][0]}" for golden in FRAMES])
def test_a_frame_is_read_and_written_as_ever(golden: dict[str, Any]) -> None:
    frame = bytes.fromhex(golden["frame"])
    assert in_json(msgspec.msgpack.decode(frame)) == golden["message"]
    _, decode = WAYS[golden["way"]]
    assert protocol.encode(decode(frame)) == frame


@pytest.mark.parametrize("way", WAYS)
def test_each_kind_of_message_has_a_frame(way: str) -> None:
    union, _ = WAYS[way]
    tags = {kind.__struct_config__.tag for kind in typing.get_args(union)}
    assert {golden["message"][0] for golden in FRAMES if golden["way"] == way} == tags


@pytest.fixture(scope="module")
def keys() -> Keys:
    root_key = derive_root_key(SEALS["password"], SEALS["persistent_id"])
    assert root_key.hex() == SEALS["root_key"]
    return Keys(root_key, SEALS["persistent_id"], SEALS["session_id"])


def test_the_key_of_a_session_without_password_is_as_ever() -> None:
    assert derive_root_key(None, SEALS["persistent_id"]).hex() == SEALS["root_key_without_password"]


def test_what_the_synchronizer_compares_is_as_ever(keys: Keys) -> None:
    assert keys.password_check.hex() == SEALS["password_check"]
    assert keys.audit_digest("run-1", 4, b"findings").hex() == SEALS["audit_digest"]
    assert keys.save_digest("save-1", "content").hex() == SEALS["save_digest"]
    assert keys.source_id("code", "source") == SEALS["source_id"]


def test_an_event_is_sealed_as_ever(keys: Keys) -> None:
    assert keys.seal_event("run-1", "ada", 1, b"an event").hex() == SEALS["sealed"]["event"]


def test_what_was_sealed_is_opened_as_ever(keys: Keys) -> None:
    opened = {
        "event": lambda sealed: keys.open_event("run-1", "ada", 1, sealed),
        "view_data": lambda sealed: keys.open_view_data("ada", sealed),
        "snapshot": lambda sealed: keys.open_snapshot("run-1", 4, sealed),
        "version": lambda sealed: keys.open_version("content", "save-1", 0, 0, sealed),
        "patch": lambda sealed: keys.open_version("content", "save-2", 1, 1, sealed),
        "source": lambda sealed: keys.open_source("src", sealed),
        "annotation": lambda sealed: keys.open_annotation("label", "save-1", sealed),
        "tell": lambda sealed: keys.open_tell("ada", "bob", 1, sealed),
    }
    plain = {kind: opened[kind](bytes.fromhex(sealed)) for kind, sealed in SEALS["sealed"].items()}
    assert plain == {
        "event": b"an event",
        "view_data": b"a card",
        "snapshot": b"a state",
        "version": b"a content",
        "patch": b"a patch",
        "source": b"a source",
        "annotation": b"a label",
        "tell": b"a word",
    }


# --- the page ----------------------------------------------------------------------------------------------------


def signature(kind: type[msgspec.Struct]) -> str:
    """A message as the page writes it: its tag, then its fields in their order."""
    fields = []
    for field in msgspec.structs.fields(kind):
        name = re.sub(r"\bNoneType\b", "None", type_name(field.type))
        fields.append(f"{field.encode_name}: {name}")
    tag = kind.__struct_config__.tag
    return f"[{', '.join(([json.dumps(tag)] if tag else []) + fields)}]"


def type_name(annotation: Any) -> str:
    if annotation is protocol.TimeMs:
        return "time_ms"
    if annotation is msgspec.Raw:
        return "entry"
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) in (list, tuple):
        inner = ", ".join(map(type_name, arguments))
        return f"[{inner}, ...]" if typing.get_origin(annotation) is list else f"[{inner}]"
    if arguments:
        return " | ".join(map(type_name, arguments))
    return str(getattr(annotation, "__name__", annotation))


@pytest.mark.parametrize("way", WAYS)
def test_the_page_shows_each_message_as_it_is(way: str) -> None:
    page = PAGE.read_text()
    missing = [line for kind in typing.get_args(WAYS[way][0]) if (line := signature(kind)) not in page]
    assert not missing, f"expected these lines in {PAGE.name}:\n" + "\n".join(missing)


def test_the_page_shows_a_version_and_the_limits_as_they_are() -> None:
    page = PAGE.read_text()
    assert signature(protocol.StoredVersion) in page
    assert f"protocol version {protocol.PROTOCOL_VERSION}" in page
    for name in dir(protocol):
        if name.endswith("_MAX"):
            assert f"| `{name}` | {getattr(protocol, name):,} |" in page, name
    for code in protocol.REFUSALS:
        assert f"| `{code}` |" in page, code


def test_the_frames_on_the_page_are_golden_ones() -> None:
    shown = re.findall(r"^    ([0-9a-f]{2}(?:[0-9a-f]{2})+)$", PAGE.read_text(), re.MULTILINE)
    assert len(shown) >= 4
    assert set(shown) <= {golden["frame"] for golden in FRAMES}
