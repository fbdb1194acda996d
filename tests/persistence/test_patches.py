"""Contents packed as patches: small, exact, and never more memory than they may take."""

from __future__ import annotations

import contextlib
import random
import tracemalloc

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from msq_jupyter.errors import ArgumentError, ContentDamaged
from msq_jupyter.persistence import patches
from msq_jupyter.persistence.patches import (
    Packed,
    Packer,
    decode_packed,
    encode_packed,
    pack,
    unpack,
)
from msq_jupyter.stable import bytes_digest

CONTENTS = st.binary(max_size=300) | st.lists(st.sampled_from([b"one ", b"two ", b"\x00" * 50]), max_size=50).map(
    b"".join
)


@given(CONTENTS, st.none() | CONTENTS)
def test_what_is_packed_is_unpacked(content, base):
    packed = pack(content, base)
    assert unpack(decode_packed(encode_packed(packed)), base) == content
    assert packed.content_id == bytes_digest(content)
    assert packed.base_id == ("" if base is None else bytes_digest(base))


def _noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def test_a_patch_holds_hardly_more_than_what_changed():
    base = _noise(1_000_000)
    content = base[:300_000] + b"an edit" + base[300_000:900_000]
    assert len(pack(content).data) > 890_000
    assert len(pack(content, base).data) < 2_000
    # Also when what is the same lies further apart than the usual window of 2 MiB, and the usual 1 MiB of a base.
    far = _noise(9_000_000)
    assert len(pack(far[3:], far).data) < 20_000


@given(st.integers(0, 10_000), st.integers(1, 255), st.booleans())
def test_damage_is_found(place, change, is_patch):
    base = b"some text that is the same " * 20
    content = base[:100] + b"edited" + base[90:]
    packed = pack(content, base if is_patch else None)
    data = bytearray(packed.data)
    data[place % len(data)] ^= change
    hurt = msgspec.structs.replace(packed, data=bytes(data))
    with contextlib.suppress(ContentDamaged):
        assert unpack(hurt, base if is_patch else None) == content  # a bit that means nothing


@pytest.mark.parametrize("size", [0, 10, 50])
def test_a_cut_frame_is_damage(size):
    packed = pack(_noise(1_000))
    with pytest.raises(ContentDamaged, match=f"expected the content {packed.content_id} of 1,000 bytes, got something"):
        unpack(msgspec.structs.replace(packed, data=packed.data[:size]))


def test_another_digest_is_damage():
    packed = msgspec.structs.replace(pack(b"a"), content_id=bytes_digest(b"b"))
    with pytest.raises(ContentDamaged, match="got something else"):
        unpack(packed)


def test_a_base_must_be_the_right_one():
    base, other = b"base " * 100, b"other " * 100
    patch = pack(base + b"more", base)
    with pytest.raises(
        ContentDamaged, match=rf"patch from the content {bytes_digest(base)}, got {bytes_digest(other)}"
    ):
        unpack(patch, other)
    with pytest.raises(ContentDamaged, match=rf"expected the content {bytes_digest(base)}, which it .*, got none"):
        unpack(patch)
    with pytest.raises(ContentDamaged, match="expected no base, got one"):
        unpack(pack(base), other)


# --- bombs -------------------------------------------------------------------------------------------------------


def _bomb_that_says_so(size: int) -> bytes:
    return zstandard.ZstdCompressor().compress(bytes(size))


def _bomb_that_lies(declared: int, blocks: int, window_log: int = 17) -> bytes:
    """A frame whose header declares a size, and whose blocks repeat a byte 128 KiB times each."""
    frame = bytearray(b"\x28\xb5\x2f\xfd\x80") + bytes([(window_log - 10) << 3]) + declared.to_bytes(4, "little")
    for number in range(blocks):
        frame += ((number == blocks - 1) | 1 << 1 | 2**17 << 3).to_bytes(3, "little") + b"\0"
    return bytes(frame)


def _bomb_without_size(size: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, write_content_size=False)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(bytes(size))


