"""Verification of rows that are read chunk by chunk: the same report, sums in float64 that enclose the truth."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flint import ctx
from hypothesis import given, settings

from certified.data.derived_sources import JoinedRows, WithoutRows
from certified.data.sources import ArraySource
from certified.verification import reading
from certified.verification.float_sums import float_hessian, float_moments
from certified.verification.objective import PRECISION, ArbObjective
from tests.oracle import Problem
from tests.strategies import HINGES, problems_and_points
from tests.verification.cases import NONCE, Case, make_case

Array = npt.NDArray[np.float64]


def streamed(case: Case, **changes: Any) -> Any:
    rows = ArraySource(case.X, case.y, case.sample_weight)
    return case.verify(**{"X": rows, "y": None, "sample_weight": None, **changes})


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK_ENTRIES", 30)


@pytest.mark.parametrize(
    "settings_",
    [
        {"fit_intercept": True, "weighted": True},
        {"classes": (0, 1, 2)},
        {"loss": "squared", "targets": 2, "weighted": True},
        {"loss": "poisson"},
        {"ledger": True},
        {"sharpened": True},
    ],
    ids=str,
)
def test_the_report_is_that_of_arrays(settings_: dict[str, Any]) -> None:
    case = make_case(**settings_)
    assert streamed(case).complete
    assert [str(check) for check in streamed(case).checks] == [str(check) for check in case.verify().checks]


def test_wrong_rows_and_figures_are_found_out() -> None:
    case = make_case()
    other = case.X.copy()
    other[3, 0] += 1e-12
    found = {
        "rows_commitment": streamed(replace(case, X=other)),
        "row_count": streamed(case, X=WithoutRows(ArraySource(case.X, case.y, case.sample_weight), [0])),
        "gradient_residual": streamed(case.with_certificate(gradient_residual=1e-30)),
        "distance_bound": streamed(case.with_certificate(distance_bound=1e-30)),
    }
    for name, report in found.items():
        assert name in {check.name for check in report.failures}, name


class Restless(ArraySource):
    """Rows that differ from the third reading of the first chunk on."""

    readings = 0

    def read(self, start: int, stop: int) -> Any:
        self.readings += start == 0
        features, targets, weights = super().read(start, stop)
        return features + (self.readings > 2), targets, weights


def forged(features: Array) -> Array:
    """Other features with the same CRC-32: 32 low bits of the last number outweigh a change in the first."""
    changed = features.copy()
    changed.flat[0] += 1.0
    last = changed.view(np.uint64).reshape(-1)
    wanted, start = zlib.crc32(features.tobytes()), int(last[-1])
    zero = zlib.crc32(changed.tobytes())
    basis: dict[int, tuple[int, int]] = {}
    for bit in range(32):
        last[-1] = start ^ 1 << bit
        effect, flips = zlib.crc32(changed.tobytes()) ^ zero, 1 << bit
        while effect and effect.bit_length() in basis:
            other, more = basis[effect.bit_length()]
            effect, flips = effect ^ other, flips ^ more
        if effect:
            basis[effect.bit_length()] = effect, flips
    missing, flips = wanted ^ zero, 0
    while missing:
        other, more = basis[missing.bit_length()]
        missing, flips = missing ^ other, flips ^ more
    last[-1] = start ^ flips
    assert zlib.crc32(changed.tobytes()) == wanted
    return changed


class Forger(ArraySource):
    """Rows that differ after the first pass, as someone would make them who means to hide it."""

    passes = 0

    def read(self, start: int, stop: int) -> Any:
        self.passes += start == 0
        features, targets, weights = super().read(start, stop)
        return forged(features) if start == 0 and self.passes > 1 else features, targets, weights


def test_rows_forged_between_two_passes() -> None:
    case = make_case()
    with pytest.raises(ValueError, match="same rows each time"):
        streamed(case, X=Forger(case.X, case.y, case.sample_weight))


class Shrinking(ArraySource):
    """Rows of which a source speaks of fewer once they have been read."""

    passes = 0

    @property
    def length(self) -> int:
        return super().length if self.passes < 2 else 4

    def read(self, start: int, stop: int) -> Any:
        self.passes += start == 0
        return super().read(start, stop)


def test_a_source_that_shrinks_is_read_to_the_end_it_had() -> None:
    case = make_case()
    assert streamed(case, X=Shrinking(case.X, case.y, case.sample_weight)).complete


def test_rows_that_change_while_they_are_verified() -> None:
    case = make_case()
    with pytest.raises(ValueError, match="does not return the same rows"):
        case.verify(X=Restless(case.X, case.y), y=None, sample_weight=None)


def test_arguments() -> None:
    case = make_case()
    rows = ArraySource(case.X, case.y)
    for given_ in ({"y": case.y, "sample_weight": None}, {"y": None}):
        with pytest.raises(ValueError, match="must be None where X is read"):
            case.verify(X=rows, **given_)
    with pytest.raises(ValueError, match="X must be finite"):
        streamed(replace(case, X=np.full_like(case.X, np.inf)))
    with pytest.raises(TypeError, match="X must hold real numbers"):
        streamed(replace(case, X=case.X.astype(complex)))


class Greedy(ArraySource):
    """Rows of which more come than were asked for."""

    def read(self, start: int, stop: int) -> Any:
        return super().read(max(0, start - 1), stop)


def test_a_source_that_returns_other_rows_than_asked_for_is_refused() -> None:
    """The first chunk is as promised; from the second on there is a row too many."""
    case = make_case()
    with pytest.raises(ValueError, match=r"X\.read\(10, 20\) must return .* of 10 rows"):
        streamed(case, X=Greedy(case.X, case.y, case.sample_weight))


def test_progress_is_told_of_every_pass() -> None:
    case, seen = make_case(), []
    assert streamed(case, progress=lambda done, rows: seen.append((done, rows)))
    assert seen[-1][0] == seen[-1][1] == len(case.X) and NONCE


def test_rows_of_weight_zero_are_committed_to_and_not_counted() -> None:
    case = make_case(weighted=True)
    assert np.any(case.sample_weight == 0.0)
    order = np.random.default_rng(0).permutation(len(case.X))
    parts = [ArraySource(case.X[i], case.y[i], case.sample_weight[i]) for i in np.split(order, [7, 20])]
    assert streamed(case, X=JoinedRows(*parts)).complete


@settings(max_examples=60)
@given(problems_and_points(losses=("logistic", "squared", "poisson", "gamma", *HINGES)))
def test_sums_in_float64_enclose_those_in_balls(case: tuple[Problem, Array]) -> None:
    """On every problem, ill-conditioned and weighted ones too; where nothing is known, they say so."""
    problem, weights = replace(case[0], linear=None), case[1]
    used = problem.weights > 0.0
    rows = (problem.features[used], problem.targets[used], problem.weights[used])
    objective = ArbObjective(problem.loss, *rows, problem.alpha, problem.fit_intercept, weights)
    with ctx.workprec(PRECISION):
        exact, found = objective.moments(), float_moments(objective)
        pairs = list(zip(exact.gradient.entries(), found.gradient.entries(), strict=True))
        pairs += zip(exact.totals + exact.first, found.totals + found.first, strict=True)
        for k in range(objective.shape[1]):
            hessians = objective.hessian(k), float_hessian(objective, k)
            pairs += zip(*(hessian.entries() for hessian in hessians), strict=True)
        assert all(wide.overlaps(narrow) for narrow, wide in pairs)


def test_sums_in_float64_are_narrow_and_honest() -> None:
    """At the scale of the rounding errors the true value lies inside, and the enclosure is not much wider."""
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(5000, 8)), np.where(rng.normal(size=(5000, 1)) > 0.0, 1.0, -1.0)
    objective = ArbObjective("logistic", x, t, np.ones(5000), 1.0, True, rng.normal(size=(9, 1)))
    with ctx.workprec(PRECISION):
        exact, found = objective.moments(), float_moments(objective)
        for narrow, wide in zip(exact.gradient.entries(), found.gradient.entries(), strict=True):
            assert wide.contains(narrow.mid()) and not narrow.overlaps(wide.mid())
            assert float(wide.rad()) < 1e-10
        narrow_hessian, wide_hessian = objective.hessian(0), float_hessian(objective, 0)
        for narrow, wide in zip(narrow_hessian.entries(), wide_hessian.entries(), strict=True):
            assert wide.contains(narrow.mid()) and float(wide.rad()) < 1e-8
