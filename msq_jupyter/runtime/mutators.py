"""Which methods change a list, a dict or a set: refused by all who hand out containers that stay as they are."""

from __future__ import annotations

LIST = (
    *("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"),
    *("__setitem__", "__delitem__", "__iadd__", "__imul__"),
)
DICT = ("clear", "pop", "popitem", "setdefault", "update", "__setitem__", "__delitem__", "__ior__")
SET = (
    *("add", "clear", "discard", "pop", "remove", "update"),
    *("difference_update", "intersection_update", "symmetric_difference_update"),
    *("__iand__", "__ior__", "__isub__", "__ixor__"),
)