BOMBS = {
    "declares too much": (_bomb_that_says_so(50_000_000), 50_000_000),
    "declares another size": (_bomb_that_says_so(50_000_000), 1_000),
    "holds more than it declares": (_bomb_that_lies(1_000, 500), 1_000),
    "holds less than it declares": (_bomb_that_lies(900_000, 2), 900_000),
    "declares no size": (_bomb_without_size(50_000_000), 1_000),
    "declares a negative size": (b"", -1),
    "is no frame": (b"not zstd", 8),
}


@pytest.mark.parametrize("name", BOMBS)
def test_8_4_a_bomb_is_refused_before_it_takes_memory(name):
    data, size = BOMBS[name]
    packed = Packed("", bytes_digest(b""), size, data)
    tracemalloc.start()
    try:
        with pytest.raises(ContentDamaged, match="expected "):
            unpack(packed, size_max=1_000_000)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2_000_000


def test_a_window_larger_than_any_content_needs_is_refused():
    zeros = bytes(2**17)
    frames = [_bomb_that_lies(2**17, 1, window_log=log) for log in (17, 27)]
    small, large = (Packed("", bytes_digest(zeros), len(zeros), frame) for frame in frames)
    assert unpack(small) == zeros
    with pytest.raises(ContentDamaged, match="got something else"):
        unpack(large)


def test_too_much_is_not_packed(monkeypatch):
    monkeypatch.setattr(patches, "CONTENT_BYTES_MAX", 100)
    with pytest.raises(ArgumentError, match="content: expected at most 100 bytes, got 101"):
        pack(bytes(101))
    with pytest.raises(ArgumentError, match="base: expected at most 100 bytes, got 200"):
        pack(b"", bytes(200))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x94", msgspec.msgpack.encode([1, 2, 3, 4]), b"\x91" * 100_000])
def test_bytes_that_are_no_packed_content_are_refused(data):
    with pytest.raises(ContentDamaged, match="the packed content of a version does not decode"):
        decode_packed(data)


# --- keyframes ---------------------------------------------------------------------------------------------------


def edited(text: bytes, number: int) -> bytes:
    """The text with one place changed, another one for each number."""
    place = number * 37 % (len(text) - 10)
    return text[:place] + _noise(10, number) + text[place + 10 :]


def test_a_packer_makes_patches_of_the_keyframe_it_is_told_and_of_nothing_else():
    packer, text = Packer(), _noise(5_000)
    assert packer.pack(text, 0)[0] == 0
    assert packer.pack(edited(text, 1), 1)[0] == 0  # nobody said that the first one is stored
    packer.use(1, text)
    base, packed = packer.pack(edited(text, 1), 1)
    assert base == packer.keyframe == 1
    assert unpack(packed, text) == edited(text, 1)
    packer.forget()
    assert (packer.keyframe, packer.pack(edited(text, 2), 2)[0]) == (0, 0)


def test_a_keyframe_follows_when_the_patches_have_its_size():
    packer, text = Packer(), _noise(5_000)
    keyframes: list[int] = []
    patches_bytes = 0
    for number in range(1, 301):
        text = edited(text, number)
        base, packed = packer.pack(text, number - 1)
        if base:
            patches_bytes += len(packed.data)
            continue
        if keyframes:
            assert 0.5 < patches_bytes / len(packed.data) < 1.5
        patches_bytes = 0
        keyframes.append(number)
        packer.use(number, text)
    assert 5 < len(keyframes) < 25


def test_what_has_little_in_common_with_the_keyframe_is_stored_whole():
    packer = Packer()
    packer.use(1, _noise(5_000))
    assert packer.pack(_noise(5_000, 2), 1)[0] == 0


def test_a_pair_that_would_not_travel_together_is_not_made(monkeypatch):
    text = _noise(5_000)
    packer = Packer()
    packer.use(1, text)
    monkeypatch.setattr(patches, "PAIR_BYTES_MAX", len(text))
    assert packer.pack(edited(text, 1), 1)[0] == 0
