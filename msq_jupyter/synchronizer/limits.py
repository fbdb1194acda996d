"""How much the holder of a token, and whoever comes from one address, may do at once and in a while. Pure.

Too many events or bytes are no reason to cut a connection: its next frame is read later, and the network's own
back-pressure slows the sender down. Too many connections or sessions are refused, with the limit and a way on.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: A bucket holds what flows into it within so long.
BURST_S = 2.0
#: At so many accounts those that nobody uses are looked for.
_LOOK_AT = 64
#: One frame waits no longer than this, so that the signs of life between the frames still come in time.
WAIT_S_MAX = 20.0


@dataclass(frozen=True)
class Limits:
    """What one token, or one address, may do; 0 for as much as it likes.

    Attributes:
        events_per_s: events, saves and other messages a second that are read, on average over `BURST_S`.
        bytes_per_s: the same in bytes of frames.
        members: connections at the same time.
        sessions: sessions at the same time.
        stored_bytes: logs, snapshots, versions of all names that were first used with it, or from it.
    """

    events_per_s: float = 0
    bytes_per_s: float = 0
    members: int = 0
    sessions: int = 0
    stored_bytes: int = 0


class Bucket:
    """A token bucket that goes into debt: what came is taken, and whoever brought it waits until that is paid.

    Args:
        rate_per_s: what flows in; 0 for a bucket that is never empty.
    """

    def __init__(self, rate_per_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._level = self._full = rate_per_s * BURST_S
        self._at_s = float("-inf")

    def take(self, amount: float, now_s: float) -> float:
        """Take something out; returns how many seconds to wait before the next time."""
        if not self._rate_per_s:
            return 0.0
        self._refill(now_s)
        self._level -= amount
        return max(0.0, -self._level / self._rate_per_s)

    def is_full(self, now_s: float) -> bool:
        """Whether nothing of what was taken still counts."""
        self._refill(now_s)
        return self._level >= self._full

    def _refill(self, now_s: float) -> None:
        if now_s > self._at_s:
            earned = (now_s - self._at_s) * self._rate_per_s if self._rate_per_s else 0.0
            self._level, self._at_s = min(self._full, self._level + earned), now_s


class Account:
    """What one token or address does at the moment."""

    def __init__(self, whose: str, limits: Limits) -> None:
        self.whose = whose
        self._limits = limits
        self._events, self._bytes = Bucket(limits.events_per_s), Bucket(limits.bytes_per_s)
        self._members = 0
        self._sessions: Counter[str] = Counter()

    @property
    def is_limited(self) -> bool:
        """Whether `take` ever returns more than 0."""
        return bool(self._limits.events_per_s or self._limits.bytes_per_s)

    def why_not(self, session_id: str) -> str:
        """Why a connection that counts already is too much, in this session; "" when it is not."""
        limits = self._limits
        if limits.members and self._members > limits.members:
            return (
                f"expected at most {limits.members:,} connections at a time of {self.whose}, got one more: close some, "
                "or have the limit of members raised"
            )
        is_new = bool(session_id) and session_id not in self._sessions
        if limits.sessions and is_new and len(self._sessions) >= limits.sessions:
            return (
                f"expected at most {limits.sessions:,} sessions at a time of {self.whose}, got one more: leave some, "
                "or have the limit of sessions raised"
            )
        return ""

    def count(self, members: int, session_id: str, sessions: int) -> None:
        """Connections begin or end, and so does what they have to do with a session, "" for none."""
        self._members += members
        if session_id:
            self._sessions[session_id] += sessions
            self._sessions = +self._sessions

    def take(self, events: int, size_bytes: int, now_s: float) -> float:
        """Something was read; returns how many seconds to wait before the next frame is."""
        return max(self._events.take(events, now_s), self._bytes.take(size_bytes, now_s))

    def is_idle(self, now_s: float) -> bool:
        """Whether forgetting it makes no difference: who connects anew shall not begin with full buckets."""
        return not self._members and self._events.is_full(now_s) and self._bytes.is_full(now_s)


class Visit:
    """One connection, on the accounts it counts for; a context in which it counts.

    Args:
        accounts: they count it.
        token: name of the token it showed, "" for none.
        address: where it comes from.
    """

    def __init__(self, accounts: Iterable[Account] = (), token: str = "", address: str = "") -> None:
        self.token, self.address = token, address
        self._accounts = tuple(accounts)
        self._session_id = ""

    def __enter__(self) -> Visit:
        for account in self._accounts:
            account.count(1, "", 0)
        return self

    def __exit__(self, *_: object) -> None:
        for account in self._accounts:
            account.count(-1, self._session_id, -1)

    def begin(self, session_id: str = "") -> str:
        """Be in a session, "" for none; returns why that is too much, "" when it is not."""
        for account in self._accounts:
            reason = account.why_not(session_id)
            if reason:
                return reason
        self._session_id = session_id
        for account in self._accounts:
            account.count(0, session_id, 1)
        return ""

    @property
    def is_limited(self) -> bool:
        """Whether `wait_s` is ever more than 0."""
        return any(account.is_limited for account in self._accounts)

    def wait_s(self, events: int, size_bytes: int, now_s: float) -> float:
        """How long to wait, after something was read, before the next frame is."""
        waits = [account.take(events, size_bytes, now_s) for account in self._accounts]
        return min(max(waits, default=0.0), WAIT_S_MAX)


class Accounts:
    """All accounts of one synchronizer.

    Args:
        of_token: what each token may.
        of_address: what may come from each address.
    """

    def __init__(self, of_token: Limits = Limits(), of_address: Limits = Limits()) -> None:
        self._limits = {"token": of_token, "address": of_address}
        self._accounts: dict[tuple[str, str], Account] = {}
        # Looking at all of them whenever somebody comes would take ten thousand times ten thousand looks.
        self._look_at = _LOOK_AT

    @property
    def account_count(self) -> int:
        """How many tokens and addresses are remembered."""
        return len(self._accounts)

    def visit(self, token: str, address: str, now_s: float) -> Visit:
        """A connection, by the name of its token, "" for none, and its address."""
        if len(self._accounts) >= self._look_at:
            self._accounts = {key: account for key, account in self._accounts.items() if not account.is_idle(now_s)}
            self._look_at = max(_LOOK_AT, 2 * len(self._accounts))
        keys = [("token", token)] if token else []
        return Visit([self._account(key) for key in [*keys, ("address", address)]], token, address)

    @property
    def limits_storage(self) -> bool:
        """Whether it matters how much is stored."""
        return any(limits.stored_bytes for limits in self._limits.values())

    def why_full(self, stored_bytes: Mapping[tuple[str, str], int], size_bytes: int) -> str:
        """Why no more may be stored, "" when it may.

        Args:
            stored_bytes: what is stored for each account that pays, by its kind and its name.
            size_bytes: what is to come.
        """
        for (kind, name), there_bytes in stored_bytes.items():
            limit_bytes = self._limits[kind].stored_bytes
            if limit_bytes and there_bytes + size_bytes > limit_bytes:
                return (
                    f"expected at most {limit_bytes:,} bytes stored for {kind} {name}, got {there_bytes:,} and "
                    f"{size_bytes:,} more: drop versions, or have the limit of stored bytes raised"
                )
        return ""

    def _account(self, key: tuple[str, str]) -> Account:
        if key not in self._accounts:
            kind, name = key
            self._accounts[key] = Account(f"{kind} {name}", self._limits[kind])
        return self._accounts[key]


def address_of(text: str) -> str:
    """What counts as one address: of IPv6 the 64 bits that a provider gives to one customer.

    Args:
        text: the other side's, as the socket tells it.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))
