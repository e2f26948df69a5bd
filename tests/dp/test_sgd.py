"""DP-SGD: plain arithmetic without noise, fresh noise on resuming, guarantees by the accountant, transformations."""

from __future__ import annotations

import json
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import softmax_cross_entropy_with_integer_labels as cross_entropy
from scipy.stats import kstest, norm

from certified.accounting import Relation, SubsampledGaussian, dp_delta, dp_epsilon
from certified.dp import (
    DenseGradient,
    LinearGradient,
    SGDPlan,
    differentially_private_aggregate,
    dp_sgd,
    gaussian_noise,
)
from certified.dp.chacha import chacha20
from certified.dp.sampled import SampledCurve
from certified.dp.transform import normals
from certified.losses import LOGISTIC

rng = np.random.default_rng(0)
X = rng.normal(size=(100, 3))
T = np.sign(X @ np.array([[1.0], [-2.0], [0.5]]))
GRADIENT, SGD = LinearGradient(LOGISTIC), optax.sgd(0.5)
START = np.zeros((3, 1))


def plan(**changes: Any) -> SGDPlan:
    given = dict(clip_norm=1.0, noise_multiplier=2.0, expected_batch=20.0, public_rows=100, steps=8)
    return SGDPlan(**{**given, **changes})


def train(plan: SGDPlan, **changes: Any) -> Any:
    given: dict[str, Any] = dict(optimizer=SGD, delta=1e-5)
    data = changes.pop("data", (X, T))
    return dp_sgd(changes.pop("gradient", GRADIENT), changes.pop("params", START), data, plan, **{**given, **changes})


def test_without_sampling_and_almost_without_noise_it_is_clipped_gradient_descent() -> None:
    """Noise of 1e-9·C: every row in every batch, and the public normaliser."""
    weights, clip = START, 0.2
    for _ in range(8):
        slopes = -T / (1.0 + np.exp(T * (X @ weights)))
        scale = np.minimum(1.0, clip / (np.abs(slopes) * np.linalg.norm(X, axis=1, keepdims=True)))
        weights = weights - 0.5 * X.T @ (scale * slopes) / 100.0
    found = train(plan(clip_norm=clip, noise_multiplier=0.01, expected_batch=100.0), delta=0.5)
    assert np.linalg.norm(np.asarray(found.params) - weights) < 8 * 0.5 * 0.01 * clip * 6 / 100.0
    assert not jax.config.jax_enable_x64


def test_empty_batches_are_steps_with_noise() -> None:
    no_rows = (np.zeros((0, 3)), np.zeros((0, 1)))
    found = train(plan(steps=400), data=no_rows)
    # A random walk of 400 steps of 0.5·2/20 per coordinate.
    weights = np.asarray(found.params)
    assert np.all(np.abs(weights) < 6 * math.sqrt(400) * 0.05) and np.all(weights != 0.0)
    assert found.guarantee.epsilon(1e-5) == plan(steps=400).curve().epsilon(1e-5, 1)


def test_the_normaliser_is_public_and_steps_are_counted() -> None:
    """With 30 of 100 public rows there, steps are as long as the public number says."""
    fewer = train(plan(noise_multiplier=0.01, expected_batch=100.0, steps=1), data=(X[:30], T[:30]), delta=0.9)
    slopes = -T[:30] / 2.0
    scale = np.minimum(1.0, 1.0 / (np.abs(slopes) * np.linalg.norm(X[:30], axis=1, keepdims=True)))
    assert np.allclose(fewer.params, -0.5 * X[:30].T @ (scale * slopes) / 100.0, atol=1e-3)


def test_resuming_draws_fresh_noise_and_adds_phases() -> None:
    first = train(plan())
    again = [train(plan(steps=5), params=None, resume=first.state) for _ in range(2)]
    assert not np.array_equal(again[0].params, again[1].params), "noise was used twice"
    assert "key" not in repr(first.state), "a checkpoint holds the key"
    whole = dp_epsilon(1e-5, [SubsampledGaussian(2.0, 0.2, 13)], relation=Relation.add_or_remove)
    assert again[0].guarantee.epsilon(1e-5) == pytest.approx(whole, rel=2e-3)
    assert again[0].guarantee.epsilon(1e-5) > first.guarantee.epsilon(1e-5)
    # The same law as without an interruption: with the same entropy for both parts the same steps.
    adam = optax.adam(0.1)
    halves = train(plan(noise_multiplier=0.01, expected_batch=100.0, steps=3), optimizer=adam, delta=0.9)
    halves = train(
        plan(noise_multiplier=0.01, expected_batch=100.0, steps=3), optimizer=adam, delta=0.9, resume=halves.state
    )
    one = train(plan(noise_multiplier=0.01, expected_batch=100.0, steps=6), optimizer=adam, delta=0.9)
    assert np.allclose(halves.params, one.params, atol=0.02), "Adam's moments are not resumed"


