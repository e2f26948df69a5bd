"""Dropping outputs from a removal state: one-vs-rest heads are independent, so the rest stays certified."""

from __future__ import annotations

from dataclasses import replace

from certified.removal.state import RemovalState


def select_outputs(state: RemovalState, outputs: list[int]) -> RemovalState:
    """Return the state of the named output columns alone; the joint distance bound covers every subset of columns."""
    objective = replace(state.objective, rows=state.objective.rows.select_outputs(outputs))
    linearisation = state.linearisation
    hessians = linearisation.data_hessians
    if not objective.loss.constant_curvature:
        hessians = tuple(hessians[k] for k in outputs)
    return replace(
        state,
        objective=objective,
        weights=state.weights[:, outputs],
        gradient=state.gradient[:, outputs],
        linearisation=replace(linearisation, weights=linearisation.weights[:, outputs], data_hessians=hessians),
    )
