"""When a pass no longer pays and the Hessian should be formed anew.

Passes bound the error by (drift from the linearisation)·(last step), so the further the data move away from it the
sooner the next one is due. A linearisation costs as much as many passes and starts over.
"""

from __future__ import annotations

from certified.removal.ledger_state import Spent


def linearisation_cost(p: int) -> float:
    """The cost of a linearisation in data passes: n·p² operations at matrix speed against 4·n·p at memory speed."""
    return 2.0 + p / 12.0


def is_worn(spent: Spent, p: int) -> bool:
    """Whether the next pass would raise the average cost per request since the last linearisation, itself included.

    Replacing at that age minimises the average cost if a pass lasts ever fewer requests (age replacement, Barlow &
    Proschan 1965).
    """
    marginal = 1.0 / max(1, spent.requests_since_pass)
    return marginal * spent.requests > linearisation_cost(p) + spent.passes
