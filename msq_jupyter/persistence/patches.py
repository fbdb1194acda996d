"""How the contents of versions are stored small: most as a patch from another one.

A version's content is compressed with zstd and, as its dictionary, the content it is a patch from ("patch-from"): what
they have in common costs nearly nothing. (Of a base of more than 16 MB, zstd looks at the last 16 MB.) Patches form
stars: all of them are made from a keyframe, a content that was compressed by itself, so a version is restored from one
or two pieces. When the patches from a keyframe outgrow it, the next version becomes the new keyframe.

Whoever saves makes the patch, before sealing it; nobody else can read the contents. It needs the keyframe's content:
`Packer` keeps it in memory, and makes a keyframe when it has none.
"""

from __future__ import annotations

import msgspec
import zstandard

from msq_jupyter.errors import ArgumentError, ContentDamaged
from msq_jupyter.stable import bytes_digest

#: Level 1 hardly uses the dictionary; 9 takes three times as long for 5 % less.
_LEVEL = 3
_WINDOW_LOG_MIN, _WINDOW_LOG_MAX = 10, 27
#: zstd looks at the last 8 << hash_log bytes of a dictionary only, and never at more than 16 MB with fast levels.
_HASH_LOG_MIN, _HASH_LOG_MAX = 17, 22
#: Contents larger than this are refused before anything is allocated for them.
CONTENT_BYTES_MAX = 64 * 2**20
#: A patch and its keyframe together are not larger, so that both travel in one piece.
PAIR_BYTES_MAX = 56 * 2**20


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """The content of a version as it is stored, before sealing.

    Attributes:
        base_id: digest of the content it is a patch from, "" for a keyframe.
        content_id: digest of the content.
        content_bytes: size of the content.
        data: one zstd frame.
    """

    base_id: str
    content_id: str
    content_bytes: int
    data: bytes


def pack(content: bytes, base: bytes | None = None) -> Packed:
    """Compress a content; `unpack` is the inverse.

    Args:
        content: what `stable.content_bytes` made.
        base: the content to make a patch from; None for a keyframe.

    Raises:
        ArgumentError: larger than `CONTENT_BYTES_MAX`.
    """
    for what, data in (("content", content), ("base", base or b"")):
        if len(data) > CONTENT_BYTES_MAX:
            raise ArgumentError(f"{what}: expected at most {CONTENT_BYTES_MAX:,} bytes, got {len(data):,}")
    if base is None:
        data = zstandard.ZstdCompressor(level=_LEVEL).compress(content)
        return Packed("", bytes_digest(content), len(content), data)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL,
        window_log=_window_log(len(content) + len(base)),
        hash_log=max(_HASH_LOG_MIN, min(_HASH_LOG_MAX, len(base).bit_length() - 3)),
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters, dict_data=_dictionary(base))
    return Packed(bytes_digest(base), bytes_digest(content), len(content), compressor.compress(content))


def unpack(packed: Packed, base: bytes | None = None, *, size_max: int = CONTENT_BYTES_MAX) -> bytes:
    """The content. Nothing in `packed` is trusted: its size is checked before memory is taken, its digest after.

    Args:
        packed: what `pack` made.
        base: the content it is a patch from, whose digest is `packed.base_id`; None for a keyframe.
        size_max: larger contents are refused.

    Raises:
        ContentDamaged: it is larger than it says or than `size_max`, does not decompress, has another digest, or the
            base is missing or not the right one.
    """
    size = packed.content_bytes
    if not 0 <= size <= size_max:
        raise ContentDamaged(f"expected a content of at most {size_max:,} bytes, got one that says it has {size:,}")
    if (base is None) != (packed.base_id == ""):
        expected = f"the content {packed.base_id}, which it is a patch from" if packed.base_id else "no base"
        raise ContentDamaged(f"expected {expected}, got {'none' if base is None else 'one'}")
    content = _decompressed(packed.data, size, base)
    if content is None or bytes_digest(content) != packed.content_id:
        if base is not None and bytes_digest(base) != packed.base_id:
            raise ContentDamaged(f"expected a patch from the content {packed.base_id}, got {bytes_digest(base)} as it")
        raise ContentDamaged(f"expected the content {packed.content_id} of {size:,} bytes, got something else")
    return content


def _decompressed(data: bytes, size: int, base: bytes | None) -> bytes | None:
    """What a frame holds; None when that is not exactly `size` bytes."""
    dictionary = None if base is None else _dictionary(base)
    window_max = 2 ** _window_log(size + len(base or b""))
    try:
        frame = zstandard.get_frame_parameters(data)
        if frame.content_size != size or frame.window_size > window_max:
            return None
        decompressor = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=window_max)
        # A frame that holds more than its header says would be read beyond it by `decompress`; this reader stops.
        with decompressor.stream_reader(data, read_across_frames=False) as reader:
            content = reader.read(size + 1)
    except (zstandard.ZstdError, MemoryError):
        return None
    return content if len(content) == size else None


def _window_log(reach_bytes: int) -> int:
    """The window must reach from the end of a content back to the start of its base."""
    return max(_WINDOW_LOG_MIN, min(_WINDOW_LOG_MAX, reach_bytes.bit_length()))


def _dictionary(base: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


class Packer:
    """Packs one saver's versions: each as a patch from the newest keyframe, while that pays.

    Only what is stored can be a keyframe: say which one it is with `use`. Without one, the next version is packed as
    one, which is always right.

    Attributes:
        keyframe: its number, 0 when there is none.
    """

    def __init__(self) -> None:
        self.keyframe = 0
        self._content: bytes | None = None
        self._packed_bytes = 0

    def use(self, number: int, content: bytes) -> None:
        """Make patches from version `number`, which is stored whole and has this content."""
        if number != self.keyframe:
            self.keyframe, self._content, self._packed_bytes = number, content, 0

    def forget(self) -> None:
        """Make no patches until there is another keyframe."""
        self.keyframe, self._content, self._packed_bytes = 0, None, 0

    def pack(self, content: bytes, newest: int) -> tuple[int, Packed]:
        """The number of the version it is a patch from, 0 for a keyframe, and what to seal and upload.

        Args:
            content: of the version.
            newest: number of the newest version it grew from.

        Raises:
            ArgumentError: larger than `CONTENT_BYTES_MAX`.
        """
        if self._content is not None:
            packed = pack(content, self._content)
            if self._pays(len(packed.data), newest + 1 - self.keyframe):
                return self.keyframe, packed
        return 0, pack(content)

    def _pays(self, patch_bytes: int, patches: int) -> bool:
        """Whether a patch is better than a keyframe, `patches` versions after the last one.

        The cost of a version is least when a keyframe follows as soon as the patches before it have its size. Patches
        grow about evenly with what has changed, so their sum is half of their number times the last one. That needs no
        history, and so it does not matter who saved them. A patch of more than half of its keyframe is not worth it.
        """
        if not self._packed_bytes:
            self._packed_bytes = len(pack(self._content or b"").data)
        outgrown = max(patches, 4) * patch_bytes > 2 * self._packed_bytes
        return not outgrown and patch_bytes + self._packed_bytes <= PAIR_BYTES_MAX


def encode_packed(packed: Packed) -> bytes:
    """Bytes of a `Packed`, to be sealed."""
    return msgspec.msgpack.encode(packed)


def decode_packed(data: bytes) -> Packed:
    """The inverse of `encode_packed`.

    Raises:
        ContentDamaged: the bytes are no `Packed`.
    """
    try:
        return msgspec.msgpack.decode(data, type=Packed)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ContentDamaged(f"the packed content of a version does not decode: {error}") from error
