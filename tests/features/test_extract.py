"""Features depend on their own row alone, bit for bit; models that are not frozen are refused."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from certified.features import extract_features, parameter_digest
from certified.features.backbone import as_backbone

rng = np.random.default_rng(0)
IMAGES = rng.normal(size=(23, 8, 8, 1)).astype(np.float32)


class Convolution(nn.Module):
    """A convolution, batch statistics, dropout and a dense layer."""

    frozen: bool | None = None

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        train = train if self.frozen is None else not self.frozen
        x = nn.relu(nn.Conv(8, (3, 3))(x))
        x = nn.BatchNorm(use_running_average=not train)(x)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(16)(x.reshape(x.shape[0], -1))


class Network(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.convolution = nnx.Conv(1, 8, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.dense = nnx.Linear(512, 16, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = self.dropout(self.norm(nnx.relu(self.convolution(x))))
        return self.dense(x.reshape(x.shape[0], -1))


class Noisy(nnx.Module):
    """Draws random numbers whatever its mode."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.rngs = rngs.fork() if hasattr(rngs, "fork") else rngs

    def __call__(self, x: Any) -> Any:
        return x[:, :, 0, 0] + jax.random.normal(self.rngs.default(), (1, 8))


MODULE = Convolution()
VARIABLES = MODULE.init(jax.random.key(0), IMAGES[:1], train=False)


def projection(params: Any, x: Any) -> Any:
    return jnp.tanh(x.reshape(x.shape[0], -1) @ params)


WEIGHTS = rng.normal(size=(64, 16)).astype(np.float32)
MODELS = {
    "linen": (MODULE, VARIABLES),
    "nnx": (Network(nnx.Rngs(0)), None),
    "function": (projection, WEIGHTS),
    "closure": (lambda x: projection(WEIGHTS, x), None),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("batch_size", [1, 8, 64])
def test_a_row_has_the_same_bits_whatever_its_neighbours_and_its_place(name: str, batch_size: int) -> None:
    model, params = MODELS[name]
    together = extract_features(model, params, IMAGES, batch_size=batch_size)
    assert together.shape == (23, 16) and together.dtype == np.float64
    assert np.array_equal(together, extract_features(model, params, IMAGES, batch_size=batch_size))
    order = rng.permutation(23)
    assert np.array_equal(together[order], extract_features(model, params, IMAGES[order], batch_size=batch_size))
    alone = extract_features(model, params, IMAGES[7:8], batch_size=batch_size)
    assert np.array_equal(alone, together[7:8])
    strangers = np.concatenate([1e6 * IMAGES[:5], IMAGES[7:8]])
    assert np.array_equal(alone[0], extract_features(model, params, strangers, batch_size=batch_size)[5])


def test_the_values_are_the_models_own() -> None:
    expected = MODULE.apply(VARIABLES, IMAGES, train=False)
    assert np.allclose(extract_features(MODULE, VARIABLES, IMAGES), expected, atol=1e-5)
    assert np.allclose(
        extract_features(projection, WEIGHTS, IMAGES), np.tanh(IMAGES.reshape(23, -1) @ WEIGHTS), atol=1e-5
    )
    dense, params = nn.Dense(3), {"kernel": WEIGHTS[:8, :3], "bias": np.ones(3, np.float32)}
    found = extract_features(dense, params, IMAGES[:, 0, :, 0])
    assert np.allclose(found, IMAGES[:, 0, :, 0] @ WEIGHTS[:8, :3] + 1.0, atol=1e-5)


def test_an_nnx_module_is_evaluated_frozen_and_left_as_it_was() -> None:
    module = Network(nnx.Rngs(0))
    before = [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(module, nnx.Param, nnx.BatchStat))]
    found = extract_features(module, None, IMAGES)
    assert not module.dropout.deterministic and not module.norm.use_running_average
    after = [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(module, nnx.Param, nnx.BatchStat))]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    module.eval()
    assert np.allclose(found, module(IMAGES), atol=1e-5)


def test_a_tree_of_arrays_goes_in_row_by_row() -> None:
    data = {"ids": rng.integers(0, 5, (6, 4)), "mask": rng.integers(0, 2, (6, 4)).astype(bool)}
    table = rng.normal(size=(5, 3)).astype(np.float32)

    def mean(params: Any, batch: Any) -> Any:
        return jnp.sum(params[batch["ids"]] * batch["mask"][..., None], axis=1)

    expected = (table[data["ids"]] * data["mask"][..., None]).sum(axis=1)
    assert np.allclose(extract_features(mean, table, data, batch_size=4), expected, atol=1e-5)


