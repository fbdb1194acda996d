"""The decimal context that model code computes in: the same in every kernel, whatever the notebook has set."""

from __future__ import annotations

import decimal
from types import MappingProxyType
from typing import Any, NoReturn

from msq_jupyter.errors import AuthorError


class _ReadOnlyContext(decimal.Context):
    """28 digits, half to even, the usual traps. What one event sets would be missing after a snapshot."""

    def __setattr__(self, name: str, value: object) -> None:
        _refuse()

    def clear_flags(self) -> None:
        _refuse()

    def clear_traps(self) -> None:
        _refuse()

    def __getattribute__(self, name: str) -> Any:
        # Not properties: `decimal.Context` answers for these two before its subclasses are asked.
        if name == "traps":
            return MappingProxyType(dict(super().__getattribute__(name)))
        if name == "flags":  # they would tell what was computed before, by whichever model
            return MappingProxyType(dict.fromkeys(super().__getattribute__(name), False))
        return super().__getattribute__(name)


def _refuse() -> NoReturn:
    raise AuthorError(
        "decimal.getcontext() is the same in every kernel, and model code cannot change it: "
        "write `with decimal.localcontext() as context:` and set context.prec and the like there"
    )


_USUAL = [decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]
MODEL_CONTEXT = _ReadOnlyContext(
    prec=28,
    rounding=decimal.ROUND_HALF_EVEN,
    Emin=-999_999,
    Emax=999_999,
    capitals=1,
    clamp=0,
    flags=[],
    traps=_USUAL,
)