def test_the_guarantee_is_the_accountants_and_truncation() -> None:
    small = plan(capacity=64, expected_batch=30.0)
    guarantee = train(small).guarantee
    steps = SubsampledGaussian(2.0, 0.3, 8)
    spent = dp_delta(1.5, [steps], relation=Relation.add_or_remove, rows=2)
    assert 0.0 < small.truncation < 1e-9
    assert guarantee.delta(1.5, 2) >= spent + math.exp(1.5) * small.truncation * (1 - 1e-12)
    assert guarantee.delta(guarantee.epsilon(1e-6), 1) <= 1e-6
    assert guarantee.noise == "idealized_gaussian" and {"T10", "T19", "T20"} <= set(guarantee.claims)
    assert json.loads(guarantee.to_json())["curve"]["truncation"] == small.truncation
    assert plan(expected_batch=50.0).truncation == 0.0, "100 rows fit into 128 slots"
    with pytest.raises(ValueError, match="capacity"):
        train(plan(expected_batch=60.0, capacity=64), delta=1e-9)
    lost = SampledCurve((steps,), 1e-7).then(SampledCurve((steps,), 1e-7))
    assert lost.truncation >= 2e-7 and len(lost.phases) == 2
    assert lost.epsilon(1e-8, 1) == math.inf


def test_exact_noise_sees_and_returns_every_bit() -> None:
    sums = np.array([1.0 + 2.0**-52, -(2.0**-300), 0.0])
    with jax.enable_x64(True):
        noise = gaussian_noise(2.0**-200, 1.0, exact_noise=True)
        update, state = jax.jit(noise.update), noise.init(None)
        # In calls without waiting, as callbacks then run beside this thread.
        drawn = [update(jnp.asarray(sums), state)[0] for _ in range(20)]
        found = [np.asarray(noisy) for noisy in drawn]
    assert all(noisy[0] == sums[0] and 0.0 < abs(noisy[2]) < 2.0**-190 for noisy in found)
    assert len({float(noisy[2]) for noisy in found}) == 20


def test_exact_noise_has_no_flag() -> None:
    found = train(plan(steps=3), exact_noise=True)
    assert found.guarantee.noise == "rounded_gaussian" and "T13" in found.guarantee.claims
    weights = np.asarray(found.params)
    assert np.all(np.isfinite(weights)) and np.all(weights != 0.0)


