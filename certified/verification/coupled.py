"""Approximate solutions V of ∇²F(W)·V = G for outputs that are coupled, in float64: guides for witnesses, no proofs.

The (Kp)×(Kp) Hessian is never formed. Conjugate gradients need its products with directions alone, two matrix products
with the rows each; they are preconditioned by one p×p matrix, in which every row has its mean curvature.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from certified.verification.objective import ArbObjective

Array = npt.NDArray[np.float64]

PRODUCTS = 300
"""Products in one solution."""
RESIDUAL = 1e-8
"""The share of the right side at which a solution is good enough."""


def coupled_solver(objective: ArbObjective) -> Callable[[Array], Array]:
    """Return a function from G (K, p) to V ≈ ∇²F(W)⁻¹Gᵀ (p, K) of a softmax objective."""
    alpha, (p, outputs) = objective.alpha, objective.shape
    shares = np.empty((len(objective.features), outputs))
    total = alpha * np.eye(p)
    for rows, x in objective.stretches():
        shares[rows] = softmax(x @ objective.weights, axis=1)
        bends = 1.0 - np.sum(np.square(shares[rows]), axis=1)
        bends *= objective.sample_weights[rows] / max(1, outputs - 1)
        total += (x * bends[:, None]).T @ x
    inverse = np.linalg.inv(total)

    def product(direction: Array) -> Array:
        result = alpha * direction
        for rows, x in objective.stretches():
            slopes, part = x @ direction, shares[rows]
            slopes -= np.sum(part * slopes, axis=1, keepdims=True)
            slopes *= part * objective.sample_weights[rows, None]
            result += x.T @ slopes
        return result

    def precondition(gradient: Array) -> Array:
        # What all outputs have in common the rows do not see: α alone acts there.
        common = gradient.mean(axis=1, keepdims=True)
        return np.asarray(inverse @ (gradient - common) + common / alpha)

    return lambda gradient: _conjugate_gradient(product, precondition, gradient.T)


def _conjugate_gradient(
    product: Callable[[Array], Array], precondition: Callable[[Array], Array], gradient: Array
) -> Array:
    solution, rest = np.zeros_like(gradient), gradient.copy()
    direction = scaled = precondition(rest)
    inner, goal = float(np.vdot(rest, scaled)), RESIDUAL * float(np.linalg.norm(gradient))
    for _ in range(PRODUCTS):
        image = product(direction)
        bend = float(np.vdot(direction, image))
        if not 0.0 < bend < np.inf:
            break
        solution += (inner / bend) * direction
        rest -= (inner / bend) * image
        if np.linalg.norm(rest) <= goal:
            break
        scaled = precondition(rest)
        inner, previous = float(np.vdot(rest, scaled)), inner
        direction = scaled + (inner / previous) * direction
    return solution
