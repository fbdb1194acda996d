"""What a session does when its model's code is edited: it tries the new code out, and goes on with it.

The session stays the same object, so that every variable, subscription, link and badge stays what it is. What belongs
to one code (identity, keys, client, replica) is made anew by `SessionCore._begin`. The data goes the way it always
goes: saved by the old code, it is what the new code's session begins with.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from msq_jupyter.errors import ArgumentError, CodeEditRefused, JoinTimeout, MsqError, PeerError, SynchronizerUnreachable
from msq_jupyter.persistence.check_report import CheckReport
from msq_jupyter.persistence.diff import SourceDifference, source_difference
from msq_jupyter.runtime.codehash import CodeIdentity, identify
from msq_jupyter.runtime.link import LinkedCode, link
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.view import View
from msq_jupyter.session import dry_run
from msq_jupyter.session.arguments import JoinArguments
from msq_jupyter.session.history import History

#: How long storing what is to be saved may take before the code is changed, in seconds.
SAVE_S = 10.0
#: How long it is tried to join the old code's session again when the new one's could not be joined, and how often.
GO_BACK_S = 300.0
GO_BACK_PAUSE_S = 1.0

EditState = Literal["checking", "ready", "refused", "moving"]


@dataclass(frozen=True)
class CodeEdit:
    """Edited code of a session's model, which the session does not run yet.

    Attributes:
        model: the edited root model's class.
        view: the root view's class as it is now.
        code_hash: the edited code's.
        changes: how the source was changed.
        state: "checking" while it is tried out, then "ready" or "refused"; "moving" while the session changes over.
        report: what came of trying it out on the data there is now and on every version; None until then.
        error: why it was refused, "" when it was not.
    """

    model: type[Model]
    view: type[View]
    code_hash: str
    changes: SourceDifference
    state: EditState = "checking"
    report: CheckReport | None = None
    error: str = ""

    @property
    def title(self) -> str:
        """One line for people."""
        name = self.model.__qualname__
        if self.state == "refused":
            return f"{name} was edited, and the new code cannot take over: {self.error}"
        if self.state == "moving":
            return f"{name} was edited: changing over to the new code"
        if self.report is None:
            return f"{name} was edited: trying the new code out"
        return f"{name} was edited: the new code loads {self.report.what_loads}"


class CodeEdits(History):
    """The part of `SessionCore` that goes on with edited code."""

    #: Edited code that the session does not run, None when there is none.
    edit: CodeEdit | None = None

    def look_for_edit(self, namespace: Mapping[str, Any]) -> CodeEdit | None:
        """Look whether the code of the model is another one by now; that is noted in `edit`.

        Args:
            namespace: the notebook's names.

        Returns:
            The edit, if it is news.

        Raises:
            CodeIdentityError: the code cannot be identified.
        """
        if self._arguments.code_hash is not None or self._changing.locked():
            return None
        model = _definition_of(self._arguments.model, namespace)
        view = _definition_of(self._arguments.view, namespace)
        identity = identify(model, model_base=Model)
        if identity.code_hash == self.code_hash:
            if self.edit is not None:
                self._note_edit(None)
            return None
        if self.edit is not None and self.edit.code_hash == identity.code_hash:
            return None
        self._note_edit(self._edit_of(model, view, identity))
        return self.edit

    async def try_out(self) -> CheckReport | None:
        """Run the edited code on the data there is now and on every version, in scratch replicas; noted in `edit`.

        Returns:
            What came of it, None when there is no edited code any more.
        """
        edit = self.edit
        if edit is None:
            return None
        try:
            report, refusal = await self._tried(edit.model)
        except (MsqError, KeyboardInterrupt) as error:
            if self.edit is edit:
                self._note_edit(replace(edit, state="refused", error=str(error) or "interrupted"))
            if isinstance(error, KeyboardInterrupt):
                raise
            return None
        if self.edit is edit:
            self._note_edit(replace(edit, state="refused" if refusal else "ready", report=report, error=refusal))
        return report

    async def follow(self, model: type[Model] | None = None, view: type[View] | None = None) -> CheckReport:
        """Go on with edited code, as the same session: save, leave the old code's session, join the new one's.

        The new code is tried out first. Whatever goes wrong, the session goes on with the code it has.

        Args:
            model: the edited root model's class; None for what was noticed.
            view: the root view's class; None for the one there is.

        Returns:
            What came of trying it out on every version.

        Raises:
            CodeEditRefused: it cannot load the data, or joining failed; nothing has changed.
            ArgumentError: there is no edited code.
            CodeIdentityError: the model's code cannot be identified.
            DeterminismError: the model's code keeps something where no other replica sees it.
            SessionClosed: the session has been left.
        """
        self.require_open()
        async with self._changing:
            self.require_open()
            if model is None:
                if self.edit is None:
                    raise ArgumentError(
                        "follow: expected edited code, and there is none: edit the model's cell and run it first"
                    )
                model, view = self.edit.model, self.edit.view
            identity = identify(model, model_base=Model)
            arguments = replace(self._arguments, model=model, view=view or self._arguments.view)
            if identity.code_hash == self.code_hash:
                self._note_edit(None)
                return CheckReport(model.__name__)
            edit = self._edit_of(model, arguments.view, identity)
            self._note_edit(edit)
            # From here on to its end: an interrupt in the middle would leave us nowhere.
            changing = asyncio.ensure_future(self._follow(edit, arguments, identity))
            return await asyncio.shield(changing)

    async def joined_again(self, arguments: JoinArguments) -> None:
        """The cell that joined runs again, with the same arguments, and perhaps with edited code.

        Raises:
            CodeEditRefused: see `follow`.
        """
        self.given = arguments
        async with self._changing:
            pass  # a change that is on its way comes first
        if arguments.code_hash is None and identify(arguments.model, model_base=Model).code_hash != self.code_hash:
            if arguments.on_code_edit != "stay":
                await self.follow(arguments.model, arguments.view)
        elif arguments.view is not self._arguments.view:
            self._arguments = replace(self._arguments, model=arguments.model, view=arguments.view)
            self._make_view()

    # --- inside --------------------------------------------------------------------------------------------------

    def _note_edit(self, edit: CodeEdit | None) -> None:
        self.edit = edit
        self._look_again()

    def _edit_of(self, model: type[Model], view: type[View], identity: CodeIdentity) -> CodeEdit:
        changes = source_difference(self._identity.source, identity.source, old_name="running", new_name="edited")
        return CodeEdit(model, view, identity.code_hash, changes)

    async def _tried(self, model: type[Model]) -> tuple[CheckReport, str]:
        """What came of trying a model out, and why it cannot take over, "" when it can."""
        plan = dry_run.plan_for(model, dict(self._arguments.options))
        now = dry_run.load(plan, dry_run.NOW, await self._content_now())
        report = CheckReport(model.__name__, [now])
        report.extend(await self.check(model))
        return report, _refusal(report, (await self.versions()).head)

    async def _content_now(self) -> bytes | None:
        """What the old code would save now; where it cannot, what it saved last has to do."""
        replica = await self._running_replica()
        content = None
        try:
            content = dry_run.content_now(self._blueprint, replica)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the edit may be there to mend just this
            self._story.debug("what the old code would save now is not known: %r", error)
        if content is None and replica.last_save is not None:
            content = await self._reader.content(replica.last_save.number)
        return content

    async def _follow(self, edit: CodeEdit, arguments: JoinArguments, identity: CodeIdentity) -> CheckReport:
        try:
            code = link(identity)
            report, refusal = await self._tried(edit.model)
            if refusal:
                self._note_edit(replace(edit, state="refused", report=report, error=refusal))
                raise CodeEditRefused(f"{edit.model.__qualname__} was edited: {refusal}", report)
            self._note_edit(replace(edit, state="moving", report=report))
            await self._change_over(replace(arguments, persisted="latest", edited_s=time.time()), identity, code)
        except CodeEditRefused:
            raise
        except MsqError as error:
            self._note_edit(replace(edit, state="refused", error=str(error)))
            raise CodeEditRefused(f"{edit.model.__qualname__} was edited, and {error}") from error
        lost = self._reattach()
        if lost:
            self._mistakes.notice = "; ".join(lost)
        self._note_edit(None)
        await self._look_for_newer_data()
        return report

    def _reattach(self) -> list[str]:
        """Let what shows the model go on with the new one; a sentence for each thing that cannot."""
        return []

    async def _look_for_newer_data(self) -> None:
        """Say it when the session that was joined is one that goes on, beside data that is newer than its own.

        That is so when an edit is undone while others never had it: their session is as they left it.
        """
        replica = self._replica_or_none
        try:
            versions = await self.versions()
        except MsqError:
            return
        last = replica.last_save.number if replica is not None and replica.last_save is not None else 0
        newer = [version.number for version in versions if version.number > last and version.session_id != self.id]
        if newer:
            self._mistakes.notice = (
                f"version {newer[-1]} was saved with other code, and is newer than what is here: "
                f"session.restore({newer[-1]}) brings it here, for everybody"
            )
            self._look_again()

    async def _change_over(self, arguments: JoinArguments, identity: CodeIdentity, code: LinkedCode) -> None:
        before = (self._arguments, self._identity, self._blueprint.code)
        await self._save_now()
        # Whatever is published from here on waits for the session that comes of it.
        counter = self._hold_events()
        try:
            await self._store_all(counter)
            self._begin_with(arguments, identity, code)
            try:
                await self._arrive(arguments.join_timeout_s)
            except MsqError:
                await self._go_back(*before)
                raise
        finally:
            self._release_events()

    async def _save_now(self) -> None:
        """Have the old code save what is there now, if it can; the edit may be there because it cannot."""
        try:
            await asyncio.wait_for(self.save(), SAVE_S)
        except (PeerError, KeyboardInterrupt):
            raise
        except Exception as error:
            self._story.debug("the old code did not save once more: %r", error)

    async def _go_back(self, arguments: JoinArguments, identity: CodeIdentity, code: LinkedCode) -> None:
        """Join the old code's session again, which is as it was, for as long as nobody answers there."""
        deadline_s = time.monotonic() + GO_BACK_S
        while True:
            self._begin_with(arguments, identity, code)
            try:
                return await self._arrive(arguments.join_timeout_s)
            except (SynchronizerUnreachable, JoinTimeout):
                if time.monotonic() > deadline_s:
                    raise
            await asyncio.sleep(GO_BACK_PAUSE_S)

    async def _store_all(self, counter: int) -> None:
        """Have event number `counter` executed and everything stored that the old code knows."""
        try:
            await asyncio.wait_for(self.saved(counter), SAVE_S)
        except (asyncio.TimeoutError, TimeoutError) as error:
            if isinstance(error, MsqError):
                raise
            raise PeerError(
                f"what waits to be saved could not be stored within {SAVE_S:g} seconds: check the synchronizer"
            ) from None


def _refusal(report: CheckReport, head: int) -> str:
    """Why edited code cannot take over, "" when it can: the new session begins with the data of now.

    Older versions that it cannot load are told, but they do not stand in its way.
    """
    for row in report:
        if row.number in (dry_run.NOW, head):
            what = "the data there is now" if row.number == dry_run.NOW else f"version {row.number}, the newest"
            if not row.ok:
                place = f" (in {row.place})" if row.place else ""
                return f"{what} cannot be loaded: {row.error_type}: {row.error}{place}; the session goes on as it was"
            if row.note == dry_run.CAUGHT:
                return f"{what} was not loaded: {row.note}; the session goes on as it was"
    return ""


def _definition_of(cls: type, namespace: Mapping[str, Any]) -> Any:
    """What a class's name stands for by now: the class itself, or the one that a cell or a reload made of it."""
    module = sys.modules.get(cls.__module__)
    names = namespace if cls.__module__ == "__main__" or module is None else vars(module)
    first, *rest = cls.__qualname__.split(".")
    found = names.get(first)
    for name in rest:
        found = getattr(found, name, None)
    base = Model if issubclass(cls, Model) else View
    return found if isinstance(found, type) and issubclass(found, base) else cls
