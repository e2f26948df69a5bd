"""Labels to outputs: which classes there are, their targets, and which outputs survive when classes leave."""

from __future__ import annotations

from collections import Counter
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from certified.estimators.encoding import OneVsRest, RealTargets

CLASSES = st.lists(st.sampled_from("abcdef"), max_size=5, unique=True).map(lambda c: tuple(sorted(c)))


@pytest.mark.parametrize(
    ("counts", "classes"),
    [
        ({}, ()),
        ({"b": 1, "a": 3}, ("a", "b")),
        ({"b": 1, "a": 0}, ("b",)),
        ({2: 1, -1: 5, 0: 1}, (-1, 0, 2)),
        ({True: 1, False: 1}, (False, True)),
        ({1.0: 1, 0.0: 2}, (0.0, 1.0)),
    ],
)
def test_classes_are_the_labels_that_count(counts: dict[Any, int], classes: tuple[Any, ...]) -> None:
    assert OneVsRest().classes(Counter(counts)) == classes
    assert RealTargets().classes(Counter(counts)) == ()


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ((), np.zeros((4, 0))),
        (("a",), np.zeros((4, 0))),
        (("a", "b"), [[-1.0], [1.0], [-1.0], [-1.0]]),
        (("a", "b", "c"), [[1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, -1, -1]]),
    ],
)
def test_one_output_for_two_classes_and_one_each_beyond(classes: tuple[str, ...], expected: Any) -> None:
    targets = OneVsRest().targets(["a", "b", "c", "a"], classes)
    assert targets.dtype == np.float64
    assert np.array_equal(targets, np.asarray(expected, dtype=np.float64))


def test_no_rows_have_no_targets() -> None:
    assert OneVsRest().targets([], ("a", "b", "c")).shape == (0, 3)


@given(before=CLASSES, after=CLASSES, labels=st.lists(st.sampled_from("abcdef"), max_size=8))
def test_outputs_are_carried_exactly_when_classes_only_left(
    before: tuple[str, ...], after: tuple[str, ...], labels: list[str]
) -> None:
    encoding = OneVsRest()
    carried = encoding.carried_outputs(before, after)
    assert (carried is None) == (not set(after) <= set(before))
    if carried is not None:
        remaining = [label for label in labels if label in after]
        kept = encoding.targets(remaining, before)[:, carried]
        assert np.array_equal(kept, encoding.targets(remaining, after))


def test_two_classes_of_three_keep_the_output_of_the_second() -> None:
    assert OneVsRest().carried_outputs(("a", "b", "c"), ("a", "b")) == [1]
    assert OneVsRest().carried_outputs(("a", "b", "c"), ("b", "c")) == [2]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([1.0, 2.5], [[1.0], [2.5]]), ([(1.0, 2.0), (3.0, 4.0)], [[1.0, 2.0], [3.0, 4.0]]), ([7], [[7.0]])],
)
def test_real_targets_are_the_labels(labels: list[Any], expected: list[list[float]]) -> None:
    targets = RealTargets().targets(labels, ())
    assert targets.dtype == np.float64
    assert targets.tolist() == expected
