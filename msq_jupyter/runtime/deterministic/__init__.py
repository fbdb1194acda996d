"""What model code gets instead of the builtins and modules whose results differ between kernels.

* `BUILTINS` is the `__builtins__` of model code.
* `substitute_for(thing)` is what stands in for a module, a function or a class.
* `set_display`, `power` and `view_set` are what `{a, b}`, `x ** y` and `d.keys() | e` are rewritten to.

Each subject is a module: `sets`, `elementary` (`math`, `cmath`), `arithmetic` (`sum`, `abs`, `hash`, `**`),
`averages` (`statistics`), `chance` (`random`, `uuid`), `clock` (`time`, `datetime`). `refusals` is the table of what is
refused and what to use instead; `stand_ins` puts all of it into one table by identity.
"""

from __future__ import annotations

from msq_jupyter.runtime.deterministic.arithmetic import power
from msq_jupyter.runtime.deterministic.sets import OrderedFrozenSet, OrderedSet, set_display, view_set
from msq_jupyter.runtime.deterministic.stand_ins import BUILTINS, has_substitute, substitute_for

__all__ = [
    "BUILTINS",
    "OrderedFrozenSet",
    "OrderedSet",
    "has_substitute",
    "power",
    "set_display",
    "substitute_for",
    "view_set",
]
