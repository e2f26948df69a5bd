"""Which route a request takes, and why: a ledger step, a pass, a new linearisation, polishing or training again.

Pure decisions from counts, figures and estimated costs. Whatever they are, the bound is certified by what was done.

A pass bounds the error by (drift from the linearisation)·(last step), so the further the data move away from it the
sooner the next one is due. A linearisation costs as much as many passes and starts over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from certified.removal.costs import Costs

Route = Literal["step", "pass", "linearise", "polish", "solve"]
ROUTES: tuple[Route, ...] = get_args(Route)
"""From the cheapest to the last resort."""

MAX_PASSES = 4
"""Passes with one linearisation in one request."""
PROGRESS = 0.5
"""A pass that leaves more than this share of the bound is not worth repeating."""
FLOOR_SHARE = 0.5
"""Where rounding alone takes this share of the target, neither a pass nor a new Hessian brings the bound below it."""


@dataclass(frozen=True)
class Spent:
    """What led here; not a secret.

    Attributes:
        requests: since the last linearisation.
        passes: since the last linearisation.
        requests_since_pass: since the last pass.
        passes_at_once: that the last request with any needed.
        changed_rows: rows deleted and added in all.
        all_passes: in all, those of linearisations included.
        linearisations: Hessians formed in all.
    """

    requests: int = 0
    passes: int = 0
    requests_since_pass: int = 0
    passes_at_once: int = 1
    changed_rows: int = 0
    all_passes: int = 0
    linearisations: int = 0

    @property
    def rows_per_pass(self) -> float:
        """Rows deleted and added per pass over the data so far; infinite before the first pass."""
        return self.changed_rows / self.all_passes if self.all_passes else float("inf")

    def requested(self, rows: int) -> Spent:
        """One more request that changes so many rows."""
        return replace(
            self,
            requests=self.requests + 1,
            requests_since_pass=self.requests_since_pass + 1,
            changed_rows=self.changed_rows + rows,
        )

    def passed(self, passes: int) -> Spent:
        """So many more passes."""
        continued = self.passes_at_once if self.passes and not self.requests_since_pass else 0
        return replace(
            self,
            passes=self.passes + passes,
            requests_since_pass=0,
            passes_at_once=continued + passes,
            all_passes=self.all_passes + passes,
        )

    def linearised(self, passes: int) -> Spent:
        """A Hessian formed anew, with so many passes."""
        return Spent(
            changed_rows=self.changed_rows,
            all_passes=self.all_passes + passes,
            linearisations=self.linearisations + 1,
        )


@dataclass(frozen=True)
class Standing:
    """How far a request has come.

    Attributes:
        bound: the certified distance now.
        target: the distance demanded.
        floor: what would be left of the bound if only rounding were.
        previous: the bound before the last pass; infinite before the first.
        passes: passes with the present linearisation in this request.
        linearised: whether this request formed the Hessian anew.
    """

    bound: float
    target: float
    floor: float
    previous: float = float("inf")
    passes: int = 0
    linearised: bool = False


@dataclass(frozen=True)
class Decision:
    """A route and the reason for it, in one sentence without secrets."""

    route: Route
    reason: str


def first_route(rows: int, costs: Costs) -> Decision:
    """Decide how a request for so many rows begins: by a step, unless training again is cheaper than exchanging them.

    >>> from certified.removal.costs import REFERENCE, modelled_costs
    >>> first_route(1, modelled_costs(REFERENCE, 12_000, 784, 1, 1)).route
    'step'
    """
    exchange = costs.step + (rows - 1) * costs.row
    if exchange > costs.solve:
        return Decision("solve", f"exchanging {rows} rows would take longer than training again")
    if exchange > costs.linearise:
        return Decision("linearise", f"exchanging {rows} rows would take longer than forming the Hessian anew")
    return Decision("step", "the ledger's own bound comes first: it reads no remaining row")


def next_route(standing: Standing, spent: Spent, costs: Costs) -> Decision:
    """Decide what follows a bound above the target: the route expected to cost least per request in the long run."""
    figures = f"certified {standing.bound:.2g} for a target of {standing.target:.2g}"
    read = standing.passes > 0 or standing.linearised
    if read and standing.floor > FLOOR_SHARE * standing.target:
        return Decision("polish", f"{figures}, of which rounding takes {standing.floor:.2g}: only polishing lowers it")
    if not standing.linearised and not standing.passes and is_worn(spent, costs):
        return Decision(
            "linearise",
            f"{figures}; {_counted(spent.requests, 'request')} and {_counted(spent.passes, 'pass')} wore it out",
        )
    helped = not standing.passes or standing.bound <= PROGRESS * standing.previous < float("inf")
    if standing.passes < MAX_PASSES and helped:
        after = f"{_counted(spent.requests_since_pass, 'request')} after the last pass"
        return Decision(
            "pass", f"{figures}, {after}" if not standing.passes else f"{figures} after a pass, which helped"
        )
    if not standing.linearised:
        return Decision("linearise", f"{figures}; passes no longer lower it enough")
    return Decision("polish", f"{figures} with a new Hessian and {standing.passes} passes")


def is_worn(spent: Spent, costs: Costs) -> bool:
    """Whether the next passes would raise the average cost per request since the last linearisation, itself included.

    Replacing at that age minimises the average cost if a pass lasts ever fewer requests (age replacement, Barlow &
    Proschan 1965).
    """
    linearisation = costs.linearise / costs.gradient_pass
    marginal = spent.passes_at_once / max(1, spent.requests_since_pass)
    return marginal * spent.requests > linearisation + spent.passes


def _counted(number: int, name: str) -> str:
    plural = f"{name}es" if name.endswith("s") else f"{name}s"
    return f"{number} {name if number == 1 else plural}"
