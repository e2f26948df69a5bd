"""Class weights: factors on the sample weights of the rows with a label, fixed before training like any parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.certificates.commitment import Label
from certified.numerics.rounding import MAGNITUDE_LIMIT, SMALLEST_WEIGHT

Array = npt.NDArray[np.float64]
ClassWeight = Mapping[Label, float] | None


def checked(class_weight: Any) -> dict[Label, float]:
    """Return the weight of each label that has one; none for None.

    Raises:
        TypeError: it is no mapping from labels to numbers.
        ValueError: "balanced", or a weight out of range.

    >>> checked({"rare": 5}), checked(None)
    ({'rare': 5.0}, {})
    """
    if class_weight is None:
        return {}
    if isinstance(class_weight, str) and class_weight == "balanced":
        raise ValueError(
            "class_weight='balanced' computes the weights from the counts of the rows, so that every deletion would "
            "change the weight of every row: give numbers that were fixed without looking at rows to be deleted, such "
            "as {'rare': 5.0}"
        )
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight must be None or map labels to numbers; got a {type(class_weight).__name__}")
    for label, weight in class_weight.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float | np.integer | np.floating):
            raise TypeError(f"class_weight must map labels to numbers; got {weight!r} for {label!r}")
        if weight != 0.0 and not SMALLEST_WEIGHT <= float(weight) <= MAGNITUDE_LIMIT:
            raise ValueError(f"class_weight must hold finite weights of at least zero; got {weight!r} for {label!r}")
    return {_plain(label): float(weight) for label, weight in class_weight.items()}


def require_known(class_weight: ClassWeight, labels: Iterable[Label]) -> None:
    """Refuse weights for labels that no row has while other labels have none, as scikit-learn does: a slip.

    Raises:
        ValueError: that is so.
    """
    given, present = checked(class_weight), set(labels)
    unknown = [label for label in given if label not in present]
    if unknown and not present <= set(given):
        raise ValueError(f"class_weight names labels that no row has: {unknown!r}; correct them, or weight every label")


def times_class_weights(class_weight: ClassWeight, labels: Sequence[Label], sample_weights: Array) -> Array:
    """Return fl(c_i·w[label of i]), as `sklearn.utils.class_weight.compute_sample_weight` times c; w = 1 by default.

    Raises:
        ValueError: a product underflows or is beyond what certificates cover.

    >>> times_class_weights({"rare": 5.0}, ["rare", "usual"], np.array([0.5, 2.0]))
    array([2.5, 2. ])
    """
    weights = checked(class_weight)
    factors = np.array([weights.get(label, 1.0) for label in labels], dtype=np.float64)
    products: Array = sample_weights * factors
    dropped = (products < SMALLEST_WEIGHT) & (sample_weights > 0.0) & (factors > 0.0)
    if np.any(dropped) or np.any(products > MAGNITUDE_LIMIT):
        raise ValueError(
            f"class_weight times sample_weight must be 0 or lie between {SMALLEST_WEIGHT:g} and {MAGNITUDE_LIMIT:g}"
        )
    return products


def reweighted(class_weight: ClassWeight, before: Sequence[Label], after: Sequence[Label], weights: Array) -> Array:
    """Return the weights of rows whose labels change from ``before`` to ``after`` while their sample weights stay.

    The sample weight itself is not kept, only its product with the class weight: it is known where nothing changes, and
    where it is 1.

    Raises:
        ValueError: the sample weight of a row is not known.
    """
    factors = checked(class_weight)
    kept = weights.copy()
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        if factors.get(old, 1.0) == factors.get(new, 1.0):
            continue
        if factors.get(old, 1.0) != weights[i] or weights[i] == 0.0:
            raise ValueError("sample_weight is needed: a corrected label changes the class weight of a weighted row")
        kept[i] = factors.get(new, 1.0)
    return kept


def to_plain(class_weight: ClassWeight) -> list[list[Any]] | None:
    """Return pairs of labels and weights, which JSON keeps apart where it would turn the keys of a mapping to text."""
    return None if class_weight is None else [[label, weight] for label, weight in checked(class_weight).items()]


def from_plain(pairs: list[list[Any]] | None) -> dict[Label, float] | None:
    """Return what `to_plain` was given."""
    return None if pairs is None else {label: weight for label, weight in pairs}


def _plain(label: Any) -> Label:
    plain: Label = label.item() if isinstance(label, np.generic) else label
    return plain
