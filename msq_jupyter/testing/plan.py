"""What participants of a simulation share, and what they join with."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from msq_jupyter.runtime.codehash import CodeIdentity, identify
from msq_jupyter.runtime.link import LinkedCode, link
from msq_jupyter.runtime.model import Model
from msq_jupyter.session.arguments import JoinArguments
from msq_jupyter.testing.ledger import Ledger
from msq_jupyter.testing.network import Dice
from msq_jupyter.testing.synchronizer import SimulatedSynchronizer
from msq_jupyter.testing.timeline import Timeline

#: So many classes are kept linked, those that were used last.
LINKED_MAX = 32


class Code(NamedTuple):
    """The code of a model at one moment. Replicas may share what is linked: nobody changes it."""

    identity: CodeIdentity
    linked: LinkedCode


_linked: OrderedDict[type[Model], Code] = OrderedDict()


def code_of(model: type[Model]) -> Code:
    """The code of a model as it is now. It is linked once, and again when something that it uses was edited."""
    identity = identify(model, model_base=Model)
    code = _linked.pop(model, None)
    if code is None or code.identity.code_hash != identity.code_hash:
        code = Code(identity, link(identity))
    _linked[model] = code
    while len(_linked) > LINKED_MAX:
        _linked.popitem(last=False)
    return code


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
    code: Code
    raise_errors: bool

    @property
    def session_id(self) -> str:
        """Identity of the live session."""
        return self.arguments.session_id(self.code.identity.code_hash)
