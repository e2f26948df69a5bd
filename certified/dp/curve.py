"""What every privacy curve of a training offers."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


class Curve(Protocol):
    """A proved δ(ε) for one release under the relation "add or remove", and what it rests on.

    Attributes:
        claims: ids of its claims.
    """

    @property
    def claims(self) -> tuple[str, ...]: ...

    def delta(self, epsilon: float, group_size: int) -> float:
        """An upper bound on δ(ε) for ``group_size`` rows, both directions."""
        ...

    def constants(self) -> dict[str, Any]:
        """The public constants it is computed from, as JSON values."""
        ...


@runtime_checkable
class InvertibleCurve(Curve, Protocol):
    """A curve with an inverse of its own, for which bisection on ``delta`` would take long."""

    def epsilon(self, delta: float, group_size: int) -> float:
        """An ε with δ(ε) ≤ ``delta`` for ``group_size`` rows; ``inf`` if there is none."""
        ...
