"""Claim C-softmax against mpmath-free oracles: Arb balls for the function, dense algebra for its derivatives."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from certified.losses.softmax import SOFTMAX, Softmax
from certified.numerics.precision import in_float64

Array = npt.NDArray[np.float64]

vectors = st.integers(2, 6).flatmap(
    lambda k: arrays(np.float64, (3, k), elements=st.floats(-60.0, 60.0, allow_subnormal=False))
)


def exact(z: Array) -> list[arb]:
    top = max(z.tolist())
    e = [(arb(v) - arb(top)).exp() for v in z.tolist()]
    total = sum(e, arb(0))
    return [v / total for v in e]


def hessian(p: Array) -> Array:
    return np.diag(p) - np.outer(p, p)


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max())
    return np.asarray(e / e.sum())


@given(vectors)
def test_constants(triple: Array) -> None:
    """‖p − t‖ ≤ √2; A ⪯ ½(I − 11ᵀ/K); the third derivative, by its definition as a cumulant, and its bound."""
    z, u, v = triple
    K, p = len(z), softmax(z)
    for k in range(K):
        assert np.linalg.norm(p - np.eye(K)[k]) <= SOFTMAX.derivative_limit * (1 + 1e-15)
    gap = SOFTMAX.curvature_limit * (np.eye(K) - np.ones((K, K)) / K) - hessian(p)
    assert np.linalg.eigvalsh(gap)[0] >= -1e-14
    second = p @ (u - p @ u) ** 2
    third = p @ ((u - p @ u) ** 2 * (v - p @ v))
    assert abs(third) <= SOFTMAX.self_concordance * np.linalg.norm(v) * second * (1 + 1e-9) + 1e-9


def test_the_cumulant_is_the_third_derivative() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        z, u, v = rng.normal(size=(3, 4))
        h = 1e-5
        difference = (u @ hessian(softmax(z + h * v)) @ u - u @ hessian(softmax(z - h * v)) @ u) / (2 * h)
        p = softmax(z)
        assert np.isclose(difference, p @ ((u - p @ u) ** 2 * (v - p @ v)), rtol=1e-6, atol=1e-9)


def test_the_constants_are_approached() -> None:
    p = np.array([0.5, 0.5, 0.0])
    assert np.isclose(np.linalg.eigvalsh(hessian(p))[-1], SOFTMAX.curvature_limit)
    z, v = np.array([-40.0, 0.0]), np.array([1.0, -1.0]) / np.sqrt(2.0)
    p = softmax(z)
    assert (p @ ((v - p @ v) ** 3)) / (p @ (v - p @ v) ** 2) >= 0.999 * SOFTMAX.self_concordance


@given(
    st.integers(2, 9).flatmap(lambda k: arrays(np.float64, (k,), elements=st.floats(-1e4, 1e4, allow_subnormal=False)))
)
def test_probabilities_are_within_their_error(z: Array) -> None:
    computed, relative = in_float64(lambda: SOFTMAX._probabilities(jnp.asarray(z)))()
    with ctx.workprec(400):
        for p, e, truth in zip(np.asarray(computed).tolist(), np.asarray(relative).tolist(), exact(z), strict=True):
            assert abs(arb(p) - truth) <= arb(e) * truth + arb(2.0**-1020)


def perturbed(rng: np.random.Generator, shape: tuple[int, ...], size: float) -> Array:
    return np.asarray(rng.uniform(-1.0, 1.0, shape) * size)


@pytest.mark.parametrize("size", [0.0, 1e-14, 1e-6, 1e-2, 1.0])
@pytest.mark.parametrize("K", [2, 3, 10])
def test_errors_of_derivative_and_product(size: float, K: int) -> None:
    """The computed values at perturbed predictors against the exact ones, in the norm over the outputs."""
    rng = np.random.default_rng([K, int(1e6 * size)])
    for scale in (1e-3, 1.0, 30.0):
        z, u = scale * rng.normal(size=K), rng.normal(size=K) * 10.0 ** rng.integers(-5, 5)
        zeta, slope_error = np.full(K, size), np.full(K, size * np.abs(u).max())
        target = np.eye(K)[rng.integers(K)]
        with in_x64():
            moved = jnp.asarray(z + perturbed(rng, (K,), size)), jnp.asarray(u + perturbed(rng, (K,), slope_error[0]))
            slope = np.asarray(SOFTMAX.derivative(moved[0], jnp.asarray(target)))
            slope_bound = np.asarray(SOFTMAX.derivative_error(moved[0], jnp.asarray(target), jnp.asarray(zeta)))
            product, product_bound = (
                np.asarray(a)
                for a in SOFTMAX.product_error(
                    *moved, jnp.asarray(zeta * 1.0000001), jnp.asarray(slope_error * 1.0000001)
                )
            )
        with ctx.workprec(300):
            p = exact(z)
            mean = sum((q * arb(v) for q, v in zip(p, u.tolist(), strict=True)), arb(0))
            truth = [q * (arb(v) - mean) for q, v in zip(p, u.tolist(), strict=True)]
            wrong = sum(
                ((arb(s) - (q - arb(t))) ** 2 for s, q, t in zip(slope.tolist(), p, target.tolist(), strict=True)),
                arb(0),
            )
            assert float(wrong.sqrt().upper()) <= np.linalg.norm(slope_bound) * (1 + 1e-12) + 1e-300
            wrong = sum(((arb(s) - t) ** 2 for s, t in zip(product.tolist(), truth, strict=True)), arb(0))
            assert float(wrong.sqrt().upper()) <= np.linalg.norm(product_bound) * (1 + 1e-12) + 1e-300


def in_x64():  # type: ignore[no-untyped-def]
    import jax

    return jax.enable_x64(True)


@in_float64
def test_values_and_slopes_in_closed_form() -> None:
    z, t = jnp.zeros((1, 4)), jnp.asarray([[0.0, 1.0, 0.0, 0.0]])
    assert np.isclose(float(SOFTMAX.value(z, t).sum()), np.log(4.0))
    assert np.allclose(np.asarray(SOFTMAX.derivative(z, t)), [[0.25, -0.75, 0.25, 0.25]])
    far = jnp.asarray([[1e4, -1e4, 0.0, 0.0]])
    assert float(SOFTMAX.value(far, t).sum()) == 2e4
    assert np.allclose(np.asarray(SOFTMAX.derivative(far, t)), [[1.0, -1.0, 0.0, 0.0]], rtol=0.0, atol=1e-300)


@in_float64
def test_the_product_is_that_of_the_hessian() -> None:
    rng = np.random.default_rng(1)
    z, u = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5, 3))
    c = rng.uniform(0.0, 2.0, (2, 5, 1))
    c[0, 0] = 0.0
    p = np.asarray(SOFTMAX.curvature(jnp.asarray(z), jnp.asarray(z)))
    found = np.asarray(SOFTMAX.curvature_product(jnp.asarray(c * p), jnp.asarray(u)))
    for index in np.ndindex(2, 5):
        assert np.allclose(found[index], c[index] * hessian(p[index]) @ u[index], rtol=1e-13, atol=1e-15)


def test_two_classes_are_logistic_regression() -> None:
    """softmax(z)₁ − t₁ is the logistic derivative at the difference of the predictors."""
    from certified.losses import LOGISTIC

    rng = np.random.default_rng(2)
    with in_x64():
        z, sign = jnp.asarray(rng.normal(size=(50, 2)) * 5), jnp.asarray(np.where(rng.random(50) < 0.5, 1.0, -1.0))
        t = jnp.stack([(1 - sign) / 2, (1 + sign) / 2], axis=1)
        both = np.asarray(SOFTMAX.derivative(z, t))
        one = np.asarray(LOGISTIC.derivative(z[:, 1] - z[:, 0], sign))
    assert np.allclose(both[:, 1], one, rtol=1e-12, atol=1e-15) and np.allclose(
        both[:, 0], -one, rtol=1e-12, atol=1e-15
    )


def test_balls_enclose_the_derivative() -> None:
    rng = np.random.default_rng(3)
    with ctx.workprec(200):
        for _ in range(20):
            z = rng.normal(size=4) * 20
            balls = SOFTMAX.ball_derivatives([arb(v) for v in z.tolist()], [arb(0), arb(1), arb(0), arb(0)])
            for ball, p, t in zip(balls, exact(z), (0, 1, 0, 0), strict=True):
                assert abs(ball - (p - t)) < arb(2) ** -190


def test_equal_losses_share_compiled_code() -> None:
    assert Softmax() == SOFTMAX and hash(Softmax()) == hash(SOFTMAX)
