"""Labels, pins and pruning of saved versions, over any connection that is there: a session's, or an archive's."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterable
from functools import partial

from msq_jupyter import protocol
from msq_jupyter.errors import ArgumentError, SealBroken, SynchronizerRefused
from msq_jupyter.persistence.annotations import LABEL, PIN, Annotation, checked_label
from msq_jupyter.persistence.records import Version
from msq_jupyter.persistence.retention import KeptVersion, parse_retention, prune
from msq_jupyter.session.crypto import Keys
from msq_jupyter.session.reading import Reader
from msq_jupyter.session.story import Story
from msq_jupyter.session.versions import Said, missing, open_meta, seal_annotations


class Curator:
    """Says something of versions, and drops them.

    Args:
        keys: open and seal.
        reader: knows which versions there are, and whom to ask.
        author: who says it.
        story: what was done is told there.
    """

    def __init__(self, keys: Keys, reader: Reader, author: str, story: Story) -> None:
        self._keys = keys
        self._reader = reader
        self._author = author
        self._story = story

    async def label(self, number: int, text: str) -> None:
        """Name a version; "" takes its name away. Arguments and errors are those of `Session.label`."""
        await self._annotate(number, LABEL, checked_label(text))

    async def pin(self, number: int, pinned: bool) -> None:
        """Keep a version, or not. Arguments and errors are those of `Session.pin`."""
        if type(pinned) is not bool:
            raise ArgumentError(f"pinned: expected True or False, got {pinned!r}")
        await self._annotate(number, PIN, pinned)

    async def prune(self, words: str, *, dry_run: bool, as_of_newest: bool = False) -> list[int]:
        """Drop versions; arguments and errors are those of `Session.prune`.

        With `as_of_newest` it is no later than the newest version, so that a clock here that is ahead drops nothing.
        """
        retention = parse_retention(words)
        answer = await self._reader.listed()
        said = Said(self._keys, answer)
        versions = []
        for stored in answer.versions:
            # Of what cannot be opened nobody knows whether it may go.
            with contextlib.suppress(SealBroken):
                versions.append(said.version(stored))
        # What is a patch of a version that is dropped can be read all the same: the synchronizer keeps those bytes.
        newest = max((version.time for version in versions), default=_now())
        now = min(_now(), newest) if as_of_newest else _now()
        drop = sorted(prune(map(_kept, versions), retention, now).drop)
        if dry_run or not drop:
            return drop
        done: protocol.Done = await self._reader.ask(partial(protocol.Prune, numbers=drop))
        refused = dict(done.refused)
        for number, reason in refused.items():
            self._story.info("[Multisynq] Version %d was not dropped: %s", number, reason)
        dropped = [number for number in drop if number not in refused]
        if dropped:
            numbers = ", ".join(map(str, dropped))
            self._story.info("[Multisynq] Dropped %d versions, keeping %s: %s", len(dropped), words.strip(), numbers)
        return dropped

    async def number_of(self, save_id: str, content_id: str) -> int:
        """The version that a save became; else the newest one of that content, 0 for none."""
        found = 0
        for stored in (await self._reader.listed()).versions:
            if open_meta(self._keys, stored).content_id == content_id:
                found = stored.number
                if stored.save_id == save_id:
                    break
        return found

    async def _annotate(self, number: int, kind: str, value: str | bool) -> None:
        if type(number) is not int:
            raise ArgumentError(f"version: expected the number of a version, such as 3, got {number!r}")
        there = {stored.number: stored for stored in (await self._reader.listed()).versions}
        if number not in there:
            raise missing(number, list(there))
        annotation = Annotation(value, self._author, time.time())
        await self.say(number, there[number].save_id, kind, annotation, list(there))
        self._story.info("[Multisynq] Version %d %s", number, _said(kind, value))

    async def say(
        self, number: int, save_id: str, kind: str, annotation: Annotation, there: Iterable[int] = ()
    ) -> None:
        """Have an annotation of a version stored.

        Args:
            number: the version's.
            save_id: likewise.
            kind: of the annotation.
            annotation: takes the place of the one of its kind that there is.
            there: numbers of the versions that there are, for the message.

        Raises:
            VersionMissing: it has been dropped.
            SynchronizerRefused: it could not be stored; says why.
        """
        [(_, keeps, sealed)] = seal_annotations(self._keys, save_id, {kind: annotation})
        done: protocol.Done = await self._reader.ask(
            lambda request_id: protocol.Annotate(request_id, number, kind, keeps, sealed)
        )
        for _, reason in done.refused:
            if reason == protocol.NO_SUCH_VERSION:
                raise missing(number, [other for other in there if other != number])
            raise SynchronizerRefused(f"the {kind} of version {number} was not stored: {reason}")


def _said(kind: str, value: str | bool) -> str:
    if kind == LABEL:
        return "has a label now" if value else "has no label any more"
    return "is pinned now" if value else "is not pinned any more"


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def _kept(version: Version) -> KeptVersion:
    stays = version.is_tip or version.is_head
    return KeptVersion(version.number, version.time, version.label, version.pinned, is_head=stays)
