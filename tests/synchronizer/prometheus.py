"""The text format of Prometheus, read more strictly than Prometheus does."""

from __future__ import annotations

import re

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HELP = re.compile(rf"# HELP ({_NAME}) (\S.*)")
_TYPE = re.compile(rf"# TYPE ({_NAME}) (counter|gauge|histogram)")
_SAMPLE = re.compile(rf'({_NAME})(\{{[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*"\}})? (-?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)')
_SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


def parse_strictly(text: str) -> dict[str, float]:
    """The samples, by name and label; every line has to be what the format says, in its order.

    Each family has one HELP, then one TYPE, then its samples without another's between; no sample comes twice; names of
    counters end in `_total`; a histogram's buckets grow, and the last one is its count.
    """
    assert text.endswith("\n")
    assert "\r" not in text
    values: dict[str, float] = {}
    family = kind = ""
    seen: set[str] = set()
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP"):
            match = _HELP.fullmatch(line)
            assert match, line
            family, kind = match[1], ""
            assert family not in seen, line
            seen.add(family)
        elif line.startswith("#"):
            match = _TYPE.fullmatch(line)
            assert match, line
            assert (match[1], kind) == (family, ""), line
            kind = match[2]
            assert kind != "counter" or family.endswith("_total"), line
        else:
            match = _SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] in {family + suffix for suffix in _SUFFIXES[kind]}, line
            key = match[1] + (match[2] or "")
            assert key not in values, line
            values[key] = float(match[3])
            assert kind != "counter" or values[key] >= 0, line
    for name in seen:
        buckets = [value for key, value in values.items() if key.startswith(f"{name}_bucket{{")]
        assert buckets == sorted(buckets), name
        assert not buckets or buckets[-1] == values[f"{name}_count"] == values[f'{name}_bucket{{le="+Inf"}}'], name
    return values
