"""What a rule of the lint is: a row of a table, with the code that it is about and the code that replaces it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from msq_jupyter.runtime.lint.classes import Site

#: A place where a rule is broken, and what its message says for `{what}`.
Hit: TypeAlias = "tuple[ast.AST, str]"
Check: TypeAlias = "Callable[[ast.AST, Site], Iterable[Hit]]"

#: Marks the line of a bad sample at which the finding is.
MARK = "  # <-"


@dataclass(frozen=True)
class Rule:
    """One rule.

    A rule looks at the library names that code mentions (`names`), or at nodes of some types (`nodes` and `check`).
    With `names`, `check` is asked about each mention and may let it pass.

    Attributes:
        code: "MSQ" and three digits; the first is the subject.
        name: a few words with hyphens.
        severity: `finding.ERROR` or `finding.WARNING`.
        message: one clause about the place, with `{what}` for what stands there.
        remedy: one clause: what to write instead.
        why: a sentence or two for the documentation.
        bad: a text with exactly this finding, at the line with `MARK`.
        good: the same, put right.
        names: full library names; "socket.*" for all that is in it.
        nodes: types of syntax nodes that `check` is asked about.
        check: yields the places.
        at_definition: look at what Python runs when it makes the class, instead of at what replicas run.
    """

    code: str
    name: str
    severity: str
    message: str
    remedy: str
    why: str
    bad: str
    good: str
    names: tuple[str, ...] = ()
    nodes: tuple[type[ast.AST], ...] = ()
    check: Check | None = None
    at_definition: bool = False


def handler(*lines: str, above: str = "") -> str:
    """A sample: a model whose handler consists of some lines."""
    return model("def vote(self, choice):", *(f"    {line}" for line in lines), above=above)


def model(*lines: str, above: str = "") -> str:
    """A sample: a model whose class body consists of some lines."""
    body = "".join(f"    {line}\n" if line else "\n" for line in lines)
    top = f"{above.rstrip()}\n\n" if above else ""
    return f"from msq_jupyter import Model\n{top}\nclass Poll(Model):\n{body}"


def marked_line(sample: str) -> int:
    """The line of a bad sample at which the finding is."""
    return next(number for number, line in enumerate(sample.splitlines(), 1) if line.endswith(MARK))


def called(node: ast.AST, site: Site) -> ast.Call | None:
    """The call of which a node is the function."""
    parent = site.names.parents.get(node)
    return parent if isinstance(parent, ast.Call) and parent.func is node else None


def has_keyword(call: ast.Call, name: str) -> bool:
    """Whether a call gives an argument by name; a `**` may."""
    return any(keyword.arg in (name, None) for keyword in call.keywords)


def text_of(node: ast.AST) -> str:
    """A node as one short piece of text, for messages."""
    try:
        text = " ".join(ast.unparse(node).split())
    except RecursionError:
        return "this"  # an expression of a thousand terms
    return text if len(text) <= 40 else f"{text[:37]}..."