def test_progress_counts_the_rows() -> None:
    seen: list[tuple[int, int]] = []
    extract_features(projection, WEIGHTS, IMAGES, batch_size=10, progress=lambda *told: seen.append(told))
    assert seen == [(10, 23), (20, 23), (23, 23)]


def test_float64_is_kept_where_the_caller_computes_in_it() -> None:
    with jax.enable_x64(True):
        found = extract_features(lambda x: x / 3.0, None, np.ones((2, 1)))
    assert found[0, 0] == 1.0 / 3.0
    assert extract_features(lambda x: x / 3.0, None, np.ones((2, 1)))[0, 0] == np.float64(
        np.float32(1.0) / np.float32(3.0)
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: extract_features(Convolution(frozen=False), VARIABLES, IMAGES), ValueError, "evaluation mode"),
        (
            lambda: extract_features(Noisy(nnx.Rngs(0)), None, IMAGES),
            ValueError,
            "changes its own state.*evaluation mode",
        ),
        (
            lambda: extract_features(MODULE, {"params": VARIABLES["params"]}, IMAGES),
            ValueError,
            "params lacks .*batch_stats",
        ),
        (lambda: extract_features(MODULE, None, IMAGES), TypeError, "params must be what init returned"),
        (lambda: extract_features(Network(nnx.Rngs(0)), {}, IMAGES), TypeError, "params must be None"),
        (lambda: extract_features("resnet", None, IMAGES), TypeError, "model must be .*got a str"),
        (lambda: extract_features(lambda x: x, None, IMAGES), ValueError, "one vector per row.*pool or flatten"),
        (lambda: extract_features(lambda x: jnp.sum(x), None, IMAGES), ValueError, "one vector per row"),
        (lambda: extract_features(lambda x: x / 0.0, None, np.ones((3, 2))), ValueError, "not finite for 3 row"),
        (lambda: extract_features(lambda x: x, None, np.full((2, 2), np.nan)), ValueError, "data holds NaN"),
        (lambda: extract_features(lambda x: x, None, np.ones((0, 2))), ValueError, "no rows"),
        (lambda: extract_features(lambda x: x, None, np.array(["a"])), TypeError, "data must be an array of numbers"),
        (lambda: extract_features(lambda x: x, None, 1.0), TypeError, "data must be an array of numbers"),
        (lambda: extract_features(lambda x: x, None, [np.ones(2), np.ones(3)]), ValueError, r"arrays of \[2, 3\] rows"),
        (lambda: extract_features(lambda x: x, None, np.ones((2, 2)), batch_size=0), ValueError, "batch_size"),
        (lambda: extract_features(lambda x: x, None, np.ones((2, 2)), batch_size=1.5), ValueError, "batch_size"),
        (lambda: parameter_digest(lambda x: x), ValueError, "no parameters"),
    ],
)
def test_what_cannot_be_extracted_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_the_digest_of_parameters_is_of_their_content() -> None:
    digest = parameter_digest(MODULE, VARIABLES)
    assert digest == parameter_digest(MODULE, jax.tree.map(np.array, VARIABLES))
    for place in range(len(jax.tree.leaves(VARIABLES))):
        leaves, structure = jax.tree.flatten(VARIABLES)
        changed = np.array(leaves[place])
        changed.flat[0] = np.nextafter(changed.flat[0], np.float32(9.0), dtype=np.float32)
        leaves[place] = changed
        assert parameter_digest(MODULE, jax.tree.unflatten(structure, leaves)) != digest
    assert parameter_digest(projection, WEIGHTS) != parameter_digest(projection, WEIGHTS.T)
    assert parameter_digest(Network(nnx.Rngs(0))) == parameter_digest(Network(nnx.Rngs(0)))
    assert parameter_digest(Network(nnx.Rngs(0))) != parameter_digest(Network(nnx.Rngs(1)))


def test_the_mode_is_asked_for_by_name() -> None:
    assert as_backbone(MODULE, VARIABLES).parameters is VARIABLES
