"""Wrong inputs and the errors they must lead to: one table for the tests and for ``benchmarks/bad_input.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from certified.data.index import UnknownIdError
from certified.estimators import (
    CertifiedGammaRegressor,
    CertifiedLinearSVC,
    CertifiedLogisticRegression,
    CertifiedPoissonRegressor,
    CertifiedRidge,
)
from certified.removal import TargetNotReachedError
from tests.estimators.reference import REGRESSORS, Model


class Case(NamedTuple):
    """A wrong request, and the exception (its type and a pattern of its message) that must answer it."""

    request: Callable[[Model], object]
    error: type[Exception] | tuple[type[Exception], ...]
    message: str


_rng = np.random.default_rng(40)
X = _rng.normal(size=(12, 2))
Y = np.array(["a", "b", "c"] * 4)
TARGETS = X @ [1.0, -1.0]
COUNTS = np.arange(12.0) % 4
POSITIVE = 1.0 + COUNTS
ROW = [[0.25, -0.5]]
IDS = [*range(11), "last"]
SUBJECTS = [f"person {i % 5}" for i in range(12)]


def logistic() -> CertifiedLogisticRegression:
    """A fitted model without row 0, which was removed."""
    model = CertifiedLogisticRegression().fit(X, Y, ids=IDS, subjects=SUBJECTS)
    model.remove(0)
    return model


def ridge() -> CertifiedRidge:
    """A fitted model without row 0, which was removed."""
    model = CertifiedRidge().fit(X, TARGETS, ids=IDS, subjects=SUBJECTS)
    model.remove(0)
    return model


def svc() -> CertifiedLinearSVC:
    """A fitted model without row 0, which was removed."""
    model = CertifiedLinearSVC().fit(X, Y, ids=IDS, subjects=SUBJECTS)
    model.remove(0)
    return model


def poisson() -> CertifiedPoissonRegressor:
    """A fitted model without row 0, which was removed."""
    model = CertifiedPoissonRegressor().fit(X, COUNTS, ids=IDS, subjects=SUBJECTS)
    model.remove(0)
    return model


def gamma() -> CertifiedGammaRegressor:
    """A fitted model without row 0, which was removed."""
    model = CertifiedGammaRegressor().fit(X, POSITIVE, ids=IDS, subjects=SUBJECTS)
    model.remove(0)
    return model


def _fit(**changes: Any) -> Callable[[Model], object]:
    """Fit again with other data and keep the parameters."""

    def request(model: Model) -> object:
        y = Y if not isinstance(model, REGRESSORS) else TARGETS if isinstance(model, CertifiedRidge) else POSITIVE
        return model.fit(**({"X": X, "y": y} | changes))

    return request


def _refit(**params: Any) -> Callable[[Model], object]:
    """Fit again with other parameters, and give the parameters back."""

    def request(model: Model) -> None:
        before = model.get_params()
        try:
            _fit()(model.set_params(**params))
        finally:
            model.set_params(**before)

    return request


def _with(value: Any, entry: float) -> Any:
    changed = np.array(value, dtype=np.float64)
    changed.flat[0] = entry
    return changed


def _strict_add(model: Model) -> None:
    model.norm_bound = 3.0
    try:
        model.add([[3.0, 4.0]], ["a"])
    finally:
        model.norm_bound = None


ONES = np.ones(12)
DATES = np.array(["2026-01-01", "2026-01-02"] * 6, dtype="datetime64[D]")
MIXED = np.array([1, "a"] * 6, dtype=object)

LOGISTIC: dict[str, Case] = {
    # Parameters
    "C=0": Case(_refit(C=0), ValueError, "C must be positive"),
    "C=-1": Case(_refit(C=-1.0), ValueError, "C must be positive"),
    "C=nan": Case(_refit(C=np.nan), ValueError, "C must be positive and finite"),
    "C=inf": Case(_refit(C=np.inf), ValueError, "C must be positive and finite"),
    "C=1e-310": Case(_refit(C=1e-310), ValueError, "C "),
    "C='1'": Case(_refit(C="1"), TypeError, "C must be a positive number"),
    "C=True": Case(_refit(C=True), TypeError, "C must be a positive number"),
    "epsilon=0": Case(_refit(epsilon=0.0), ValueError, "epsilon must be positive"),
    "epsilon=nan": Case(_refit(epsilon=np.nan), ValueError, "epsilon must be positive"),
    "epsilon=None": Case(_refit(epsilon=None), TypeError, "epsilon must be a positive number"),
    "delta=0": Case(_refit(delta=0.0), ValueError, "delta must be positive"),
    "delta=1": Case(_refit(delta=1.0), ValueError, "delta must be below 1"),
    "noise_std=0": Case(_refit(noise_std=0.0), ValueError, "noise_std must be positive"),
    "noise_std='automatic'": Case(_refit(noise_std="automatic"), ValueError, "noise_std .*'auto'"),
    "noise_std=1e-18": Case(_refit(noise_std=1e-18), TargetNotReachedError, "noise_std.* larger|larger noise_std"),
    "noise_std=5e-324": Case(_refit(noise_std=5e-324), TargetNotReachedError, "noise_std.* larger|larger noise_std"),
    "max_releases=0": Case(_refit(max_releases=0), ValueError, "max_releases must be a positive integer"),
    "max_releases=1.5": Case(_refit(max_releases=1.5), ValueError, "max_releases must be a positive integer"),
    "max_releases=10**400": Case(_refit(max_releases=10**400), ValueError, "max_releases"),
    "l2_scaling='mean'": Case(_refit(l2_scaling="mean"), ValueError, "l2_scaling must be 'total' or 'per_sample'"),
    "fit_intercept='yes'": Case(_refit(fit_intercept="yes"), TypeError, "fit_intercept must be True or False"),
    "norm_bound=-1": Case(_refit(norm_bound=-1.0), ValueError, "norm_bound must be positive"),
    "norm_bound below a row's norm": Case(_refit(norm_bound=0.5), ValueError, "norm_bound.*scale the rows"),
    "random_state=-1": Case(_refit(random_state=-1), ValueError, "random_state"),
    "random_state='seed'": Case(_refit(random_state="seed"), TypeError, "random_state must be None .* or an integer"),
    "assumptions='one text'": Case(
        _refit(assumptions="scaled"), TypeError, "assumptions must be a sequence of strings"
    ),
    "features='public'": Case(_refit(features="public"), TypeError, "features must be None or a Provenance"),
    # Features
    "fit: X holds NaN": Case(_fit(X=_with(X, np.nan)), ValueError, "Input X contains NaN"),
    "fit: X holds infinity": Case(_fit(X=_with(X, np.inf)), ValueError, "Input X contains infinity"),
    "fit: X holds 1e61": Case(_fit(X=_with(X, 1e61)), ValueError, "X holds values beyond .*scale the features"),
    "fit: X holds 1e50": Case(_fit(X=_with(X, 1e50)), TargetNotReachedError, "scale the features"),
    "fit: X is one row": Case(_fit(X=X[1]), ValueError, "2D array.*[Rr]eshape"),
    "fit: X has three dimensions": Case(_fit(X=X[None]), ValueError, "dim 3"),
    "fit: X is empty": Case(_fit(X=X[:0], y=Y[:0]), ValueError, "0 sample"),
    "fit: X has no columns": Case(_fit(X=X[:, :0]), ValueError, "0 feature"),
    "fit: X is sparse": Case(_fit(X=scipy.sparse.csr_matrix(X)), TypeError, "[Ss]parse.*dense"),
    "fit: X is a generator": Case(_fit(X=(row for row in X)), TypeError, "X must be an array.*got a generator"),
    "fit: X is masked": Case(_fit(X=np.ma.masked_less(X, 0.0)), ValueError, "X has masked entries"),
    "fit: X is complex": Case(_fit(X=X + 1j), ValueError, "[Cc]omplex data not supported"),
    "fit: X holds words": Case(_fit(X=[["p", "q"]] * 12), ValueError, "X must hold numbers|string to float"),
    # Labels
    "fit: y is missing": Case(_fit(y=None), ValueError, "y.*None"),
    "fit: y is too short": Case(_fit(y=Y[:5]), ValueError, r"inconsistent numbers of samples: \[12, 5\]"),
    "fit: y is continuous": Case(_fit(y=TARGETS), ValueError, "Unknown label type: continuous"),
    "fit: y has two columns": Case(_fit(y=np.stack([Y, Y], axis=1)), ValueError, "y should be a 1d array"),
    "fit: y holds NaN": Case(_fit(y=_with(ONES, np.nan)), ValueError, "Input y contains NaN"),
    "fit: y holds dates": Case(_fit(y=DATES), (TypeError, ValueError), "y must hold strings|labels.*strings"),
    "fit: y mixes numbers and words": Case(_fit(y=MIXED), ValueError, "Unknown label type"),
    # Sample weights
    "fit: a negative weight": Case(_fit(sample_weight=_with(ONES, -1.0)), ValueError, "sample_weight"),
    "fit: a weight is NaN": Case(_fit(sample_weight=_with(ONES, np.nan)), ValueError, "sample_weight"),
    "fit: a weight of 1e61": Case(_fit(sample_weight=_with(ONES, 1e61)), ValueError, "sample_weight.* 1e\\+60"),
    "fit: too few weights": Case(_fit(sample_weight=ONES[:5]), ValueError, "sample_weight"),
    "fit: all weights zero": Case(_fit(sample_weight=0.0 * ONES), ValueError, "[Ss]ample.weight.*at least one"),
    "fit: all weights 1e-300": Case(_fit(sample_weight=1e-300 * ONES), TargetNotReachedError, "noise_std"),
    # Ids and subjects
    "fit: too few ids": Case(_fit(ids=[1, 2]), ValueError, "ids has 2 entries for 12 rows"),
    "fit: an id twice": Case(_fit(ids=[1, 1, *range(2, 12)]), ValueError, "ids .*an id of its own"),
    "fit: a fractional id": Case(_fit(ids=ONES), TypeError, "ids must be integers or strings; got a float"),
    "fit: too few subjects": Case(_fit(subjects=["p"]), ValueError, "subjects has 1 entries for 12 rows"),
    "fit: a subject is None": Case(_fit(subjects=[None] * 12), TypeError, "subjects must be integers or strings"),
    # Removal
    "remove()": Case(lambda m: m.remove(), ValueError, "exactly one of ids, subjects and labels; got none"),
    "remove: ids and labels": Case(lambda m: m.remove([1], labels="a"), ValueError, "exactly one of .*ids, labels"),
    "remove: an unknown id": Case(lambda m: m.remove(["last", 99]), UnknownIdError, "ids .*99.*ids_"),
    "remove: a removed id": Case(lambda m: m.remove([0]), UnknownIdError, "ids .*already removed.*0.*ids_"),
    "remove: an id of another type": Case(lambda m: m.remove("1"), UnknownIdError, "ids .*'1'"),
    "remove: an id twice": Case(lambda m: m.remove([1, 2, 1]), ValueError, "ids names 1 twice"),
    "remove: no id": Case(lambda m: m.remove([]), ValueError, "ids is empty"),
    "remove: a fractional id": Case(lambda m: m.remove([1.0]), TypeError, "ids must be integers or strings"),
    "remove: a truth value": Case(lambda m: m.remove(X[1:, 0] > 0), TypeError, "ids must be integers or strings"),
    "remove: bytes": Case(lambda m: m.remove(b"\x01\x02"), TypeError, "ids must be .*integers or strings"),
    "remove: a table of ids": Case(lambda m: m.remove([[1, 2]]), TypeError, "ids must be integers or strings"),
    "remove: an unknown subject": Case(lambda m: m.remove(subjects="x"), UnknownIdError, "subjects.*'x'"),
    "remove: a subject twice": Case(
        lambda m: m.remove(subjects=["person 1", "person 1"]), ValueError, "subjects names 'person 1' twice"
    ),
    "remove: no subject": Case(lambda m: m.remove(subjects=[]), ValueError, "subjects is empty"),
    "remove: an unknown label": Case(lambda m: m.remove(labels="d"), UnknownIdError, "labels.*'d'"),
    "remove: a label twice": Case(lambda m: m.remove(labels=["a", "a"]), ValueError, "labels names 'a' twice"),
    "remove: no label": Case(lambda m: m.remove(labels=[]), ValueError, "labels is empty"),
    "remove: label None": Case(lambda m: m.remove(labels=[None]), UnknownIdError, "labels.*None"),
    # Addition
    "add: too many columns": Case(lambda m: m.add([[1.0, 2.0, 3.0]], ["a"]), ValueError, "3 features.*expecting 2"),
    "add: X is one row": Case(lambda m: m.add(X[1], ["a"]), ValueError, "2D array.*[Rr]eshape"),
    "add: X holds NaN": Case(lambda m: m.add([[np.nan, 1.0]], ["a"]), ValueError, "Input X contains NaN"),
    "add: X holds 1e50": Case(lambda m: m.add([[1e50, 1.0]], ["a"]), TargetNotReachedError, "scale the features"),
    "add: X beyond norm_bound": Case(_strict_add, ValueError, "norm_bound.*scale the rows"),
    "add: one label for two rows": Case(lambda m: m.add(X[:2], ["a"]), ValueError, r"inconsistent .*\[2, 1\]"),
    "add: y continuous": Case(lambda m: m.add(ROW, [0.5]), ValueError, "Unknown label type: continuous"),
    "add: y of another type": Case(lambda m: m.add(ROW, [1]), (TypeError, ValueError), "y.*label|label.*y"),
    "add: an id in force": Case(lambda m: m.add(ROW, ["a"], ids=["last"]), ValueError, r"ids: 'last' .*correct\(\)"),
    "add: an id twice": Case(lambda m: m.add(X[:2], Y[:2], ids=[50, 50]), ValueError, "ids names 50 twice"),
    "add: too few ids": Case(lambda m: m.add(X[:2], Y[:2], ids=[50]), ValueError, "ids has 1 entries for 2 rows"),
    "add: a negative weight": Case(lambda m: m.add(ROW, ["a"], sample_weight=[-1.0]), ValueError, "sample_weight"),
    "add: too few subjects": Case(
        lambda m: m.add(X[:2], Y[:2], subjects=["p"]), ValueError, "subjects has 1 entries for 2 rows"
    ),
    "add: no row": Case(lambda m: m.add(X[:0], Y[:0]), ValueError, "0 sample"),
    # Correction
    "correct: an unknown id": Case(lambda m: m.correct([99], ROW, ["a"]), UnknownIdError, "ids .*99.*ids_"),
    "correct: a removed id": Case(lambda m: m.correct([0], ROW, ["a"]), UnknownIdError, "ids .*already removed"),
    "correct: an id twice": Case(lambda m: m.correct([1, 1], X[:2], Y[:2]), ValueError, "ids names 1 twice"),
    "correct: one id for two rows": Case(lambda m: m.correct([1], X[:2], Y[:2]), ValueError, "ids has 1 entries for 2"),
    "correct: too few columns": Case(lambda m: m.correct([1], [[1.0]], ["a"]), ValueError, "1 features.*expecting 2"),
    "correct: X holds infinity": Case(
        lambda m: m.correct([1], [[np.inf, 1]], ["a"]), ValueError, "X contains infinity"
    ),
}

RIDGE: dict[str, Case] = {
    "fit: y holds NaN": Case(_fit(y=_with(TARGETS, np.nan)), ValueError, "Input y contains NaN"),
    "fit: y holds infinity": Case(_fit(y=_with(TARGETS, np.inf)), ValueError, "Input y contains infinity"),
    "fit: y holds 1e61": Case(_fit(y=_with(TARGETS, 1e61)), ValueError, "y holds values beyond .*rescale"),
    "fit: y holds words": Case(_fit(y=Y), ValueError, "must hold numbers.* y |string to float"),
    "fit: y is too short": Case(_fit(y=TARGETS[:5]), ValueError, r"inconsistent numbers of samples: \[12, 5\]"),
    "fit: two targets and too few ids": Case(
        _fit(y=np.stack([TARGETS, TARGETS], axis=1), ids=[1]), ValueError, "ids has 1 entries for 12 rows"
    ),
    "fit: three features and too few ids": Case(
        _fit(X=np.hstack([X, X[:, :1]]), ids=[1]), ValueError, "ids has 1 entries for 12 rows"
    ),
    "fit: noise_std=1e-18": Case(_refit(noise_std=1e-18), TargetNotReachedError, "noise_std.* larger|larger noise_std"),
    "add: two targets": Case(lambda m: m.add(ROW, [[1.0, 2.0]]), ValueError, "y must have the shape .*1 target"),
    "add: a target of 1e61": Case(lambda m: m.add(ROW, [1e61]), ValueError, "y holds values beyond .*rescale"),
    "correct: a column of targets": Case(lambda m: m.correct([1], ROW, [[1.0]]), ValueError, "y must have the shape"),
    "correct: an unknown id": Case(lambda m: m.correct([99], ROW, [1.0]), UnknownIdError, "ids .*99.*ids_"),
    "remove: an unknown target": Case(lambda m: m.remove(labels=123.0), UnknownIdError, "labels.*123"),
}

SVC: dict[str, Case] = {
    "width=0": Case(_refit(width=0.0), ValueError, "width must be a power of two"),
    "width=0.3": Case(_refit(width=0.3), ValueError, "width must be a power of two from 2.*to 1; got 0.3"),
    "width=2": Case(_refit(width=2), ValueError, "width must be a power of two"),
    "width=2**-11": Case(_refit(width=2.0**-11), ValueError, "width must be a power of two"),
    "width=nan": Case(_refit(width=np.nan), ValueError, "width must be a power of two"),
    "width=True": Case(_refit(width=True), TypeError, "width must be a number"),
    "width='half'": Case(_refit(width="half"), TypeError, "width must be a number"),
    "C=0": Case(_refit(C=0), ValueError, "C must be positive"),
    "noise_std=1e-18": Case(_refit(noise_std=1e-18), TargetNotReachedError, "noise_std.* larger|larger noise_std"),
    "fit: X holds 1e50": Case(_fit(X=_with(X, 1e50)), TargetNotReachedError, "scale the features"),
    "fit: y is continuous": Case(_fit(y=TARGETS), ValueError, "Unknown label type: continuous"),
    "add: y of another type": Case(lambda m: m.add(ROW, [1]), (TypeError, ValueError), "y.*label|label.*y"),
}

LOG_LINK: dict[str, Case] = {
    "fit: y holds NaN": Case(_fit(y=_with(POSITIVE, np.nan)), ValueError, "Input y contains NaN"),
    "fit: y holds 1e16": Case(_fit(y=_with(POSITIVE, 1e16)), ValueError, "y holds values beyond .*larger unit"),
    "fit: y holds a negative number": Case(_fit(y=_with(POSITIVE, -1.0)), ValueError, "y .*correct or leave out"),
    "fit: y is zero": Case(_fit(y=0.0 * POSITIVE), ValueError, "y is zero in every row.*fit_intercept|y must be pos"),
    "fit: y holds words": Case(_fit(y=Y), ValueError, "must hold numbers.* y |string to float"),
    "fit: y has two columns": Case(_fit(y=np.stack([POSITIVE, POSITIVE], axis=1)), ValueError, "y should be a 1d arr"),
    "fit: X holds 1e50": Case(_fit(X=_with(X, 1e50)), TargetNotReachedError, "scale the features"),
    "fit: noise_std=1e-18": Case(_refit(noise_std=1e-18), TargetNotReachedError, "noise_std.* larger|larger noise_std"),
    "add: a negative target": Case(lambda m: m.add(ROW, [-0.5]), ValueError, "y .*correct or leave out"),
    "add: X holds 1e50": Case(lambda m: m.add([[1e50, 1.0]], [1.0]), TargetNotReachedError, "scale the features"),
    "add: X holds 1e61": Case(lambda m: m.add([[1e61, 1.0]], [1.0]), ValueError, "X holds values .*scale the features"),
    "correct: a target of infinity": Case(lambda m: m.correct([1], ROW, [np.inf]), ValueError, "y contains infinity"),
}

GAMMA: dict[str, Case] = LOG_LINK | {
    "fit: a target is zero": Case(_fit(y=_with(POSITIVE, 0.0)), ValueError, "y must be positive.*leave out"),
    "fit: y holds 1e-16": Case(_fit(y=_with(POSITIVE, 1e-16)), ValueError, "y holds values below .*smaller unit"),
    "add: a target of zero": Case(lambda m: m.add(ROW, [0.0]), ValueError, "y must be positive.*leave out"),
}
