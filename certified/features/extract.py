"""Features of a frozen backbone, one row at a time in one compiled program: a row's features depend on it alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from certified.features.backbone import Backbone, Tree, as_backbone, tree_digest
from certified.features.cache import FeatureCache, row_keys

Array = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]


def extract_features(
    model: Any,
    params: Tree,
    data: Tree,
    *,
    batch_size: int = 256,
    cache: FeatureCache | str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Array:
    """Return the features of every row of ``data`` under a frozen backbone, in evaluation mode.

    Rows go through the model one by one, inside one compiled loop over ``batch_size`` of them; the last batch is filled
    up with copies of its first row. So the features of a row are the same bits whatever its neighbours, its position
    and the number of rows, as deletion requires: were they a function of other rows too, a deleted row would live on in
    its neighbours' features. Another ``batch_size`` is another program, and may differ in the last bits.

    Args:
        model: ``flax.linen.Module``, ``flax.nnx.Module``, or a function ``model(params, batch)`` that JAX can trace;
            ``model(batch)`` if ``params`` is None. It maps (1, …) inputs to (1, d) features. Arguments of ``__call__``
            named ``train``, ``training``, ``is_training``, ``deterministic`` and ``use_running_average`` are set for
            evaluation.
        params: variables of a linen module, batch statistics included, or any tree of arrays; None for nnx.
        data: array (n, …), or a tree of arrays with n rows each, in the types that the model takes.
        batch_size: rows in a compiled call.
        cache: a `FeatureCache` or its folder: rows that are in it are not computed again.
        progress: called with (rows done, rows) after each batch.

    Returns:
        (n, d) float64; a conversion from the model's type, which is exact.

    Raises:
        TypeError: ``model``, ``params`` or ``data`` is of a wrong kind.
        ValueError: the model is not in evaluation mode, its output is not one vector per row, or is not finite.

    Example:
        >>> import numpy as np
        >>> extract_features(lambda p, x: x @ p, np.ones((2, 1)), np.arange(6.0).reshape(3, 2)).tolist()
        [[1.0], [5.0], [9.0]]
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ValueError(f"batch_size must be a positive integer; got {batch_size!r}")
    rows, count = _rows(data)
    program = _Program(as_backbone(model, params), rows, int(batch_size))
    store = cache if cache is None or isinstance(cache, FeatureCache) else FeatureCache(cache)
    if store is None:
        return program.features(rows, np.arange(count), progress, count)
    keys, extractor = row_keys(rows), program.digest()
    known = store.read(extractor)
    first = {key: place for place, key in reversed(list(enumerate(keys))) if key not in known}
    missing = np.array(sorted(first.values()), dtype=np.int64)
    if len(missing):
        computed = program.features(rows, missing, progress, count)
        known |= {keys[place]: row for place, row in zip(missing.tolist(), computed, strict=True)}
        store.write(extractor, known)
    elif progress is not None:
        progress(count, count)
    return np.stack([known[key] for key in keys])


class _Program:
    """A backbone compiled for one number of rows."""

    def __init__(self, backbone: Backbone, rows: Tree, size: int) -> None:
        def single(parameters: Tree, row: Tree) -> jax.Array:
            features = backbone.apply(parameters, jax.tree.map(lambda leaf: leaf[None], row))
            shape = getattr(features, "shape", None)
            if shape is None or len(shape) != 2 or shape[0] != 1:
                raise ValueError(
                    f"model must return one vector per row, (1, d) for one row; got shape {shape}: pool or flatten "
                    "inside the model"
                )
            row_features: jax.Array = features[0]
            return row_features

        def batch(parameters: Tree, rows: Tree) -> jax.Array:
            features: jax.Array = jax.lax.map(lambda row: single(parameters, row), rows)
            return features

        self.size, self.parameters = size, backbone.parameters
        shapes = jax.tree.map(lambda leaf: np.broadcast_to(np.zeros((), _kind(leaf)), (size, *leaf.shape[1:])), rows)
        self.lowered = jax.jit(batch).lower(self.parameters, shapes)
        self.compiled = self.lowered.compile()

    def digest(self) -> str:
        """SHA-256 over everything that decides a row's features beside the row: program, parameters, platform."""
        platform = f"{jax.__version__} {jax.devices()[0].device_kind}\n"
        state = hashlib.sha256(platform.encode() + self.lowered.as_text().encode())
        state.update(tree_digest(self.parameters).digest())
        return state.hexdigest()

    def features(self, rows: Tree, places: npt.NDArray[np.int64], progress: Progress | None, count: int) -> Array:
        """Features of the rows at ``places``; ``count`` is the number of all rows, for ``progress``."""
        found: list[Array] = []
        for start in range(0, len(places), self.size):
            chosen = places[start : start + self.size]
            padded = np.concatenate([chosen, np.repeat(chosen[:1], self.size - len(chosen))])
            batch = jax.tree.map(lambda leaf, padded=padded: leaf[padded].astype(_kind(leaf)), rows)
            values = np.asarray(self.compiled(self.parameters, batch))[: len(chosen)].astype(np.float64)
            bad = int(np.sum(~np.all(np.isfinite(values), axis=1)))
            if bad:
                raise ValueError(f"model returned features that are not finite for {bad} row(s): check data and params")
            found.append(values)
            if progress is not None:
                progress(count - len(places) + start + len(chosen), count)
        return np.concatenate(found)


def _kind(leaf: npt.NDArray[Any]) -> np.dtype[Any]:
    """The type that JAX gives an array under the caller's configuration."""
    return np.dtype(jax.dtypes.canonicalize_dtype(leaf.dtype))


def _rows(data: Tree) -> tuple[Tree, int]:
    arrays = jax.tree.map(np.asarray, data)
    leaves = jax.tree.leaves(arrays)
    if not leaves or any(leaf.ndim < 1 or leaf.dtype.kind not in "fiub" for leaf in leaves):
        raise TypeError("data must be an array of numbers, or a tree of them, with one row per sample")
    counts = {leaf.shape[0] for leaf in leaves}
    if len(counts) > 1:
        raise ValueError(f"data holds arrays of {sorted(counts)} rows: give every array one row per sample")
    if counts == {0}:
        raise ValueError("data has no rows: give at least one")
    if any(leaf.dtype.kind == "f" and not np.all(np.isfinite(leaf)) for leaf in leaves):
        raise ValueError("data holds NaN or infinity: correct or leave out those rows")
    return arrays, counts.pop()
