"""The identity of a model's code: what two kernels compare before they share a session.

Comments, blank lines, quotes, parentheses, line breaks and docstrings do not change it; neither do the order of
definition, running an unchanged cell again, or what the model does not mention. Everything else does: names,
annotations, defaults, constants (`2` is not `2.0`), the order of statements, in the model and in everything it can
reach. `code_walk` tells what that is. When reachable code mentions `__doc__`, docstrings count too.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from msq_jupyter.runtime.code_walk import Record, Walk
from msq_jupyter.runtime.sources import capture_sources

__all__ = ["CodeIdentity", "Record", "capture_sources", "explain_difference", "identify"]

#: Changes whenever the same code gets other records than before.
_FORMAT = "msq-code-1"


@dataclass(frozen=True)
class CodeIdentity:
    """The code of a model.

    `code_hash` is base64url without padding, 43 characters. `records` are in order of discovery. `models` holds every
    reachable subclass of the model base, the root first, by qualified name, with the module before it unless that is
    `__main__`; a "~2" is added to the second class of a name. `value_types` holds every reachable enum,
    named tuple and dataclass of the user's own code, by names made the same way. `source` is for people.
    """

    code_hash: str
    records: tuple[Record, ...]
    models: Mapping[str, type]
    value_types: Mapping[str, type]
    source: str

    def uses(self, attribute: str) -> bool:
        """Whether the code has an attribute of this name anywhere, such as a method it calls; comments do not count."""
        return any(f"attr={attribute})" in record.text for record in self.records)


def identify(root: type, *, model_base: type) -> CodeIdentity:
    """Identify the code of a root model and of everything it can reach.

    Args:
        root: the class of the root model.
        model_base: the class all models derive from; it enters as the protocol version and is not walked.

    Raises:
        CodeIdentityError: something reachable has no source, has another source than the code that runs, or is
            an object that is neither code nor constant. The message names the path to it and the remedy.
    """
    walk = Walk(model_base, docstrings=False)
    walk.run(root)
    if any("__doc__" in record.text for record in walk.records):
        # Docstrings are data here, so they count.
        walk = Walk(model_base, docstrings=True)
        walk.run(root)
    digest = hashlib.sha256(f"{_FORMAT}\n".encode())
    for record in walk.records:
        head = f"{record.kind} {record.name} {len(record.text)}\n"
        digest.update(f"{head}{record.text}\n".encode("utf-8", "surrogatepass"))
    code_hash = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
    tables = MappingProxyType(walk.models), MappingProxyType(walk.value_types)
    return CodeIdentity(code_hash, tuple(walk.records), *tables, "\n\n".join(walk.segments))


_KIND_WORDS = {"value": "constant"}


def explain_difference(ours: Sequence[Record], theirs: Sequence[Record]) -> list[str]:
    """One sentence for each piece of code that differs; none when the records say the same.

    Args:
        ours: the records of this kernel.
        theirs: the records of another.
    """
    own = {(record.kind, record.name): record.text for record in ours}
    other = {(record.kind, record.name): record.text for record in theirs}
    sentences: list[str] = []
    for kind, name in {**own, **other}:
        text, other_text = own.get((kind, name)), other.get((kind, name))
        what = f"the {_KIND_WORDS.get(kind, kind)} {name}"
        if text == other_text:
            continue
        if kind == "stale":
            sentences += [f"{side}: {said}." for side, said in (("ours", text), ("theirs", other_text)) if said]
        elif text is None or other_text is None:
            sentences.append(f"only {'theirs' if text is None else 'ours'} uses {what}.")
        elif kind == "package":
            sentences.append(f"{what} is {text} in ours and {other_text} in theirs.")
        else:
            sentences.append(f"{what} differs.")
    return sentences
