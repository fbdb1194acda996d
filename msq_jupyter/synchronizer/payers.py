"""For whom is counted what is stored: whoever used a name first, with the token and from the address of that moment.

Kept only while a limit of storage is set; names that were first used before then count for nobody. A log grows with
every event; dropping versions gives back what they took, and so does forgetting sessions.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping

#: What is stored under a name, in bytes; what tables and indexes take beside it is not counted.
_MEASURE = """
SELECT
    (SELECT coalesce(sum(length(block)), 0) FROM runs JOIN blocks
        ON place > place_of(position, 0) AND place < place_of(position + 1, 0) WHERE persistent_id = :id) +
    (SELECT coalesce(sum(length(payload)), 0) FROM snapshots JOIN runs USING (position) WHERE persistent_id = :id) +
    (SELECT coalesce(sum(length(save)), 0) FROM drafts JOIN runs USING (position) WHERE persistent_id = :id) +
    (SELECT coalesce(sum(size_bytes + length(meta)), 0) FROM versions WHERE persistent_id = :id) +
    (SELECT coalesce(sum(size_bytes + length(meta)), 0) FROM bases WHERE persistent_id = :id) +
    (SELECT coalesce(sum(length(source)), 0) FROM sources WHERE persistent_id = :id)
"""


class Payers:
    """Who pays for which name, and how much is stored for each.

    The storage's thread writes; others may ask `accounts_of` and `stored_bytes` at any time.

    Args:
        database: a synchronizer's file.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._accounts: dict[str, list[tuple[str, str]]] = {}
        self._names: dict[str, int] = {}
        self._sums: Counter[tuple[str, str]] = Counter()
        rows = database.execute("SELECT persistent_id, token, address, stored_bytes FROM payers")
        for persistent_id, token, address, stored_bytes in rows:
            self._accounts[persistent_id] = accounts_of(token, address)
            self.count({persistent_id: stored_bytes})

    def __contains__(self, persistent_id: str) -> bool:
        return persistent_id in self._accounts

    def accounts_of(self, persistent_id: str) -> list[tuple[str, str]]:
        """The accounts that pay for a name, each as its kind and its name; none when nobody does."""
        return self._accounts.get(persistent_id, [])

    def stored_bytes(self, account: tuple[str, str]) -> int:
        """How much is stored for an account."""
        return self._sums[account]

    # --- writing, in a transaction of the caller's -----------------------------------------------------------------

    def set(self, persistent_id: str, token: str, address: str) -> None:
        """Somebody uses a name that nobody used before; call `remember` when that is on the disk."""
        self._database.execute("INSERT OR REPLACE INTO payers VALUES (?, ?, ?, 0)", (persistent_id, token, address))

    def grow(self, growth_bytes: Mapping[str, int]) -> None:
        """So much more is stored under these names; call `count` when that is on the disk."""
        self._database.executemany(
            "UPDATE payers SET stored_bytes = stored_bytes + ? WHERE persistent_id = ?",
            [(size_bytes, persistent_id) for persistent_id, size_bytes in growth_bytes.items()],
        )

    def growth_since(self, persistent_id: str) -> int:
        """By how much what is stored under a name differs from what was counted, after something was dropped."""
        [(stored_bytes,)] = self._database.execute(_MEASURE, {"id": persistent_id})
        return int(stored_bytes) - self._names.get(persistent_id, 0)

    # --- remembering, after it --------------------------------------------------------------------------------------

    def remember(self, persistent_id: str, token: str, address: str) -> None:
        """What `set` wrote is on the disk."""
        self._accounts[persistent_id] = accounts_of(token, address)

    def count(self, growth_bytes: Mapping[str, int]) -> None:
        """What `grow` wrote is on the disk."""
        for persistent_id, size_bytes in growth_bytes.items():
            self._names[persistent_id] = self._names.get(persistent_id, 0) + size_bytes
            for account in self._accounts[persistent_id]:
                self._sums[account] += size_bytes


def accounts_of(token: str, address: str) -> list[tuple[str, str]]:
    """The accounts of a connection: its token's, if it showed one that has a name, and its address's."""
    return [*([("token", token)] if token else []), ("address", address)]
