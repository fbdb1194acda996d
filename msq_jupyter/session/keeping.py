"""What a session does about versions on purpose: save and name one, go back to one, keep some, drop others."""

from __future__ import annotations

import os
import time

from msq_jupyter.errors import NoAnswer, SaveMethodMissing
from msq_jupyter.persistence.annotations import checked_label
from msq_jupyter.runtime.happenings import SaveCollected, SaveStored
from msq_jupyter.runtime.model import has_method
from msq_jupyter.runtime.persistent_model import PersistentModel
from msq_jupyter.runtime.saving import encode_save
from msq_jupyter.session.client import VersionsChanged
from msq_jupyter.session.part import Part

#: Said to views and cells, in the scope of the session's id, when somebody labelled, pinned or dropped versions,
#: or another session stored some.
VERSIONS_CHANGED = "versions-changed"


class Keeping(Part):
    """The part of `SessionCore` that makes, names, restores and drops versions."""

    @property
    def saves_itself(self) -> bool:
        """Whether the model's code saves anything at all."""
        return issubclass(self._arguments.model, PersistentModel) or self._identity.uses("persist_session")

    async def save(self, label: str = "") -> int:
        """Have the root model save what is there now, as a version of its own, and wait until that is stored.

        It is an event like any other: everybody saves at the same moment, and it is stored once. When nothing has
        changed since the last version, that is the one that is labelled.

        Args:
            label: what to call the version, up to 120 characters; "" for nothing.

        Returns:
            The version's number.

        Raises:
            SaveMethodMissing: the root model has no method `save`; shows one.
            NothingCollected: it did not call `persist_session`.
            ArgumentError: not a label.
            SessionClosed: the session has been left, or ended before.
            Exception: whatever `save` raises.
        """
        label = checked_label(label)
        self.require_open()
        root = self._replica.root
        if not has_method(root, "save"):
            raise SaveMethodMissing(type(root).__qualname__)
        request_id = os.urandom(12).hex()
        self._send(encode_save(request_id), "a save")
        await self.synced()
        collected = self._asked_saves.pop(request_id, None)
        if collected is None:
            raise NoAnswer(
                "the connection was lost while it was being saved, and what came of it was not seen here: versions() "
                "shows whether it was; if not, save again"
            )
        if collected.error is not None:
            raise collected.error
        number = collected.number
        if not number:
            await self._stored_while(lambda: self._replica.saves.place_of(collected.save_id) is not None)
            number = await self._curator.number_of(collected.save_id, collected.content_id)
        if label:
            await self._curator.label(number, label)
        return number

    async def restore(self, version: int, *, path: str | None = None, timeout_s: float = 30) -> None:
        """Go back to a version, for everybody at the same moment; what is there is saved before, so this can be undone.

        Args:
            version: its number.
            path: restore only this and leave the rest as it is at that moment; written as differences print it, such as
                `documents["d1"].title`. What is not there any more is added.
            timeout_s: how long it may take until it is executed here and the new versions are stored.

        Raises:
            PersistedDataError: the root model's `init` fails on it; nothing was changed.
            VersionMissing: there is no such version; says which there are.
            VersionDamaged: it is not what was saved.
            SealBroken: likewise, after the synchronizer sent it.
            ArgumentError: it has no such path; names the nearest one.
            SaveMethodMissing: with a path, and a root model without a method `save` that says how it is now.
            RestoreTimeout: not done in time.
            SessionClosed: the session has been left.
        """
        self.require_open()
        await self._restorer.restore(version, path, timeout_s)

    async def label(self, version: int, text: str) -> None:
        """Name a version; it is not pruned as long as it has a name.

        Args:
            version: its number.
            text: one line of up to 120 characters; "" takes the name away.

        Raises:
            VersionMissing: there is no such version; says which there are.
            ArgumentError: names the argument.
            SynchronizerRefused: it could not be stored; says why.
            SessionClosed: the session has been left.
        """
        self.require_open()
        await self._curator.label(version, text)

    async def pin(self, version: int, pinned: bool = True) -> None:
        """Keep a version, whatever is pruned.

        Args:
            version: its number.
            pinned: False takes the pin away.

        Raises:
            VersionMissing: there is no such version; says which there are.
            ArgumentError: names the argument.
            SynchronizerRefused: it could not be stored; says why.
            SessionClosed: the session has been left.
        """
        self.require_open()
        await self._curator.pin(version, pinned)

    async def prune(self, words: str, *, dry_run: bool = False) -> list[int]:
        """Drop versions for good, by rules in words; labelled and pinned ones stay, and what sessions start from.

        Args:
            words: such as "everything for a day, hourly for a week, named for ever"; see
                `msq_jupyter.persistence.retention`.
            dry_run: only say which would go.

        Returns:
            The numbers of the versions that are gone, in order. One that somebody labelled meanwhile is not.

        Raises:
            ArgumentError: the words are not understood; names the rule.
            SessionClosed: the session has been left.
        """
        self.require_open()
        return await self._curator.prune(words, dry_run=dry_run)

    def _on_save_collected(self, collected: SaveCollected) -> None:
        if collected.view_id == self.view_id:
            self._asked_saves[collected.request_id] = collected

    def _on_stored(self, stored: SaveStored) -> None:
        self._uploads.stored(stored)
        is_ours = stored.entry.view_id == self.view_id and not stored.is_history
        self._tender.stored(time.monotonic(), is_ours=is_ours)

    def _on_versions_changed(self, changed: VersionsChanged) -> None:
        self._branch_notice.head_held(changed.head)
        if changed.numbers:
            self.view_events.publish(self.id, VERSIONS_CHANGED, {"versions": list(changed.numbers)})