def test_a_model_of_flax_is_trained_as_it_is() -> None:
    model = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(2)])
    params = model.init(jax.random.key(0), jnp.ones((1, 3)))["params"]
    rows, labels = X.astype(np.float32), (T[:, 0] > 0).astype(int)
    gradient = DenseGradient(model, cross_entropy)
    big = plan(noise_multiplier=0.02, expected_batch=100.0, steps=60)
    found = train(big, gradient=gradient, params=params, data=(rows, labels), optimizer=optax.adam(0.05), delta=0.9)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), found.params) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), params
    )
    outputs = model.apply({"params": found.params}, rows)
    assert np.mean(np.argmax(outputs, axis=1) == labels) > 0.9
    assert found.guarantee.n_features == 3 * 8 + 8 + 8 * 2 + 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(clip_norm=0.0), "clip_norm"),
        (dict(noise_multiplier=math.nan), "noise_multiplier"),
        (dict(noise_multiplier=0.0), "noise_multiplier"),
        (dict(expected_batch=101.0), "expected_batch"),
        (dict(public_rows=99), "public_rows"),
        (dict(steps=-1), "steps"),
        (dict(capacity=0), "capacity"),
    ],
)
def test_bad_plans(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(plan(**changes))


@pytest.mark.parametrize(
    "name", ["clip_norm", "noise_multiplier", "expected_batch", "public_rows", "steps", "capacity"]
)
@pytest.mark.parametrize("bad", [True, "1", 2.5 + 0j])
def test_plans_are_made_of_numbers(name: str, bad: Any) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be"):
        plan(**{name: bad})


@pytest.mark.parametrize("name", ["public_rows", "steps", "capacity"])
def test_whole_numbers_of_a_plan_may_be_numpys_but_not_fractions(name: str) -> None:
    whole = plan(**{name: np.int64(128)})
    assert whole == plan(**{name: 128}) and type(getattr(whole, name)) is int
    with pytest.raises(TypeError, match=f"^{name} must be an integer"):
        plan(**{name: 128.5})


@pytest.mark.parametrize("clip_norm", [2.0**-31, 2.0**31, math.inf])
def test_a_plan_refuses_what_clipping_would(clip_norm: float) -> None:
    with pytest.raises(ValueError, match="clip_norm must lie between"):
        plan(clip_norm=clip_norm)


def test_bad_data() -> None:
    with pytest.raises(ValueError, match="same number of rows"):
        train(plan(), data=(X, T[:50]))
    with pytest.raises(ValueError, match="delta"):
        train(plan(), delta=0.0)


def test_normals_are_normal_and_differ_by_step_and_leaf() -> None:
    key = jnp.asarray(rng.integers(0, 1 << 32, 8, dtype=np.uint32))
    with jax.enable_x64(True):
        drawn = np.asarray(jax.jit(lambda key: normals(chacha20(key, jnp.zeros(3, jnp.uint32), 25_000), 200_000))(key))
        assert kstest(drawn, norm.cdf).pvalue > 1e-6
        assert np.abs(drawn).max() < 9.5 and len(np.unique(drawn)) == 200_000
        assert abs(np.corrcoef(drawn[:100_000], drawn[100_000:])[0, 1]) < 0.02, "cosines and sines go together"
        noise = gaussian_noise(1.0, 1.0)
        update, zeros = jax.jit(noise.update), {"a": jnp.zeros(4), "b": jnp.zeros(4)}
        state, seen = noise.init(zeros), []
        for _ in range(3):
            noisy, state = update(zeros, state)
            seen += [tuple(np.asarray(leaf)) for leaf in noisy.values()]
        # The counter carries into its second word, and never repeats.
        _, after = update(zeros, state._replace(step=jnp.array([2**32 - 1, 0], jnp.uint32)))
    assert len(set(seen)) == 6, "two steps or leaves share noise"
    assert after.step.tolist() == [0, 1]


def test_the_transformation_follows_optax() -> None:
    aggregate = differentially_private_aggregate(clip_norm=1.0, noise_multiplier=0.01, expected_batch=4.0)
    assert isinstance(aggregate, optax.GradientTransformation)
    params = {"w": jnp.zeros((2, 3)), "b": jnp.zeros(3)}
    per_row = {"w": jnp.ones((4, 2, 3)) * jnp.array([0.0, 1.0, jnp.nan, 1e30])[:, None, None], "b": jnp.ones((4, 3))}
    optimizer = optax.chain(aggregate, optax.scale(-1.0))
    state = optimizer.init(params)
    updates, after = jax.jit(optimizer.update)(per_row, state, params)
    assert jax.tree.structure(updates) == jax.tree.structure(params) and updates["w"].dtype == jnp.float32
    assert after[0].step.tolist() == [1, 0] and "secret" in repr(state)
    # Row 0 is clipped to (0, 1/√3), row 1 to 1/3 everywhere; the rows that are not finite or too large are zero.
    assert np.allclose(updates["w"], -(1 / 3) / 4.0, atol=0.02)
    assert np.allclose(updates["b"], -(1 / 3 + 1 / math.sqrt(3)) / 4.0, atol=0.02)
    plain = optax.contrib.differentially_private_aggregate(l2_norm_clip=1.0, noise_multiplier=0.0, key=0)
    usual = jax.tree.map(lambda leaf: leaf[:2], per_row)
    expected, _ = plain.update(usual, plain.init(params), params)
    quiet = differentially_private_aggregate(1.0, 1e-6, 2.0)
    mine, _ = jax.jit(quiet.update)(usual, quiet.init(params), params)
    assert all(np.allclose(mine[name], expected[name], atol=1e-5) for name in params)
    with pytest.raises(ValueError, match="per row"):
        aggregate.update({"w": jnp.ones((4, 2)), "b": jnp.ones(3)}, state, None)
    with pytest.raises(TypeError, match="float64"):
        noise = gaussian_noise(1.0, 1.0)
        noise.update(jnp.zeros(3, jnp.float32), noise.init(None))
    for bad in (0.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="normaliser"):
            gaussian_noise(1.0, bad)
