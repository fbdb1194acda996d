"""Everything that reads bytes of somebody else, each with what it may read: right, or refused with its own error.

A decoder takes bytes and returns, or raises one of the errors that its caller expects; all else is a finding. `seeds`
are bytes it reads well, from which `fuzz.py` sets out. `found/DECODER-*` are inputs that once failed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden/frames_1.jsonl"
#: Deeper than any recursion limit.
DEEP = b"\x91" * 4_000


@dataclass(frozen=True)
class Decoder:
    """One of them.

    Attributes:
        read: takes bytes; what it raises is a finding.
        seeds: bytes from which others are made.
    """

    read: Callable[[bytes], object]
    seeds: list[bytes]


def found(name: str) -> list[bytes]:
    """What once failed."""
    return [path.read_bytes() for path in sorted((HERE / "found").glob(f"{name}-*"))]


def _frames(way: str) -> list[bytes]:
    golden = map(json.loads, GOLDEN.read_text().splitlines())
    return [bytes.fromhex(line["frame"]) for line in golden if line["way"] == way]


def _message(way: str) -> Decoder:
    from msq_jupyter import protocol
    from msq_jupyter.errors import ProtocolError

    decode: Callable[[bytes], protocol.Message] = getattr(protocol, f"decode_{way}")

    def read(data: bytes) -> None:
        try:
            message = decode(data)
        except ProtocolError:
            return
        again = decode(protocol.encode(message))
        # Numbers may be nan, and hence not equal to themselves.
        assert protocol.encode(again) == protocol.encode(message)
        if isinstance(message, protocol.Block):
            try:
                protocol.decode_block(message)
            except ProtocolError:
                return

    return Decoder(read, [*_frames(way), DEEP])


def frames() -> Decoder:
    """The reader of WebSocket frames, beside the library's; the first byte says into what pieces the rest is cut."""
    from tests.synchronizer.test_frames import both, cut, frame

    def read(data: bytes) -> None:
        step = data[0] if data else 0
        stream = data[1:]
        ours, theirs = both(cut(stream, list(range(step, len(stream), step)) if step else []))
        assert ours == theirs

    plain, text = frame(b"plain"), frame("schön".encode(), 1)
    pieces = frame(b"a", fin=False) + frame(b"ping", 9) + frame(b"b", 0)
    seeds = [plain * 3, text, pieces, frame(b"x" * 126), frame(b"", 8), frame(b"x" * 70, length_bytes=8), text + pieces]
    return Decoder(read, [bytes([step]) + seed for seed in seeds for step in (0, 1, 5)])


def first_message() -> Decoder:
    """What looks at the version before anything else does."""
    from msq_jupyter.synchronizer.server import _announced_version

    return Decoder(_announced_version, [*_frames("up")[:2], b"\x92\xa4Join\x02", DEEP])


def snapshot_value() -> Decoder:
    """The reader of values in snapshots."""
    from msq_jupyter.errors import SealBroken
    from msq_jupyter.runtime.snapshot import read_value
    from tests.runtime.samples import Table
    from tests.runtime.test_snapshot_hostile import SEEDS

    def read(data: bytes) -> None:
        try:
            read_value(data, Table())
        except SealBroken:
            return

    return Decoder(read, [*SEEDS, DEEP])


def snapshot_state() -> Decoder:
    """The reader of whole states."""
    from msq_jupyter.errors import SealBroken
    from tests.runtime.samples import RAN, lived, new_replica

    def read(data: bytes) -> None:
        with contextlib.suppress(SealBroken):
            new_replica().restore(data)
        assert not RAN

    seeds = [lived().snapshot(), new_replica_snapshot(), DEEP]
    RAN.clear()
    return Decoder(read, seeds)


def new_replica_snapshot() -> bytes:
    """The state of a replica in which nothing happened but its start."""
    from tests.runtime.samples import Doc, new_replica

    replica = new_replica()
    replica.start(Doc, None)
    return replica.snapshot()


def event() -> Decoder:
    """The reader of what an event says: whatever it is, the replica goes on, and two replicas do the same."""
    from msq_jupyter import protocol
    from msq_jupyter.runtime.snapshot import pack, pack_value
    from tests.runtime.samples import RAN, Doc, new_replica

    def read(data: bytes) -> None:
        states = []
        for _ in range(2):
            replica = new_replica()
            replica.start(Doc, None)
            RAN.clear()
            replica._run_entry(protocol.Event(1, 10.0, "ada", 1, data))
            assert replica.seq == 1
            states.append(replica.snapshot())
        assert states[0] == states[1]

    one = pack_value([1, "a"], "")
    plain = (
        ["publish", "a", "b", one],
        ["assign", "M1", "marks", one],
        ["call", "M1", "hear", one],
        ["save", "M1", one],
    )
    return Decoder(read, [*map(pack, plain), pack(["restore", 1, one, one]), DEEP])


BASE = b"some text that is the same " * 20


def patch() -> Decoder:
    """The reader of packed contents, keyframes and patches."""
    from msq_jupyter.errors import ContentDamaged
    from msq_jupyter.persistence.patches import decode_packed, encode_packed, pack, unpack

    def read(data: bytes) -> None:
        try:
            packed = decode_packed(data)
        except ContentDamaged:
            return
        for base in (None, BASE):
            try:
                assert len(unpack(packed, base, size_max=100_000)) == packed.content_bytes
            except ContentDamaged:
                continue

    contents = [b"", b"a", BASE[:100] + b"edit" + BASE[90:], bytes(1_000)]
    return Decoder(read, [encode_packed(pack(content, base)) for content in contents for base in (None, BASE)])


