"""The lint: what replicas would not agree about, found before they run.

`rules` is the table; `engine` runs it over a text, `live` over a class and everything it reaches; `page` explains it.
It is a help and not a sandbox: what it cannot see, linking and the comparison of replicas catch.
"""

from __future__ import annotations

from msq_jupyter.runtime.lint.engine import lint_text
from msq_jupyter.runtime.lint.finding import Finding
from msq_jupyter.runtime.lint.live import lint_model

__all__ = ["Finding", "lint_model", "lint_text"]
