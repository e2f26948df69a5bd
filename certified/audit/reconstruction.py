"""Reconstruction of a deleted row from the models before and after: an attack, for audits only.

W minimises F = F′ + cℓ(x̃·W; t), W′ minimises F′, the objective without the row. So ∇F′(W) − ∇F′(W′) is −c·x̃ ⊗ ℓ′(x̃·W):
the row itself, up to a factor, without approximation. With an unpenalised intercept x̃ = (x, 1), and the factor is its
last entry. Whoever knows the remaining rows, or for the squared loss their Gram matrix, reads the row off the two
models; who knows rows like them comes close (Bertran et al. 2024, arXiv 2405.20272).

This holds after exact retraining, too. A removal certificate speaks of the model after the deletion alone (claim T4);
release noise σ hides the row as far as σ exceeds what the gradients differ by, and private training hides it (T10).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from certified.objective import Objective

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Reconstruction:
    """A guess at a deleted row. It is personal data if it is right: keep it as secret as the rows.

    Attributes:
        direction: (d,) unit vector along the row; without an intercept its sign is not known.
        row: (d,) the row itself; None without an unpenalised intercept.
        coupling: (K,) −c·ℓ′(x̃·W), up to the factor that is not known without an intercept.
    """

    direction: Array
    row: Array | None
    coupling: Array

    def similarity(self, row: npt.ArrayLike) -> float:
        """Return |cos| of the angle between the guess and ``row``: 1 is the row itself, up to a factor.

        Raises:
            ValueError: a row of another length, or without direction.
        """
        truth = np.asarray(row, dtype=np.float64)
        if truth.shape != self.direction.shape or not 0.0 < np.linalg.norm(truth) < np.inf:
            raise ValueError(f"row must be a finite vector of {len(self.direction)} features, and not zero")
        return min(1.0, float(np.abs(truth @ self.direction) / np.linalg.norm(truth)))


def reconstruct_row(
    before: Array, after: Array, objective: Objective, *, alpha_before: float | None = None
) -> Reconstruction:
    """Guess the one deleted row from ∇F′(W) − ∇F′(W′) = −c·x̃ ⊗ ℓ′(x̃·W), by its leading singular vectors.

    Args:
        before, after: W and W′ (p, K), released or not.
        objective: F′, as the attacker knows it: the remaining rows, or as many similar ones, and the strength.
        alpha_before: α of F where it was another one, as under per-sample scaling.

    Raises:
        ValueError: weights of another shape or not finite, or equal, so that nothing shows.

    Example:
        >>> from certified.data.rows import Rows
        >>> from certified.losses import SQUARED
        >>> from certified.solvers import solve
        >>> x, t = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]]), np.array([[1.0], [2.0], [3.0]])
        >>> whole = Objective(SQUARED, Rows.from_arrays(x, t, np.ones(3)), alpha=1.0)
        >>> rest = Objective(SQUARED, Rows.from_arrays(x[:2], t[:2], np.ones(2)), alpha=1.0)
        >>> guess = reconstruct_row(solve(whole).weights, solve(rest).weights, rest)
        >>> round(guess.similarity([3.0, 4.0]), 12), guess.row
        (1.0, None)
    """
    before, after = (np.asarray(part, dtype=np.float64) for part in (before, after))
    for name, part in (("before", before), ("after", after)):
        if part.shape != objective.shape or not np.all(np.isfinite(part)):
            raise ValueError(f"{name} must be finite and have shape {objective.shape}, got shape {part.shape}")
    difference = objective.value_and_gradient(before)[1] - objective.value_and_gradient(after)[1]
    if alpha_before is not None:
        difference = difference + (replace(objective, alpha=alpha_before).penalty - objective.penalty) * before
    left, sizes, right = np.linalg.svd(np.asarray(difference), full_matrices=False)
    if not sizes.size or not sizes[0] > 0.0:
        raise ValueError("before and after must differ: equal models show nothing of a row")
    row, along = None, left[:, 0]
    features = along[:-1] if objective.fit_intercept else along
    coupling = sizes[0] * right[0]
    if objective.has_free_intercept and along[-1] != 0.0:
        row, coupling = features / along[-1], coupling * along[-1]
    return Reconstruction(features / max(float(np.linalg.norm(features)), np.finfo(np.float64).tiny), row, coupling)
