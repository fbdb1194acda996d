"""One portable file: what goes in comes out, and nothing else does."""

from __future__ import annotations

import base64
import datetime
import hashlib
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msq_jupyter.errors import ArgumentError, ExportDamaged, PersistenceTypeError
from msq_jupyter.persistence import export
from msq_jupyter.persistence.export import ExportedVersion, ExportReader, Manifest, write_export
from msq_jupyter.stable import bytes_digest, content_bytes

MANIFEST = Manifest(app_id="edu.school.demo", name="lesson-1")
TIME = datetime.datetime(2026, 11, 24, 12, 30, 0, 5, tzinfo=datetime.timezone.utc)


def version(number: int, **changes) -> ExportedVersion:
    fields = {
        "parent": number - 1,
        "time": TIME,
        "author": "Ada",
        "label": "",
        "pinned": False,
        "session_id": "s",
        "code_hash": "c",
        "schema_version": 1,
        "source": "class Poll(Model): ...",
        "content": {"votes": {"yes": number}},
    }
    return ExportedVersion(number=number, **{**fields, **changes})


def written(*versions: ExportedVersion) -> bytes:
    return b"".join(write_export(MANIFEST, versions))


def read(data: bytes, **limits: int) -> list[ExportedVersion]:
    return list(ExportReader(io.BytesIO(data), **limits))


TEXTS = st.text(max_size=8)
CONTENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@st.composite
def histories(draw):
    numbers = sorted(draw(st.sets(st.integers(1, 40), max_size=6)))
    zones = st.integers(-12, 12).map(lambda hours: datetime.timezone(datetime.timedelta(hours=hours)))
    times = st.datetimes(datetime.datetime(1971, 1, 1), datetime.datetime(3000, 1, 1), timezones=zones)
    return [
        ExportedVersion(
            number=number,
            parent=draw(st.integers(0, number - 1)),
            time=draw(times),
            author=draw(TEXTS),
            label=draw(TEXTS),
            pinned=draw(st.booleans()),
            session_id=draw(TEXTS),
            code_hash=draw(TEXTS),
            schema_version=draw(st.none() | st.integers(-5, 5) | TEXTS),
            source=draw(st.sampled_from(["", "class A: ...", "\r\n\u2028é\x00"])),
            content=draw(CONTENTS),
        )
        for number in numbers
    ]


@given(histories(), TEXTS, TEXTS)
def test_what_is_written_is_read_and_equal_versions_give_equal_bytes(versions, app_id, name):
    manifest = Manifest(app_id=app_id, name=name)
    data = b"".join(write_export(manifest, versions))
    reader = ExportReader(io.BytesIO(data))
    back = list(reader)
    assert reader.manifest == manifest
    assert back == versions
    assert [content_bytes(v.content) for v in back] == [content_bytes(v.content) for v in versions]
    assert b"".join(write_export(manifest, back)) == data
    assert all(json.loads(line) for line in data.splitlines())


def test_a_file_says_what_it_is_line_by_line():
    lines = written(version(1), version(2, label="thesis"), version(5, parent=3)).decode().splitlines()
    assert lines[0] == (
        '{"app_id":"edu.school.demo","format":"msq-versions","format_version":1,"head":0,"name":"lesson-1"}'
    )
    kinds = [sorted(json.loads(line))[0] for line in lines]
    assert kinds == ["app_id", "source", "author", "author", "author", "digest"]
    first, _, dropped = (json.loads(line) for line in lines[2:5])
    assert first["content"] == {"votes": {"yes": 1}}
    assert first["content_id"] == bytes_digest(content_bytes({"votes": {"yes": 1}}))
    assert first["time"] == "2026-11-24T12:30:00.000005+00:00"
    assert (first["parent_dropped"], dropped["parent_dropped"]) == (False, True)
    assert json.loads(lines[-1])["versions"] == 3


def test_it_is_written_and_read_piece_by_piece():
    asked = []

    def versions():
        for number in (1, 2):
            asked.append(number)
            yield version(number)

    lines = write_export(MANIFEST, versions())
    next(lines)
    assert asked == []
    next(lines)
    assert asked == [1]
    reader = iter(ExportReader(io.BytesIO(written(version(1), version(2))[:-30])))
    assert next(reader).number == 1


@pytest.mark.parametrize(
    ("versions", "error", "message"),
    [
        ([version(2), version(2)], ArgumentError, "versions: expected a number above 2, got 2: sort them"),
        ([version(0)], ArgumentError, "versions: expected a number above 0, got 0"),
        ([version(2, parent=2)], ArgumentError, "version 2: expected an older version as its parent, got 2"),
        ([version(1, time=datetime.datetime(2026, 1, 1))], ArgumentError, "version 1: expected a time with time zone"),
        ([version(1, author="\ud800")], ArgumentError, "version 1: expected text as its author, got half a surrogate"),
        ([version(1, content={"a": math.nan})], PersistenceTypeError, r"nan at content\.a is not JSON"),
    ],
)
def test_what_cannot_be_read_back_is_not_written(versions, error, message):
    with pytest.raises(error, match=message):
        written(*versions)


# --- damage ------------------------------------------------------------------------------------------------------

GOOD = written(version(1), version(2), version(3, source="another"))


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_changed_byte_is_found(place, change):
    data = bytearray(GOOD)
    data[place] ^= change
    with pytest.raises(ExportDamaged, match=r"^line \d+, (version \d+|after version \d+|before the first version): "):
        read(bytes(data))


@given(st.integers(0, len(GOOD) - 1))
def test_any_cut_is_found(length):
    with pytest.raises(ExportDamaged):
        read(GOOD[:length])


