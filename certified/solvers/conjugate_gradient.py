"""Linear systems in the Hessian by its products with vectors: preconditioned conjugate gradients.

The preconditioner is the Hessian itself where that is cheap, else that of a spread sample of rows; for a loss that
couples its outputs see `certified.solvers.coupled_factor`.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
import numpy.typing as npt

from certified.losses import couples
from certified.objective import Objective
from certified.solvers.coupled_factor import coupled_factor
from certified.solvers.factor import Factor, factorise

Array = npt.NDArray[np.float64]

SAMPLE_FACTOR = 3
"""The sampled preconditioner uses about SAMPLE_FACTOR·p rows, or n/p where that is more: no dearer than a pass."""
MAX_PRODUCTS = 100
"""Products in one system."""
WITNESS_RESIDUAL = 1e-4
"""Relative residual to which `products_solver` solves; the certified defect is charged, whatever it is."""


def preconditioner(objective: Objective, curvature: jax.Array, *, exact: bool) -> Factor:
    """Factorise the Hessian for these row curvatures, or an estimate of it from a sample of rows."""
    loss = objective.loss
    return coupled_factor(objective, loss, curvature) if couples(loss) else _factor(objective, curvature, exact)


def _factor(objective: Objective, curvature: jax.Array, exact: bool) -> Factor:
    if exact:
        return factorise(objective.data_hessian(curvature), objective.penalty)
    blocks, size, _ = curvature.shape
    p = objective.shape[0]
    wanted = -(-max(SAMPLE_FACTOR * p, blocks * size // p) // size)
    index = np.unique(np.linspace(0, blocks - 1, min(blocks, wanted)).astype(int))
    sample, sampled, scale = objective.sampled(index, curvature)
    hessians = sample.data_hessian(sampled)
    return factorise(hessians * scale[: len(hessians), None, None], objective.penalty)


def conjugate_gradient(
    objective: Objective, curvature: jax.Array, factor: Factor, gradient: Array, forcing: float
) -> tuple[Array, int]:
    """Approximately solve ∇²F·V = −∇F to the relative residual ``forcing``; also return the products used."""
    target = forcing * float(np.linalg.norm(gradient))
    step = np.zeros_like(gradient)
    residual = -gradient
    scaled = factor.solve(residual)
    direction = scaled
    inner = float(np.sum(residual * scaled))
    for products in range(1, MAX_PRODUCTS + 1):
        product = objective.hvp(curvature, direction)
        bend = float(np.sum(direction * product))
        if not bend > 0.0 or not np.isfinite(bend):
            break
        length = inner / bend
        step = step + length * direction
        residual = residual - length * product
        if float(np.linalg.norm(residual)) <= target:
            return step, products
        scaled = factor.solve(residual)
        inner, previous = float(np.sum(residual * scaled)), inner
        direction = scaled + (inner / previous) * direction
    return (step if step.any() else factor.solve(-gradient)), products


def products_solver(objective: Objective, weights: Array) -> Callable[[Array], Array]:
    """Return a function that approximately solves ∇²F(W)·V = G by products alone."""
    curvature = objective.curvature(weights)
    factor = preconditioner(objective, curvature, exact=False)
    return lambda gradient: -conjugate_gradient(objective, curvature, factor, gradient, WITNESS_RESIDUAL)[0]
