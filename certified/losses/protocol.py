"""What a loss must provide: values, derivatives and the constants that its certificates rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeGuard, runtime_checkable

import jax
from flint import arb


@runtime_checkable
class Loss(Protocol):
    """A loss ℓ(z; t) = Σ_k φ(z_k; t_k) of the linear predictor z ∈ R^K of one row, with target t ∈ R^K.

    Arrays end in the output axis K; the methods act elementwise (claim C-outputs). Every constant is a claim of
    ``proofs/``.

    Attributes:
        name: the stable name that certificates carry.
        self_concordance: ν with |φ'''| ≤ ν·φ''; ``inf`` where there is none, as for a φ'' that jumps.
        derivative_limit: sup |φ'|, ``inf`` where unbounded.
        curvature_limit: sup φ'', ``inf`` where unbounded.
        evaluation_error: relative error of the computed φ' and φ'' at the computed z (T12).
        evaluation_shift: the computed φ' may be that at a predictor this far from z; 0 unless φ' cancels (T12).
        constant_curvature: whether φ'' does not depend on z and t.
        couples_outputs: whether it is a `CoupledLoss`.
    """

    @property
    def name(self) -> str: ...
    @property
    def self_concordance(self) -> float: ...
    @property
    def derivative_limit(self) -> float: ...
    @property
    def curvature_limit(self) -> float: ...
    @property
    def evaluation_error(self) -> float: ...
    @property
    def evaluation_shift(self) -> float: ...
    @property
    def constant_curvature(self) -> bool: ...
    @property
    def couples_outputs(self) -> bool: ...

    def value(self, z: jax.Array, target: jax.Array) -> jax.Array:
        """φ(z; t), elementwise."""
        ...

    def derivative(self, z: jax.Array, target: jax.Array) -> jax.Array:
        """φ'(z; t), elementwise."""
        ...

    def curvature(self, z: jax.Array, target: jax.Array) -> jax.Array:
        """φ''(z; t) ≥ 0, elementwise."""
        ...

    def ball_derivative(self, z: arb, target: arb) -> arb:
        """φ'(z; t) of one output as an Arb ball."""
        ...

    def ball_curvature(self, z: arb, target: arb) -> arb:
        """φ''(z; t) of one output as an Arb ball."""
        ...


@runtime_checkable
class CoupledLoss(Loss, Protocol):
    """A loss whose Hessian in z ∈ R^K is no diagonal matrix; see `certified.losses.softmax.Softmax`.

    ``value``, ``derivative`` and ``curvature`` act along the last axis, and ``curvature`` returns what
    `curvature_product` needs. ``curvature_limit`` bounds the Hessian in the 2-norm, ``derivative_limit`` the gradient,
    and |D³[u,u,v]| ≤ ν‖v‖₂·D²[u,u]. The intercept is penalised like every other weight.
    """

    def curvature_product(self, curvature: jax.Array, slope: jax.Array) -> jax.Array:
        """The Hessian in z, times the weight, applied to directions u (…, K)."""
        ...

    def diagonal_curvature(self, curvature: jax.Array) -> jax.Array:
        """The diagonal of the Hessian in z, times the weight (…, K): for preconditioners."""
        ...

    def derivative_error(self, z: jax.Array, target: jax.Array, zeta: jax.Array) -> jax.Array:
        """Bound the error of the computed derivative at predictors within ζ of the exact ones, in the norm over K."""
        ...

    def product_error(
        self, z: jax.Array, slope: jax.Array, zeta: jax.Array, slope_error: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The Hessian in z applied to u, and a bound on its error in the norm over K."""
        ...

    def ball_derivatives(self, z: Sequence[arb], target: Sequence[arb]) -> list[arb]:
        """The gradient in z of one row as Arb balls."""
        ...


def couples(loss: Loss) -> TypeGuard[CoupledLoss]:
    """Whether a loss couples its outputs."""
    return loss.couples_outputs