@given(st.binary(max_size=200))
def test_any_other_file_is_refused(data):
    with pytest.raises(ExportDamaged, match=r"line 1, before the first version: expected "):
        read(data)


def sealed(lines: list[str]) -> bytes:
    """Lines with a digest that is right, as a hostile writer would make it."""
    body = "".join(line + "\n" for line in lines).encode("utf-8", "surrogatepass")
    digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
    count = sum(line.startswith('{"author"') for line in lines)
    return body + json.dumps({"digest": digest, "versions": count}, separators=(",", ":")).encode() + b"\n"


LINES = GOOD.decode().splitlines()[:-1]


def edited(index: int, **changes) -> list[str]:
    fields = {**json.loads(LINES[index]), **changes}
    return [*LINES[:index], json.dumps(fields, sort_keys=True, separators=(",", ":")), *LINES[index + 1 :]]


def test_the_hostile_writer_of_these_tests_can_write_a_good_file():
    assert sealed(LINES) == GOOD
    assert len(read(sealed(edited(2, label="other")))) == 3


DEEP = "[" * 100_000

HOSTILE = {
    "twice the same number": (edited(3, number=1), "line 4, after version 1: expected a version above 1, got 1;"),
    "no such parent": (
        edited(5, parent=2, number=9)[:3] + edited(5, parent=2, number=9)[4:],
        "line 5, version 9: expected its parent, version 2, on an earlier line, got none;",
    ),
    "its own parent": (edited(3, parent=2), "line 4, version 2: expected an older version as its parent, got 2;"),
    "another content": (
        edited(3, content=[]),
        "line 4, version 2: expected the content that its digest says, got anoth",
    ),
    "not JSON data": (
        edited(3, content=2**53),
        "line 4, version 2: the integer 9007199254740992 at content is not JSON",
    ),
    "no source": (
        edited(3, source_id="x\u202e"),
        r"version 2: expected its source x\\u202e on an earlier line, got none",
    ),
    "a source with another digest": (edited(1, source="other"), "line 2, .* expected the source that its digest says"),
    "a time without a zone": (
        edited(3, time="2026-11-24T12:00:00"),
        "version 2: expected a time such as 2026-11-24T12",
    ),
    "no time": (edited(3, time="yesterday\x1b[2J"), r"got yesterday\\x1b\[2J;"),
    "a wrong type": (edited(3, pinned=1), r"line 4, after version 1: Expected `bool`, got `int` - at `\$.pinned`"),
    "a huge number": (edited(3, number=2**60), r"Expected `int` <= 9007199254740991 - at `\$.number`"),
    "an unknown field": (edited(3, extra=1), "Object contains unknown field `extra`"),
    "a field that paints": (edited(3, **{"\x1b[2J\u202e": 1}), r"unknown field `\\x1b\[2J\\u202e`"),
    "a missing field": (
        [*LINES[:3], '{"author":"x"}', *LINES[4:]],
        "Object missing required field `code_hash`",
    ),
    "deep data": ([*LINES[:3], DEEP, *LINES[4:]], "line 4, after version 1: "),
    "a newer format": (
        edited(0, format_version=2),
        "line 1, before the first version: expected format version 1, got 2: read it with a newer msq_jupyter",
    ),
    "another format": (edited(0, format="zip"), "expected a file of versions, which begins with"),
    "infinity": (
        [*LINES[:3], LINES[3].replace('{"votes":{"yes":2}}', "1e999"), *LINES[4:]],
        "line 4, after version 1: ",
    ),
    "half a surrogate pair": (
        [*LINES[:3], LINES[3].replace('"Ada"', '"\\ud800"'), *LINES[4:]],
        "line 4, after version 1: ",
    ),
    "bytes that are no text": (
        [*LINES[:3], LINES[3].replace('"Ada"', '"\ud800"'), *LINES[4:]],
        "line 4, after version 1: ",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_line_and_version(name):
    lines, message = HOSTILE[name]
    with pytest.raises(ExportDamaged, match=message) as caught:
        read(sealed(lines))
    assert str(caught.value).isprintable()
    assert caught.value.line >= 1


def test_a_changed_end_is_found():
    end = json.loads(GOOD.splitlines()[-1])
    body = GOOD[: GOOD.rindex(b'{"digest"')]
    for changes, message in [
        ({"versions": 2}, "line 7, after version 3: expected 2 versions, got 3"),
        ({"digest": "x"}, "expected the lines that the digest at the end says, got others: the file was changed"),
    ]:
        with pytest.raises(ExportDamaged, match=message):
            read(body + json.dumps({**end, **changes}, separators=(",", ":")).encode() + b"\n")
    with pytest.raises(ExportDamaged, match="line 8, after version 3: expected the end, got more"):
        read(GOOD + b"\n")
    with pytest.raises(
        ExportDamaged, match="line 7, after version 3: expected more lines, got the end: the file was cut"
    ):
        read(body)


def test_sizes_are_bounded(monkeypatch):
    class Endless(io.RawIOBase):
        """A line that never ends."""

        def readline(self, size=-1, /):
            assert size == 1_001
            return b"x" * size

    with pytest.raises(ExportDamaged, match=r"line 1, .*: expected a line of at most 1,000 bytes, got a longer one"):
        ExportReader(Endless(), line_bytes_max=1_000)
    monkeypatch.setattr(export, "SOURCES_BYTES_MAX", 100)
    with pytest.raises(ExportDamaged, match=r"line 5, .*: expected at most 100 bytes of sources, got more"):
        read(GOOD)
