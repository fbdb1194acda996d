"""The wire: every message there and back, and nothing but messages."""

from __future__ import annotations

import contextlib
import hashlib
import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msq_jupyter import protocol
from msq_jupyter.errors import ProtocolError

#: Changes with any change of a message. Whoever changes one raises PROTOCOL_VERSION, adds a line to the history in
#: the module's docstring, and writes the new value here.
SCHEMA_OF_VERSION = {1: "63ee57a40b322472"}


def schema_hash() -> str:
    unions = (protocol.Entry, protocol.Up, protocol.Down)
    kinds = [kind for union in unions for kind in typing.get_args(union)]
    return hashlib.sha256(repr(msgspec.inspect.multi_type_info(kinds)).encode()).hexdigest()[:16]


def test_the_schema_is_that_of_its_version():
    assert SCHEMA_OF_VERSION[protocol.PROTOCOL_VERSION] == schema_hash()


@pytest.mark.parametrize(
    ("union", "decode"),
    [(protocol.Up, protocol.decode_up), (protocol.Down, protocol.decode_down), (protocol.Entry, protocol.decode_entry)],
    ids=["up", "down", "entry"],
)
@given(data=st.data())
def test_every_message_comes_back(union, decode, data):
    message = data.draw(st.one_of([strategy_for(kind) for kind in typing.get_args(union)]))
    assert decode(protocol.encode(message)) == message


def strategy_for(kind: type) -> st.SearchStrategy:
    if kind is msgspec.Raw:
        return st.builds(lambda number: msgspec.Raw(msgspec.msgpack.encode(number)), st.integers(0, 100))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return st.builds(kind, **{f.name: strategy_for(f.type) for f in msgspec.structs.fields(kind)})
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return st.floats(0, 1e15)
    if origin is list:
        return st.lists(strategy_for(arguments[0]), max_size=3)
    if origin is tuple:
        return st.tuples(*map(strategy_for, arguments))
    if arguments:  # a union
        return st.one_of([strategy_for(argument) for argument in arguments])
    return {
        int: st.integers(0, 2**63),
        float: st.floats(allow_nan=False),
        str: st.text(),
        bytes: st.binary(),
        bool: st.booleans(),
        type(None): st.none(),
    }[kind]


@pytest.mark.parametrize("decode", [protocol.decode_up, protocol.decode_down, protocol.decode_entry])
@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x90", b"\x91\xa4Nope", b"\xa2\x00\x80", b"\x91" * 100_000])
def test_malformed_frames_are_refused(decode, frame):
    with pytest.raises(ProtocolError, match="bytes that are none"):
        decode(frame)


def test_a_text_frame_is_refused():
    with pytest.raises(ProtocolError, match="got a text frame of 5 characters"):
        protocol.decode_up("hello")


@given(st.binary(max_size=300))
def test_random_bytes_decode_or_are_refused(frame):
    for decode in (protocol.decode_up, protocol.decode_down, protocol.decode_entry):
        with contextlib.suppress(ProtocolError):
            decode(frame)


def test_a_message_of_the_other_direction_is_refused():
    with pytest.raises(ProtocolError):
        protocol.decode_up(protocol.encode(protocol.Tick(1.0)))
    with pytest.raises(ProtocolError):
        protocol.decode_down(protocol.encode(protocol.Leave()))
