"""What the lint says: one finding for one place in a text."""

from __future__ import annotations

from dataclasses import dataclass

#: "error": it raises while a session runs, or replicas come to differ. "warning": it does not do what it seems to do.
ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, order=True)
class Finding:
    """One place in model code that replicas would not agree about, or that cannot work.

    Attributes:
        path: the file, or for a notebook the file and cell: "lesson.ipynb cell 3". "" when the text has no name.
        line: counted from 1.
        column: counted from 1, in characters.
        code: the rule's number, such as "MSQ101".
        where: the class and method, such as "Poll.vote".
        severity: "error" or "warning".
        message: what is wrong here.
        remedy: what to do about it.
    """

    path: str
    line: int
    column: int
    code: str
    where: str
    severity: str
    message: str
    remedy: str

    @property
    def docs(self) -> str:
        """Where the rule is explained."""
        return docs_anchor(self.code)

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.path else f"line {self.line}"
        return f"{place}: {self.code} {self.where}: {self.message}; {self.remedy}"


def docs_anchor(code: str) -> str:
    """The place in the documentation that explains a rule."""
    return f"docs/lint.md#{code.lower()}"
