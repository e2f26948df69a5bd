"""Claim T6a for Hessians to which terms wait to be added, against exact matrices in balls."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import numpy.typing as npt
import pytest
from flint import arb, arb_mat, ctx
from hypothesis import given
from hypothesis import strategies as st

from certified.bounds import exchanged as module
from certified.bounds.changed_rows import RowTerms
from certified.bounds.curvature import Linearisation
from certified.bounds.enclosure import Enclosure
from certified.bounds.exchanged import MAX_WAITING, Exchanged, selected
from tests.oracle import is_positive_definite

Array = npt.NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)
P = 4


def terms(rng: np.random.Generator, rows: int, outputs: int) -> RowTerms:
    features = rng.normal(size=(rows, P)) * 10.0 ** rng.uniform(-2, 2)
    curvature = rng.uniform(0.0, 1.0, (rows, outputs))
    norms = np.linalg.norm(features, axis=1)
    sizes = (norms**2 @ curvature) * (1.0 + 1e-12)
    nothing = Enclosure(np.zeros((P, outputs)), 0.0)
    return RowTerms(nothing, features, 0.0 * curvature, curvature, sizes, 0.0 * sizes, 0.0)


def start(rng: np.random.Generator, outputs: int) -> Exchanged:
    """Hessians that are exact, and large enough for whatever leaves."""
    roots = rng.integers(-9, 9, size=(outputs, P, P)).astype(float)
    hessians = tuple(Enclosure(root.T @ root + 1e6 * np.eye(P), 0.0) for root in roots)
    return Exchanged.of(Linearisation(np.zeros((P, outputs)), hessians, np.ones((P, 1))))


def exact(before: Exchanged, changes: list[tuple[RowTerms, float]], output: int) -> arb_mat:
    total = arb_mat(before.data_hessians[output].value.tolist())
    for part, sign in changes:
        for row, a in zip(part.features, part.curvature[:, output], strict=True):
            x = arb_mat(P, 1, row.tolist())
            total += arb(float(sign * a)) * (x * x.transpose())
    return total


def norm(matrix: arb_mat) -> arb:
    return sum(
        (matrix[i, j] * matrix[i, j] for i in range(matrix.nrows()) for j in range(matrix.ncols())), arb(0)
    ).sqrt()


@given(SEEDS, st.integers(1, 3), st.lists(st.tuples(st.integers(1, 9), st.sampled_from([-1.0, 1.0])), max_size=6),
       st.sampled_from([0, 3, MAX_WAITING]))  # fmt: skip
def test_whatever_waits_is_enclosed(seed: int, outputs: int, sizes: list[tuple[int, float]], limit: int) -> None:
    """Products, both triangles and the last column, whether terms wait, are added in between, or come back."""
    rng = np.random.default_rng(seed)
    before = now = start(rng, outputs)
    changes = [(terms(rng, rows, outputs), sign) for rows, sign in sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_WAITING", limit)
        for change in changes:
            now = now.exchanged([change], now.penalty)
            assert len(now.waiting.features) <= limit
    direction = rng.normal(size=(P, outputs))
    product = now.product(direction)
    with ctx.workprec(400):
        for k in range(outputs):
            truth = exact(before, changes, k)
            gap = arb_mat(P, 1, product[:, k].tolist()) - truth * arb_mat(P, 1, direction[:, k].tolist())
            assert norm(gap) <= now.error_rate * arb(float(np.linalg.norm(direction))) + 1e-140
            assert is_positive_definite(-1 * truth, -now.magnitude, bits=400)
            settled = now.data_hessians[k]
            difference = arb_mat(settled.value.tolist()) - truth
            for side in (difference, -1 * difference):
                assert is_positive_definite(side, -settled.error - 1e-140, bits=400)
            last, above = now.last_column(k)
            assert last <= truth[P - 1, P - 1]
            assert norm(arb_mat(P - 1, 1, [truth[i, P - 1] for i in range(P - 1)])) <= above


def test_an_error_of_the_rows_is_passed_on() -> None:
    rng = np.random.default_rng(0)
    before, part = start(rng, 1), terms(rng, 1, 1)
    vague = RowTerms(part.gradient, part.features, part.slopes, part.curvature, part.sizes, np.array([0.5]), 0.0)
    now = before.exchanged([(vague, -1.0)], before.penalty)
    assert now.error_rate >= 0.5
    assert now.data_hessians[0].error >= 0.5
    assert now.last_column(0)[0] <= float(now.data_hessians[0].value[-1, -1]) - 0.5
    unknown = RowTerms(part.gradient, part.features, part.slopes, part.curvature, part.sizes, np.array([np.nan]), 0.0)
    now = before.exchanged([(unknown, -1.0)], before.penalty)
    assert now.error_rate == now.data_hessians[0].error == np.inf
    assert not now.last_column(0)[0] > 0.0


def test_terms_are_added_before_too_many_wait() -> None:
    rng = np.random.default_rng(1)
    now = start(rng, 2)
    for _ in range(3 * MAX_WAITING):
        now = now.exchanged([(terms(rng, 1, 2), 1.0)], now.penalty)
        assert len(now.waiting.features) <= MAX_WAITING
    assert len(now.waiting.features) > 0
    assert len(now.settled().waiting.features) == 0


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))])
def test_a_saved_one_holds_no_row(copied: object) -> None:
    rng = np.random.default_rng(2)
    now = start(rng, 2).exchanged([(terms(rng, 3, 2), -1.0)], np.ones((P, 1)))
    saved = copied(now)  # type: ignore[operator]
    assert len(saved.waiting.features) == 0
    for mine, theirs in zip(now.data_hessians, saved.data_hessians, strict=True):
        assert np.array_equal(mine.value, theirs.value) and mine.error == theirs.error


def test_exchanging_leaves_the_one_before_untouched() -> None:
    rng = np.random.default_rng(3)
    before = start(rng, 1)
    value = before.data_hessians[0].value.copy()
    now = before.exchanged([(terms(rng, 5, 1), -1.0), (terms(rng, 2, 1), 1.0)], before.penalty)
    now.settled()
    assert len(before.waiting.features) == 0 and len(now.waiting.features) == 7
    assert np.array_equal(Exchanged.of(before).settled().data_hessians[0].value, value)


@pytest.mark.parametrize("outputs", [[0], [2, 0], [1, 2]])
def test_selected_outputs_keep_their_hessians(outputs: list[int]) -> None:
    rng = np.random.default_rng(4)
    now = start(rng, 3).exchanged([(terms(rng, 3, 3), -1.0)], np.ones((P, 1)))
    part = selected(now, outputs, shared=False)
    direction = rng.normal(size=(P, 3))
    assert np.allclose(part.product(direction[:, outputs]), now.product(direction)[:, outputs], rtol=1e-14, atol=0.0)
    assert part.error_rate <= now.error_rate
    for k, output in enumerate(outputs):
        assert np.array_equal(part.data_hessians[k].value, now.data_hessians[output].value)


def test_secrets_stay_out_of_the_representation() -> None:
    rng = np.random.default_rng(5)
    now = start(rng, 1).exchanged([(terms(rng, 1, 1), 1.0)], np.ones((P, 1)))
    for secret in (now, now.waiting, now.triangles[0]):
        assert "array" not in repr(secret) and "[" not in repr(secret)
