from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from flint import arb, arb_mat, ctx
from hypothesis import given
from hypothesis import strategies as st

from certified.numerics import definite
from certified.numerics.definite import min_eigenvalue_bound
from tests.oracle import is_positive_definite

Array = npt.NDArray[np.float64]


def exactly(matrix: Array) -> arb_mat:
    return arb_mat(*matrix.shape, matrix.ravel().tolist())


def holds(matrix: Array, error: float) -> bool:
    """Whether bound + error ≤ λ_min(matrix), strictly unless the bound is 0, proved in balls."""
    bound = min_eigenvalue_bound(matrix, error)
    if bound == 0.0:
        return True
    with ctx.workprec(1024):
        return bound > 0.0 and is_positive_definite(exactly(matrix), arb(bound) + arb(error))


def orthogonal(rng: np.random.Generator, p: int) -> Array:
    return np.linalg.qr(rng.normal(size=(p, p)))[0]


def symmetric(matrix: Array) -> Array:
    return 0.5 * (matrix + matrix.T)


def hilbert(p: int) -> Array:
    return 1.0 / (np.arange(p)[:, None] + np.arange(p) + 1.0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 18), st.floats(-250, 250), st.floats(-20, 1))
def test_lower_bound(seed: int, p: int, condition: int, scale: float, error: float) -> None:
    """Random spectra up to condition numbers that float64 cannot resolve, at any scale, with any given error."""
    rng = np.random.default_rng(seed)
    basis = orthogonal(rng, p)
    spectrum = 10.0 ** (scale - rng.uniform(0, max(condition, 1e-9), p))
    assert holds(symmetric(basis * spectrum @ basis.T), float(spectrum.min() * 10.0**error))


@pytest.mark.parametrize("p", range(1, 21))
def test_lower_bound_on_hilbert_matrices(p: int) -> None:
    assert holds(hilbert(p), 0.0)


@pytest.mark.parametrize("power", range(0, 40, 3))
def test_lower_bound_on_graded_matrices(power: int) -> None:
    """D·A·D with a wildly graded diagonal D: entries differ by many orders of magnitude."""
    rng = np.random.default_rng(power)
    grades = 10.0 ** np.linspace(0, -power, 8)
    basis = orthogonal(rng, 8)
    matrix = symmetric(basis * rng.uniform(1, 2, 8) @ basis.T) * grades[:, None] * grades
    assert holds(symmetric(matrix), 0.0)


@pytest.mark.parametrize("gap", 10.0 ** np.arange(-20.0, 0.0))
def test_lower_bound_on_nearly_singular_matrices(gap: float) -> None:
    """11ᵀ + gap·I, whose smallest eigenvalue is gap before rounding."""
    assert holds(np.ones((6, 6)) + gap * np.eye(6), 0.0)


def test_a_perturbation_within_the_error_cannot_break_the_bound() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        basis = orthogonal(rng, 5)
        matrix = symmetric(basis * 10.0 ** rng.uniform(-8, 0, 5) @ basis.T)
        error = 10.0 ** rng.uniform(-12, -7)
        bound = min_eigenvalue_bound(matrix, error)
        values, vectors = np.linalg.eigh(matrix)
        worst = matrix - error * np.outer(vectors[:, 0], vectors[:, 0])
        # The perturbed matrix is itself rounded: allow that rounding, which is not part of the claim.
        assert bound == 0.0 or bound <= np.linalg.eigvalsh(worst)[0] + 1e-15 * values[-1]


@pytest.mark.parametrize("matrix", [
    np.array([[1.0, 2.0], [2.0, 1.0]]),
    np.zeros((3, 3)),
    -np.eye(2),
    np.diag([1.0, 0.0]),
    np.diag([1.0, -1e-300]),
    np.ones((4, 4)),
    np.diag([1.0, np.nan]),
    np.array([[1.0, np.nan], [np.nan, 1.0]]),
    np.diag([1.0, np.inf]),
    np.diag([1e-320, 1e-320]),
])  # fmt: skip
def test_certifies_nothing_without_a_proof(matrix: Array) -> None:
    assert min_eigenvalue_bound(matrix, 0.0) == 0.0


@pytest.mark.parametrize("error", [np.inf, np.nan, 1.0, 2.0])
def test_certifies_nothing_when_the_error_is_too_large(error: float) -> None:
    assert min_eigenvalue_bound(np.eye(3), error) == 0.0


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.floats(0, 9), st.floats(-100, 100))
def test_is_tight_where_float64_resolves_the_spectrum(seed: int, p: int, condition: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    spectrum = 10.0 ** (scale - np.linspace(0, condition, p)) if p > 1 else np.array([10.0**scale])
    basis = orthogonal(rng, p)
    # Inverse iteration stops early, so a cluster of eigenvalues may cost a factor of two.
    assert min_eigenvalue_bound(symmetric(basis * spectrum @ basis.T), 0.0) >= 0.45 * spectrum.min()


@pytest.mark.parametrize("p", range(2, 9))
@pytest.mark.parametrize("vector", [np.ones, lambda p: np.linspace(1.0, 2.0, p), lambda p: np.arange(1.0, p + 1.0)])
def test_is_tight_for_a_regular_dominant_direction(p: int, vector: Callable[[int], Array]) -> None:
    """I + 100·vvᵀ: an iteration that starts along v would never see the smallest eigenvalue, which is 1."""
    v = vector(p)
    assert min_eigenvalue_bound(np.eye(p) + 100.0 * np.outer(v, v), 0.0) >= 0.85


def test_leaves_its_argument_alone() -> None:
    matrix = hilbert(5)
    before = matrix.copy()
    min_eigenvalue_bound(matrix, 1e-20)
    assert np.array_equal(matrix, before)


def test_an_error_above_the_estimate_leaves_no_bound() -> None:
    assert min_eigenvalue_bound(np.eye(3), 10.0) == 0.0


def test_no_factor_is_no_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate alone proves nothing."""
    monkeypatch.setattr(definite, "_factorises", lambda matrix: False)
    assert min_eigenvalue_bound(np.eye(3), 0.0) == 0.0
