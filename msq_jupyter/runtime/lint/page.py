"""Explains the rules: the page `docs/lint.md`, written from the table so that the two cannot differ."""

from __future__ import annotations

from msq_jupyter.runtime.lint.rule import MARK, Rule
from msq_jupyter.runtime.lint.rules import NO_IDENTITY, RULES, SUBJECTS, UNKNOWN_CODE, UNREADABLE

_HEAD = """# The lint

Every participant's kernel runs your model, and all have to come to the same result. The lint finds code that will not,
before it runs: `msq lint notebook.ipynb` in a terminal, `msq_jupyter.lint_model(Poll)` in a cell, and, while the
extension is loaded, one line under each cell that defines a model. It looks at models and at the functions, classes and
constants that they use; the rest of a notebook may do as it likes.

An *error* raises while a session runs, or makes replicas differ. A *warning* does something else than it seems to. What
you know better passes with a comment on its line: `# msq: ignore[MSQ101]`.

It cannot see everything: what it misses is caught when the model's code is linked, and by the comparison of replicas
while a session runs.
"""
_OWN = f"""
## The lint itself

### {UNKNOWN_CODE}

A comment `# msq: ignore[...]` names no rule, so it lets nothing pass. *Instead:* name one of this page.

### {UNREADABLE}

The file or cell is not Python, so it was not looked at. *Instead:* correct the line.

### {NO_IDENTITY}

The code of the model cannot be identified, so no two kernels could agree on it, and joining a session would fail with
the same message. *Instead:* do as the message says.
"""


def page() -> str:
    """The whole page, as Markdown."""
    parts = [_HEAD]
    for prefix, subject in SUBJECTS.items():
        parts.append(f"\n## {subject}\n")
        parts += [f"\n{section(rule)}" for rule in RULES if rule.code.startswith(prefix)]
    return "".join([*parts, _OWN])


def section(rule: Rule) -> str:
    """What the page says about one rule."""
    remedy = rule.remedy.replace("{what}", "name")
    return (
        f"### {rule.code}\n\n**{rule.name}** ({rule.severity}). {rule.why}\n\n*Instead:* {remedy}.\n\n"
        f"```python\n{rule.bad.replace(MARK, f'  # {rule.code}').rstrip()}\n```\n\n"
        f"```python\n{rule.good.rstrip()}\n```\n"
    )
