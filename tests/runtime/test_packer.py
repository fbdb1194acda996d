"""Both packers give the same bytes, so a browser's kernel and every other one agree."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from msq_jupyter.runtime import packer
from msq_jupyter.runtime.packer import PACK_OPTIONS, Ext, packb


def without_ormsgpack() -> ModuleType:
    """The module as it is where `ormsgpack` is not installed."""
    spec = importlib.util.find_spec(packer.__name__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "ormsgpack", None)
        spec.loader.exec_module(module)
    assert module.Ext is not Ext
    return module


PORTABLE = without_ormsgpack()

#: What the careful way makes of values; an extension is a pair here, because each packer has a class of its own.
extensions = st.tuples(st.integers(0, 127), st.binary(max_size=300))
leaves = st.one_of(
    *(st.none(), st.booleans(), st.floats(), st.binary(max_size=300), extensions),
    st.integers(-(1 << 63), (1 << 64) - 1),
    st.text(max_size=300),
)
plain = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30)


def with_extensions(value, kind):
    if type(value) is tuple:
        return kind(*value)
    if type(value) is list:
        return [with_extensions(item, kind) for item in value]
    if type(value) is dict:
        return {key: with_extensions(item, kind) for key, item in value.items()}
    return value


@given(plain)
@example([0, 127, 128, 255, 256, 65535, 65536, -1, -32, -33, -128, -129, -32768, -32769, 1 << 32, (1 << 64) - 1])
@example(["x" * size for size in (0, 31, 32, 255, 256, 65535, 65536)])
@example([b"x" * size for size in (0, 255, 256, 65535, 65536)])
@example([(7, b"x" * size) for size in (0, 1, 2, 3, 4, 8, 15, 16, 17, 255, 256, 65535, 65536)])
@example([[0] * size for size in (0, 15, 16, 65535, 65536)])
@example([dict.fromkeys(map(str, range(size))) for size in (0, 15, 16, 65535, 65536)])
def test_both_packers_give_the_same_bytes(value):
    theirs = PORTABLE.packb(with_extensions(value, PORTABLE.Ext), None, PORTABLE.PACK_OPTIONS)
    assert theirs == packb(with_extensions(value, Ext), None, PACK_OPTIONS)


class Number(int):
    pass


@pytest.mark.parametrize(
    "value",
    [1 << 64, -(1 << 63) - 1, "\ud800", {"\udfff": 1}, (), {1}, object(), Number(3), 1j, range(3)],
    ids=lambda value: type(value).__name__,
)
def test_both_packers_refuse_what_is_not_plain(value):
    for pack in (packb, PORTABLE.packb):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            pack([value], None, 0 if pack is PORTABLE.packb else PACK_OPTIONS)


def test_without_ormsgpack_everything_goes_the_careful_way():
    with pytest.raises(TypeError, match="expected plain data and nothing to stand in for other values"):
        PORTABLE.packb([1], repr, PORTABLE.PACK_OPTIONS)
