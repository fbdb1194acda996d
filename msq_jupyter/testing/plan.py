"""What participants of a simulation share, and what they join with."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from msq_jupyter.runtime.codehash import CodeIdentity, identify
from msq_jupyter.runtime.link import LinkedCode, link
from msq_jupyter.runtime.model import Model
from msq_jupyter.session.arguments import JoinArguments
from msq_jupyter.testing.ledger import Ledger
from msq_jupyter.testing.network import Dice
from msq_jupyter.testing.synchronizer import SimulatedSynchronizer
from msq_jupyter.testing.timeline import Timeline

_codes: WeakKeyDictionary[type[Model], tuple[CodeIdentity, LinkedCode]] = WeakKeyDictionary()


def code_of(model: type[Model]) -> tuple[CodeIdentity, LinkedCode]:
    """The code of a model, identified and linked once for each class: participants may share what nobody changes."""
    if model not in _codes:
        identity = identify(model, model_base=Model)
        _codes[model] = (identity, link(identity))
    return _codes[model]


@dataclass(frozen=True)
class World:
    """What all participants of a simulation share."""

    timeline: Timeline
    dice: Dice
    ledger: Ledger
    synchronizer: SimulatedSynchronizer


@dataclass(frozen=True)
class Plan:
    """What a participant joins with. `raise_errors`: an exception in a model's method ends the simulation."""

    arguments: JoinArguments
    raise_errors: bool

    @property
    def session_id(self) -> str:
        """Identity of the live session."""
        return self.arguments.session_id(code_of(self.arguments.model)[0].code_hash)
