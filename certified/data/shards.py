"""One part of rows on each device of a mesh: what sums over rows in memory sums over each part (claim T12)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from certified.data.mesh import added_up, agree, evaluated, largest
from certified.data.rows import Rows


@dataclass(frozen=True, eq=False, repr=False)
class Shards(Rows):
    """Arrays over a mesh, one part of rows on each device."""

    mesh: Mesh

    @property
    def plain(self) -> Rows:
        return Rows(self.features, self.targets, self.weights, self.norms)

    def total(
        self,
        function: Callable[..., tuple[jax.Array, ...]],
        static: tuple[Any, ...],
        *arguments: Any,
        along: tuple[jax.Array, ...] = (),
        kept: int = 0,
    ) -> tuple[jax.Array, ...]:
        # On the host, so that every device can have them; and known to be the same before anything is started.
        values = tuple(np.asarray(argument) for argument in arguments)
        agree(self.mesh, "weights", getattr(function, "__name__", ""), static, *values)
        sums, rest = evaluated(self.mesh, function, static, kept, self.plain, along, values)
        return *(added_up(self.mesh, sums) if sums else ()), *rest

    def highest(
        self, function: Callable[..., tuple[jax.Array, ...]], static: tuple[Any, ...], *arguments: Any
    ) -> jax.Array:
        values = tuple(np.asarray(argument) for argument in arguments)
        agree(self.mesh, "weights", getattr(function, "__name__", ""), static, *values)
        (each,), _ = evaluated(self.mesh, function, static, 0, self.plain, (), values)
        found: jax.Array = largest(self.mesh, each)
        return found
