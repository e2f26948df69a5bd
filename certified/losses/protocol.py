"""What a loss must provide: values, derivatives and the constants that its certificates rest on."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import jax
from flint import arb


@runtime_checkable
class Loss(Protocol):
    """A loss ℓ(z; t) = Σ_k φ(z_k; t_k) of the linear predictor z ∈ R^K of one row, with target t ∈ R^K.

    Arrays end in the output axis K; the methods act elementwise (claim C-outputs). Every constant is a claim of
    ``proofs/``.

    Attributes:
        name: the stable name that certificates carry.
        self_concordance: ν with |φ'''| ≤ ν·φ''.
        derivative_limit: sup |φ'|, ``inf`` where unbounded.
        curvature_limit: sup φ''.
        evaluation_error: relative error of the computed φ' and φ'' at the computed z (T12).
        constant_curvature: whether φ'' does not depend on z and t.
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
    def constant_curvature(self) -> bool: ...

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
