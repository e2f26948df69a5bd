"""Dropping outputs from a removal state: one-vs-rest heads are independent, so the rest stays certified."""

from __future__ import annotations

from dataclasses import replace

from certified.bounds.anchor import Anchor
from certified.bounds.enclosure import Enclosure
from certified.bounds.exchanged import Exchanged, selected
from certified.removal.ledger_state import LedgerState
from certified.removal.state import RemovalState


def select_outputs(state: RemovalState, outputs: list[int]) -> RemovalState:
    """Return the state of the named output columns alone, without a pass.

    The joint distance bound covers every subset of columns. A ledger stays anchored: gradient, Hessians, drift and
    curvature of some outputs are bounded by those of all (claim T6).
    """
    objective = replace(state.objective, rows=state.objective.rows.select_outputs(outputs))
    linearisation, shared = state.linearisation, objective.loss.constant_curvature
    if isinstance(linearisation, Exchanged):
        linearisation = selected(linearisation, outputs, shared)
    else:
        hessians = linearisation.data_hessians
        kept = hessians if shared else tuple(hessians[k] for k in outputs)
        linearisation = replace(linearisation, weights=linearisation.weights[:, outputs], data_hessians=kept)
    chosen = replace(
        state,
        objective=objective,
        weights=state.weights[:, outputs],
        gradient=state.gradient[:, outputs],
        linearisation=linearisation,
    )
    if isinstance(chosen, LedgerState) and isinstance(linearisation, Exchanged):
        anchor = _selected_anchor(chosen.anchor, linearisation, outputs) if chosen.anchor and outputs else None
        inverses = chosen.inverses if shared else tuple(chosen.inverses[k] for k in outputs)
        return replace(chosen, anchor=anchor, inverses=inverses if anchor else ())
    return chosen


def _selected_anchor(anchor: Anchor, linearisation: Exchanged, outputs: list[int]) -> Anchor:
    gradient = Enclosure(anchor.gradient.value[:, outputs], anchor.gradient.error, anchor.gradient.claim)
    return replace(anchor, point=anchor.point[:, outputs], gradient=gradient, linearisation=linearisation)
