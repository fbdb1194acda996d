"""What the ready-made models have in common: they load, they save, and a change asks the root to save."""

from __future__ import annotations

from msq_jupyter.runtime.persistent_model import PersistentModel


class Ready(PersistentModel):
    """Base of the ready-made models.

    As a session's root it saves itself after each change. As a child it asks the root to, if that has a method `save`;
    what the root saves of it is `to_save_data()`, and `create(options, persisted)` takes that.
    """

    def changed(self) -> None:
        """Something that must outlive the code has changed."""
        root = self.well_known_model("modelRoot")
        if root is self:
            self.save()
        elif hasattr(root, "save"):
            root.save()

    def link_changed(self, path: str) -> None:
        """A link has set something."""
        self.changed()
