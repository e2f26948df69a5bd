"""A small convolutional network trained on other, public digits, to be frozen: nothing is fitted to the rows of MNIST.

It is trained on the 1,797 digits that scikit-learn brings along (Alpaydin & Kaynak, UCI), written by others, which are
counts of ink in 4 × 4 cells of a 32 × 32 scan. MNIST, padded to 32 × 32, is read in the same cells.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax

from certified.data import load_digits

Images = npt.NDArray[np.float32]
STEPS = 300


class Backbone(nn.Module):
    """(n, 8, 8, 1) → (n, 512) features of norm one."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.relu(nn.Conv(16, (3, 3))(x))
        x = nn.relu(nn.Conv(32, (3, 3), strides=2)(x))
        x = x.reshape(x.shape[0], -1)
        return x / (1e-6 + jnp.linalg.norm(x, axis=1, keepdims=True))


class Classifier(nn.Module):
    """The backbone under a head for the ten digits, which is thrown away."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(10)(Backbone(name="backbone")(x))


def cells(images: npt.NDArray[Any]) -> Images:
    """Return (n, 8, 8, 1) means in [0, 1] over 4 × 4 cells of images (n, 784) of MNIST, padded to 32 × 32."""
    padded = np.pad(np.asarray(images, np.float32).reshape(-1, 28, 28), ((0, 0), (2, 2), (2, 2)))
    means = padded.reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4))
    return np.asarray(means / max(1.0, float(padded.max())), np.float32)[..., None]


def trained_elsewhere(seed: int = 0) -> Any:
    """Return the parameters of a `Backbone` trained on the other digits, all of them."""
    digits = load_digits()
    pictures = np.concatenate([digits.X_train, digits.X_test]).astype(np.float32)
    pictures = jnp.asarray((pictures / pictures.max()).reshape(-1, 8, 8, 1))
    answers = jnp.asarray(np.concatenate([digits.y_train, digits.y_test]))
    classifier, optimiser = Classifier(), optax.adam(3e-3)
    params = classifier.init(jax.random.key(seed), pictures[:1])["params"]

    @jax.jit
    def step(params: Any, state: Any) -> tuple[Any, Any]:
        def loss(params: Any) -> jax.Array:
            logits = classifier.apply({"params": params}, pictures)
            return optax.softmax_cross_entropy_with_integer_labels(logits, answers).mean()

        updates, state = optimiser.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    state = optimiser.init(params)
    for _ in range(STEPS):
        params, state = step(params, state)
    return params["backbone"]
