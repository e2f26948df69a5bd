"""A frozen backbone as a pure function of its parameters and one batch, in evaluation mode."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

Tree = Any

EVALUATION = {
    "deterministic": True,
    "is_training": False,
    "train": False,
    "training": False,
    "use_running_average": True,
}
"""What evaluation mode is called in the models of different authors."""


@dataclass(frozen=True)
class Backbone:
    """``apply(parameters, batch)`` maps a batch of inputs to a batch of feature rows and changes nothing."""

    apply: Callable[[Tree, Tree], Any]
    parameters: Tree


def as_backbone(model: Any, params: Tree) -> Backbone:
    """Return ``model`` with ``params`` as a pure function in evaluation mode; the model itself is left as it is.

    Args:
        model: ``flax.linen.Module``, ``flax.nnx.Module``, or a function ``model(params, batch)`` that JAX can trace;
            ``model(batch)`` if ``params`` is None.
        params: all variables of a linen module, batch statistics included, or its parameters alone; None for nnx
            modules, which hold their own.

    Raises:
        TypeError: ``model`` is none of these, or ``params`` does not fit its kind.
    """
    # A model of flax cannot exist before its owner has imported flax.
    linen, nnx = sys.modules.get("flax.linen"), sys.modules.get("flax.nnx")
    if linen is not None and isinstance(model, linen.Module):
        return _linen(model, params)
    if nnx is not None and isinstance(model, nnx.Module):
        if params is not None:
            raise TypeError("params must be None for a flax.nnx.Module: its parameters are its own; use nnx.update")
        return _nnx(nnx, model)
    if not callable(model):
        raise TypeError(
            f"model must be a flax.linen.Module, a flax.nnx.Module or a function; got a {type(model).__name__}"
        )
    if params is None:
        return Backbone(lambda _, batch: model(batch), {})
    return Backbone(model, params)


def parameter_digest(model: Any, params: Tree = None) -> str:
    """Return the SHA-256 of a backbone's parameters: names, types, shapes and values; for `Provenance`.

    Arguments as for `extract_features`. A function without ``params`` has no parameters to tell it by: ``ValueError``.

    >>> import numpy as np
    >>> parameter_digest(lambda p, x: x @ p["w"], {"w": np.eye(2)})[:12]
    '8d777f2bf893'
    """
    parameters = as_backbone(model, params).parameters
    if not jax.tree.leaves(parameters):
        raise ValueError("the model has no parameters: give them as params, so that their digest says which it is")
    return tree_digest(parameters).hexdigest()


def tree_digest(tree: Tree) -> hashlib._Hash:
    """Return SHA-256 over names, types, shapes and values of all leaves."""
    state = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        values = np.asarray(leaf)
        state.update(f"{jax.tree_util.keystr(path)} {values.dtype} {values.shape};".encode())
        state.update(np.ascontiguousarray(values).tobytes())
    return state


def _linen(module: Any, params: Tree) -> Backbone:
    from flax import errors

    if not isinstance(params, Mapping):
        raise TypeError("params must be what init returned for a flax.linen.Module: a mapping of its variables")
    variables = params if "params" in params else {"params": params}
    mode = _evaluation(type(module).__call__)

    def apply(variables: Tree, batch: Tree) -> Any:
        try:
            return module.apply(variables, batch, **mode)
        except errors.InvalidRngError:
            raise _not_frozen("draws random numbers, so its features would not be a function of the row") from None
        except errors.ModifyScopeVariableError:
            raise _not_frozen("updates its batch statistics, so a row's features would depend on the others") from None
        except (errors.ScopeCollectionNotFound, errors.ScopeParamNotFoundError) as error:
            raise ValueError(
                "params lacks variables of the model; pass all collections, such as "
                f"{{'params': …, 'batch_stats': …}} ({type(error).__name__})"
            ) from None

    return Backbone(apply, variables)


def _nnx(nnx: Any, module: Any) -> Backbone:
    from flax.errors import TraceContextError

    copy = nnx.merge(*nnx.split(module))
    copy.eval()
    graph, state = nnx.split(copy)
    mode = _evaluation(type(module).__call__)

    def apply(state: Tree, batch: Tree) -> Any:
        try:
            return nnx.merge(graph, state)(batch, **mode)
        except TraceContextError:
            raise _not_frozen("changes its own state when it is called: random numbers or batch statistics") from None

    return Backbone(apply, state)


def _evaluation(call: Callable[..., Any]) -> dict[str, bool]:
    """The arguments that ask ``call`` for evaluation mode."""
    names = inspect.signature(call).parameters
    return {name: value for name, value in EVALUATION.items() if name in names}


def _not_frozen(why: str) -> ValueError:
    return ValueError(
        f"model {why}: build it in evaluation mode (deterministic=True, use_running_average=True), or pass a function "
        "of params and batch that calls it so"
    )
