from __future__ import annotations

import numpy as np
import pytest

from certified.bounds.anchor import anchor_at
from certified.bounds.curvature import linearise
from certified.bounds.row_sums import certified_gradient
from certified.data.rows import Rows
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.removal import newton
from certified.removal.inverses import inverses_of
from certified.removal.ledger_state import opened, sharpened
from certified.removal.planner import Spent

rng = np.random.default_rng(0)


def objective(alpha: float, weight: float = 1.0) -> Objective:
    rows = Rows.from_arrays(rng.normal(size=(50, 3)), rng.choice([-1.0, 1.0], size=(50, 1)), np.full(50, weight))
    return Objective(LOGISTIC, rows, alpha)


def test_opening_takes_one_pass_and_counts_what_was_spent() -> None:
    state, info = newton.initialise(objective(5.0), 1e-8)
    ledger, more = opened(state, info, Spent(requests=7, changed_rows=9, all_passes=2))
    assert more.passes == info.passes + 1
    assert ledger.anchor is not None and np.array_equal(ledger.anchor.point, state.weights)
    assert ledger.anchor.linearisation is ledger.linearisation
    assert (ledger.spent.requests, ledger.spent.changed_rows, ledger.spent.linearisations) == (0, 9, 1)
    assert ledger.spent.all_passes == 2 + more.passes


def test_a_constant_model_has_no_anchor() -> None:
    ledger, info = opened(*newton.initialise(objective(5.0, weight=0.0), 1e-8), Spent())
    assert ledger.anchor is None and ledger.inverses == () and info.passes == 0


@pytest.mark.parametrize("alpha, claim", [(1e-3, "T2f"), (1e6, "T1")])
def test_a_factorisation_is_made_where_it_promises_more(alpha: float, claim: str) -> None:
    problem, zero = objective(alpha), np.zeros((3, 1))
    anchor = anchor_at(problem, zero, certified_gradient(problem, zero), linearise(problem, zero))
    found = sharpened(anchor, inverses_of(anchor.linearisation))
    assert found.curvature_claim == claim
    assert found.curvature >= anchor.curvature
