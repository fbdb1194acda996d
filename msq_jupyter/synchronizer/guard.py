"""Who gets in with a token, and from where: an address that shows too many wrong ones is refused for a while. Pure.

Memory is bounded: beyond `ADDRESSES_MAX`, the address whose wrong tokens began longest ago is forgotten. Somebody who
was let in before, with the same token from the same address, is let in all the same: where many share an address,
nobody keeps out those who are there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msq_jupyter.synchronizer.tokens import Gate, Token

#: Wrong tokens are counted over so many seconds, from the first one on.
WINDOW_S = 60.0
#: So many addresses with wrong tokens are remembered, and so many pairs of an address and a token that was right.
ADDRESSES_MAX = 10_000


@dataclass(frozen=True)
class NotAdmitted:
    """Why a request does not get in.

    Attributes:
        wait_s: its address has shown too many wrong tokens and shall wait so long; 0 for one that is wrong or missing.
        is_first: the first one that has to wait, for whoever writes a log that no attacker may fill.
    """

    wait_s: float = 0.0
    is_first: bool = False


class Guard:
    """The gate of one synchronizer, and how often each address tried it in vain.

    Args:
        gate: knows the tokens.
        wrong_tokens_max: so many an address may show within a minute; 0 for any number.

    Attributes:
        gate: may be replaced at any time.
    """

    def __init__(self, gate: Gate, wrong_tokens_max: int = 0) -> None:
        self.gate = gate
        self._wrong_tokens_max = wrong_tokens_max
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how many, and since when
        self._known: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def admit(self, authorization: Sequence[str], address: str, now_s: float) -> Token | NotAdmitted:
        """The token that is shown, or why it opens nothing.

        Args:
            authorization: the values of all headers `Authorization`.
            address: where the request comes from.
            now_s: of a monotonic clock.
        """
        token = self.gate.admit(authorization)
        if not self._wrong_tokens_max or self.gate.is_open or not authorization:
            return token or NotAdmitted()
        if token is not None and (address, token.digest) in self._known:
            return token
        count, since_s = self._wrong.get(address, (0, now_s))
        if now_s - since_s >= WINDOW_S:
            count, since_s = 0, now_s
            self._wrong.pop(address, None)
        if count < self._wrong_tokens_max and token is not None:
            self._known[address, token.digest] = None
            _forget_oldest(self._known)
            return token
        # Counted one further, so that the first one that is too many is known.
        self._wrong[address] = min(count + 1, self._wrong_tokens_max + 2), since_s
        _forget_oldest(self._wrong)
        if count >= self._wrong_tokens_max:
            return NotAdmitted(since_s + WINDOW_S - now_s, is_first=count == self._wrong_tokens_max)
        return NotAdmitted()


def _forget_oldest(remembered: OrderedDict[Any, Any]) -> None:
    if len(remembered) > ADDRESSES_MAX:
        remembered.popitem(last=False)
