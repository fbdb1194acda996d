"""Ready-made models, for a session's root or as parts of another model.

    session = await Session.join(app_id="demo", name="notes", model=SharedText)
    session.model.insert(0, "Hello")

They are models like any other: their code is part of the session's identity, and what they save has versions.
"""

from msq_jupyter.ready.collections import SharedCounter, SharedDict, SharedList
from msq_jupyter.ready.people import Chat, PerUser
from msq_jupyter.ready.text import SharedText

__all__ = ["Chat", "PerUser", "SharedCounter", "SharedDict", "SharedList", "SharedText"]
