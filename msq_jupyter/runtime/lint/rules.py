"""All rules, in the order of their numbers. The first digit is the subject."""

from __future__ import annotations

from msq_jupyter.runtime.lint import events, model_state, order, outside, saving, shared_state
from msq_jupyter.runtime.lint.finding import ERROR, WARNING
from msq_jupyter.runtime.lint.rule import Rule

#: What the first digit of a number stands for.
SUBJECTS = {
    "MSQ1": "The world outside the model",
    "MSQ2": "Identity, order and numbers",
    "MSQ3": "State",
    "MSQ4": "Events and time",
    "MSQ5": "Saving",
}

RULES: tuple[Rule, ...] = (
    *outside.RULES,
    *order.RULES,
    *shared_state.RULES,
    *model_state.RULES,
    *events.RULES,
    *saving.RULES,
)

#: What the lint says about its own work: code to severity.
UNKNOWN_CODE, UNREADABLE, NO_IDENTITY = "MSQ900", "MSQ901", "MSQ902"
OWN_CODES = {UNKNOWN_CODE: WARNING, UNREADABLE: ERROR, NO_IDENTITY: ERROR}

CODES = frozenset({rule.code for rule in RULES} | OWN_CODES.keys())
