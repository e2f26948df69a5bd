"""Bounds on the distance to exact retraining: certified from the data, and published ones from scalars.

Names are loaded when first used, so that the scalar formulas are at hand without JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from certified.bounds.capacity import Capacity as Capacity
    from certified.bounds.capacity import capacities as capacities
    from certified.bounds.capacity_problem import CapacityProblem as CapacityProblem
    from certified.bounds.curvature import Linearisation as Linearisation
    from certified.bounds.curvature import linearise as linearise
    from certified.bounds.distance import DistanceBound as DistanceBound
    from certified.bounds.distance import certify_distance as certify_distance
    from certified.bounds.published import PUBLISHED as PUBLISHED

_HOMES = {
    "Capacity": "certified.bounds.capacity",
    "CapacityProblem": "certified.bounds.capacity_problem",
    "DistanceBound": "certified.bounds.distance",
    "Linearisation": "certified.bounds.curvature",
    "PUBLISHED": "certified.bounds.published",
    "capacities": "certified.bounds.capacity",
    "certify_distance": "certified.bounds.distance",
    "linearise": "certified.bounds.curvature",
}

__all__ = [
    "PUBLISHED",
    "Capacity",
    "CapacityProblem",
    "DistanceBound",
    "Linearisation",
    "capacities",
    "certify_distance",
    "linearise",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
