"""Clipped gradients of stacks of ``flax.linen.Dense`` without any gradient per row (claim T20, part 3).

The gradient of row i in the layer l is a_i ⊗ e_i, its input and the cotangent of its output, and e_i in the bias. So
the squared norm over all layers is Σ_l ‖e_i‖²(‖a_i‖² + 1). Inputs and cotangents of all rows come from one pass forward
and back, and the clipped sum is Σ_i a_i (s_i e_i)ᵀ, made of the same numbers: no second pass, and no rounding between
the norm and what is added. The model is not changed: flax lets calls of its layers be intercepted.

Source: Goodfellow 2015 (arXiv 1510.01799); Li et al. 2022 (arXiv 2110.05679).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from certified.dp.clipping import Tree, block_sensitivity, moderate, outer_sum, scales, unit_roundoff

Path = tuple[str, ...]
Arrays = dict[Path, jax.Array]


@dataclass(frozen=True)
class DenseGradient:
    """Gradients of a linen model all of whose weights belong to ``Dense`` layers, each called once on (rows, features).

    Data are a pair (inputs, targets), each with the rows on axis 0; ``params`` is what ``init`` returned under
    ``"params"``. Between the layers there may be anything without weights that treats rows one by one.

    Attributes:
        model: the model; it is called as ``model.apply({"params": params}, inputs)``.
        loss: ``loss(outputs, targets)`` returns the loss of each row (rows,); rows must not see each other.

    Example:
        >>> from optax import softmax_cross_entropy_with_integer_labels as cross_entropy
        >>> model = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(3)])
        >>> params = model.init(jax.random.key(0), jnp.ones((1, 5)))["params"]
        >>> gradient = DenseGradient(model, cross_entropy)
        >>> float(gradient.sensitivity(params, 512)) < 1.0005
        True
    """

    model: nn.Module
    loss: Callable[[jax.Array, jax.Array], jax.Array]

    def prepare(self, data: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """Return the data as JAX arrays; rows whose gradient is not finite contribute zero."""
        inputs, targets = data
        return jnp.asarray(inputs), jnp.asarray(targets)

    def clipped_sum(
        self, params: Tree, batch: tuple[jax.Array, jax.Array], present: jax.Array, threshold: jax.Array
    ) -> Tree:
        """Return Σ s_i ∇ℓ_i in float64.

        Raises:
            ValueError: a weight belongs to no ``Dense`` layer, or a layer is called twice or on no (rows, features).
        """
        inputs, targets = batch
        layers = _layers(params)
        shapes = jax.eval_shape(lambda: self._forward(params, inputs, None)[1])
        _check(layers, shapes, len(present))
        shifts = {path: jnp.zeros((len(present), width), dtype) for path, (_, width, dtype) in layers.items()}

        def total(shifts: Arrays) -> tuple[jax.Array, Arrays]:
            outputs, seen = self._forward(params, inputs, shifts)
            return jnp.sum(self.loss(outputs, targets)), {path: calls[0] for path, calls in seen.items()}

        cotangents, seen = jax.grad(total, has_aux=True)(shifts)
        # Inputs of more digits than the weights: norms are those of the rounded numbers, which are what is added.
        seen = {path: part.astype(layers[path][2]) for path, part in seen.items()}
        usable = present
        for part in (*cotangents.values(), *seen.values()):
            usable = usable & moderate(part)
        squares = sum(
            _squares(cotangents[path]) * (_squares(seen[path]) + biased) for path, (biased, _, _) in layers.items()
        )
        scale = scales(jnp.sqrt(squares), threshold, usable)
        sums: Arrays = {}
        for path, (biased, _, dtype) in layers.items():
            scaled = jnp.where(usable[:, None], cotangents[path] * scale[:, None], 0.0).astype(dtype)
            sums[*path, "kernel"] = outer_sum(scaled, jnp.where(usable[:, None], seen[path], 0.0)).T
            if biased:
                sums[*path, "bias"] = scaled.astype(jnp.float64).sum(axis=0)
        return jax.tree_util.tree_map_with_path(lambda path, _: sums[tuple(part.key for part in path)], params)

    def sensitivity(self, params: Tree, capacity: int) -> Fraction:
        """As `block_sensitivity`, for norms of as many squares as there are inputs and outputs of layers."""
        kernels = [leaf for path, leaf in _flat(params).items() if path[-1] == "kernel"]
        dtypes = [dtype for _, _, dtype in _layers(params).values()]
        terms = sum(sum(kernel.shape) + 2 for kernel in kernels)
        return max(block_sensitivity(dtype, capacity, terms) for dtype in dtypes)

    def _forward(self, params: Tree, inputs: jax.Array, shifts: Arrays | None) -> tuple[Any, dict[Path, list[Any]]]:
        """The outputs, and the inputs of each ``Dense``, with ``shifts`` added to the outputs of each."""
        seen: dict[Path, list[Any]] = {}

        def intercept(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
            output = call(*args, **kwargs)
            if not isinstance(context.module, nn.Dense) or context.method_name != "__call__":
                return output
            path = context.module.path
            seen.setdefault(path, []).append(args[0] if args else kwargs["inputs"])
            return output if shifts is None else output + shifts[path]

        with nn.intercept_methods(intercept):
            outputs = self.model.apply({"params": params}, inputs)
        return outputs, seen


def _layers(params: Tree) -> dict[Path, tuple[bool, int, Any]]:
    """Whether each layer has a bias, how many outputs, and of what type."""
    flat = _flat(params)
    strange = [path for path in flat if path[-1] not in ("kernel", "bias") or flat.get((*path[:-1], "kernel")) is None]
    kernels = {path[:-1]: leaf for path, leaf in flat.items() if path[-1] == "kernel"}
    if strange or any(leaf.ndim != 2 for leaf in kernels.values()):
        named = "/".join(strange[0]) if strange else "a kernel"
        raise ValueError(f"params holds {named}, which is no weight of a Dense layer: use PerExampleGradient")
    for leaf in flat.values():
        unit_roundoff(leaf.dtype)
    return {path: ((*path, "bias") in flat, leaf.shape[1], leaf.dtype) for path, leaf in kernels.items()}


def _check(layers: dict[Path, Any], seen: dict[Path, list[Any]], rows: int) -> None:
    if seen.keys() != layers.keys():
        named = "/".join(sorted(seen.keys() ^ layers.keys())[0])
        raise ValueError(f"model calls no Dense layer {named}, or params lacks it: use PerExampleGradient")
    for path, calls in seen.items():
        if len(calls) != 1 or calls[0].ndim != 2 or len(calls[0]) != rows:
            raise ValueError(
                f"layer {'/'.join(path)} is called more than once, or not on (rows, features): use PerExampleGradient"
            )


def _flat(params: Tree) -> Arrays:
    """The weights by their paths of names."""
    return {tuple(part.key for part in path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}


def _squares(values: jax.Array) -> jax.Array:
    return jnp.sum(jnp.square(values.astype(jnp.float64)), axis=1)
