"""What people say of a version after it was saved, or with it: its label, and whether it is pinned.

An annotation is a small record of one kind. Of each kind the newest one holds; those of different kinds do not touch
each other, so that to name a version and to pin it at the same time loses neither.
"""

from __future__ import annotations

import datetime

import msgspec

from msq_jupyter.errors import ArgumentError, SealBroken
from msq_jupyter.persistence.harmless import harmless, shortened
from msq_jupyter.stable import is_utf8

LABEL, PIN = "label", "pin"
#: Longest label, in characters.
LABEL_CHARACTERS_MAX = 120
#: Later times cannot be told as a date.
_TIME_MAX_S = 2e11


class Annotation(msgspec.Struct, frozen=True, array_like=True):
    """One annotation, as it is sealed.

    Attributes:
        value: the text of a label, "" for none; whether the version is pinned.
        author: who said so.
        time_s: when, in seconds since 1970, by the clock of the author's machine; 0 for one that came with the version.
    """

    value: str | bool
    author: str
    time_s: float = 0.0

    @property
    def time(self) -> datetime.datetime | None:
        """When, with time zone; None for one that came with the version."""
        return datetime.datetime.fromtimestamp(self.time_s, datetime.timezone.utc) if self.time_s else None

    @property
    def keeps(self) -> bool:
        """Whether the version must not be pruned while this holds."""
        return bool(self.value)


_TYPES: dict[str, type] = {LABEL: str, PIN: bool}


def encode_annotation(annotation: Annotation) -> bytes:
    """Bytes of an annotation."""
    return msgspec.msgpack.encode(annotation)


def decode_annotation(kind: str, data: bytes) -> Annotation:
    """The inverse of `encode_annotation`, for an annotation of one kind.

    Raises:
        SealBroken: the bytes are no annotation of that kind.
    """
    try:
        annotation = msgspec.msgpack.decode(data, type=Annotation)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise SealBroken(f"a {kind} of a version does not decode: {error}") from error
    if type(annotation.value) is not _TYPES.get(kind) or not 0 <= annotation.time_s <= _TIME_MAX_S:
        raise SealBroken(f"expected the {kind} of a version and a time, got {shortened(repr(annotation))}")
    return annotation


def checked_label(text: str) -> str:
    """A label without the white space around it.

    Raises:
        ArgumentError: no text of one line, or longer than `LABEL_CHARACTERS_MAX`.
    """
    if not isinstance(text, str):
        raise ArgumentError(f'label: expected text such as "before the exam", got {text!r}')
    label = text.strip()
    if len(label) > LABEL_CHARACTERS_MAX:
        raise ArgumentError(
            f"label: expected at most {LABEL_CHARACTERS_MAX} characters, got {len(label):,}: {shortened(label, 40)}"
        )
    if not is_utf8(label) or harmless(label) != label:
        raise ArgumentError(f"label: expected one line of characters that can be seen, got {harmless(label)}")
    return label