def zstd() -> Decoder:
    """Decompression, of whatever size the first three bytes say."""
    from msq_jupyter.persistence.patches import _decompressed, pack

    def read(data: bytes) -> None:
        size = int.from_bytes(data[:3], "big")
        for base in (None, BASE):
            content = _decompressed(data[3:], size, base)
            assert content is None or len(content) == size

    seeds = []
    for content in (b"a", bytes(50_000), BASE + b"edit"):
        for base in (None, BASE):
            seeds.append(len(content).to_bytes(3, "big") + pack(content, base).data)
    return Decoder(read, seeds)


def meta() -> Decoder:
    """The reader of the descriptions of versions."""
    from msq_jupyter.errors import SealBroken
    from msq_jupyter.persistence.records import VersionMeta, decode_meta, encode_meta

    def read(data: bytes) -> None:
        try:
            again = decode_meta(data)
        except SealBroken:
            return
        assert isinstance(again, VersionMeta)
        encode_meta(again)

    whole = encode_meta(VersionMeta("ada", "", "session", "code", 1, "content", 100, "source", 1.7e9))
    # What is behind the known fields is looked past.
    return Decoder(read, [whole, b"\x9a" + whole[1:] + DEEP, DEEP])


def annotation() -> Decoder:
    """The reader of labels and pins."""
    from msq_jupyter.errors import SealBroken
    from msq_jupyter.persistence.annotations import Annotation, decode_annotation, encode_annotation

    def read(data: bytes) -> None:
        for kind in ("label", "pin"):
            try:
                assert decode_annotation(kind, data).time is not False
            except SealBroken:
                continue

    seeds = [encode_annotation(Annotation(value, "ada", 1.7e9)) for value in ("label", True, False)]
    return Decoder(read, [*seeds, b"\x94" + seeds[0][1:] + DEEP, DEEP])


def export() -> Decoder:
    """The reader of files of versions."""
    import io

    from msq_jupyter.errors import ExportDamaged
    from msq_jupyter.persistence.export import ExportReader
    from tests.persistence.test_export import version, written

    def read(data: bytes) -> None:
        try:
            numbers = [one.number for one in ExportReader(io.BytesIO(data), line_bytes_max=10_000)]
            assert numbers == sorted(set(numbers))
        except ExportDamaged:
            return

    return Decoder(read, [written(), written(version(1)), written(version(1), version(2, source="other"))])


def _text(read: Callable[[str], object], seeds: list[str]) -> Decoder:
    from msq_jupyter.errors import ArgumentError

    def read_bytes(data: bytes) -> None:
        try:
            read(data.decode("utf-8", "surrogateescape"))
        except ArgumentError:
            return

    return Decoder(read_bytes, [seed.encode() for seed in seeds])


LINKS = [
    "https://host:1234/join#app=edu.school.demo&name=lesson-1&open=1",
    "http://[::1]:80/a/join#app=a&name=b&password=%20&token=t",
    "https://hub.example/user/ada/msq/join?token=abc#app=a&name=b&jupyter=1",
]


def invitation() -> Decoder:
    """The reader of invitation links; what is read can be shown, and read again."""
    from msq_jupyter.session.invitation import is_link, parse_link

    def read(link: str) -> None:
        is_link(link)
        read_once = parse_link(link)
        repr(read_once)
        assert parse_link(read_once.link).link == read_once.link

    return _text(read, LINKS)


def address() -> Decoder:
    """The reader of the addresses of synchronizers, and of Jupyter servers."""
    from msq_jupyter.session.discovery import find_place

    urls = ["ws://127.0.0.1:4000", "wss://t0ken@host.example:80/path", "ws://[::1]:1", "http://host:8888/lab?token=a"]

    def read(url: str) -> None:
        place = find_place(url or "ws://h:1")
        assert place.url.startswith(("ws", "http"))
        assert isinstance(place.is_local and place.url_for_others(url), str | bool)

    return _text(read, [*urls, *LINKS])


def tokens() -> Decoder:
    """The reader of token files."""
    from msq_jupyter.synchronizer.tokens import Token, digest_of, parse_tokens

    lines = [
        Token("ada", frozenset({"join", "create"}), digest_of("a")),
        Token("b", frozenset({"read-only"}), bytes(32)),
    ]

    def read(text: str) -> None:
        tokens = parse_tokens(text, "file")
        assert tokens
        assert all(len(token.digest) == 32 for token in tokens)

    return _text(read, ["word", "\n".join(token.line() for token in lines) + " # a comment\n"])


DECODERS: dict[str, Callable[[], Decoder]] = {
    "entry": lambda: _message("entry"),
    "up": lambda: _message("up"),
    "down": lambda: _message("down"),
    "first_message": first_message,
    "frames": frames,
    "snapshot_value": snapshot_value,
    "snapshot_state": snapshot_state,
    "event": event,
    "patch": patch,
    "zstd": zstd,
    "meta": meta,
    "annotation": annotation,
    "export": export,
    "invitation": invitation,
    "address": address,
    "tokens": tokens,
}
