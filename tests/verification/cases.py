"""Genuine certificates with the evidence for them, made by the library on small data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from certified.bounds.distance import certify_distance
from certified.certificates.certificate import Certificate
from certified.certificates.commitment import row_digests, rows_commitment
from certified.certificates.issue import Event, issue
from certified.data.rows import Rows
from certified.losses import SOFTMAX
from certified.numerics.balls import exact, upper
from certified.objective import Objective
from certified.privacy.budget import ReleaseBudget
from certified.privacy.composition import compose_gaussian
from certified.privacy.noise import idealized_gaussian, release_gaussian
from certified.removal import RemovalState, ledger_step, newton
from certified.verification.report import VerificationReport
from certified.verification.verify import verify
from tests.strategies import LOSSES

Array = npt.NDArray[np.float64]

SALT, NONCE = bytes(range(16)), bytes(range(32))
REMOVED = 2
TARGET = 1e-8


@dataclass(frozen=True)
class Case:
    """A certificate, the rows in force and the secrets of its release."""

    certificate: Certificate
    X: Array
    y: npt.NDArray[Any]
    weights: Array
    sample_weight: Array
    released: Array

    def verify(self, **changes: Any) -> VerificationReport:
        """Verify with everything given, but for ``changes``."""
        given: dict[str, Any] = {"nonce": NONCE, **vars(self), **changes}
        return verify(given.pop("certificate"), given.pop("X"), given.pop("y"), given.pop("weights"), **given)

    def with_certificate(self, **changes: Any) -> Case:
        """The case with some fields of its certificate altered, and a digest that fits them."""
        return replace(self, certificate=replace(self.certificate, **changes))


@cache
def make_case(
    loss: str = "logistic",
    *,
    n: int = 60,
    classes: tuple[Any, ...] = (0, 1),
    targets: int | None = None,
    weighted: bool = False,
    fit_intercept: bool = False,
    l2_scaling: str = "total",
    l2_strength: float = 0.5,
    noise: str = "rounded_gaussian",
    max_releases: int = 1,
    removal: bool = True,
    ledger: bool = False,
    target: float = TARGET,
    sharpened: bool = False,
    shift: float = 0.0,
    noise_std: float = 1e-3,
    seed: int = 0,
) -> Case:
    """Train, release, remove `REMOVED` rows and release again; the case is that of the last release.

    ``ledger`` deletes by the ledger step, certified by T6. ``sharpened`` certifies by every claim that
    applies; ``shift`` moves the weights away from the minimiser first.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    weights = np.where(np.arange(n) % 7 == 3, 0.0, rng.uniform(0.5, 2.0, n)) if weighted else np.ones(n)
    if loss == "squared":
        y: npt.NDArray[Any] = X @ rng.normal(size=(3, targets or 1)) + rng.normal(size=(n, targets or 1))
        y = y if targets else y[:, 0]
        signs, classes = y.reshape(n, -1), ()
    elif loss in ("poisson", "gamma"):
        mean = np.exp(0.5 * X @ rng.normal(size=3))
        y = rng.poisson(mean).astype(np.float64) if loss == "poisson" else rng.gamma(2.0, mean)
        signs, classes = y[:, None], ()
    else:
        scores = X @ rng.normal(size=(3, len(classes))) + rng.normal(size=(n, len(classes)))
        y = np.array(classes)[scores.argmax(axis=1)]
        classes = tuple(np.unique(y[weights > 0.0]).tolist())
        positive = classes[1:] if len(classes) == 2 else classes * (len(classes) > 2)
        positive = classes if loss == "softmax" else positive
        signs = np.where(y[:, None] == np.array(positive, dtype=y.dtype)[None, :], 1.0, -1.0)
        signs = np.maximum(signs, 0.0) if loss == "softmax" else signs

    def alpha(c: Array) -> float:
        return l2_strength * (math.fsum(c) if l2_scaling == "per_sample" else 1.0)

    rows = Rows.from_arrays(X, signs, weights)
    objective = Objective({**LOSSES, "softmax": SOFTMAX}[loss], rows, alpha(weights), fit_intercept)
    budget = ReleaseBudget.create(1.0, 1e-6, noise_std, max_releases)
    mechanism = ledger_step if ledger else newton
    state: RemovalState = mechanism.initialise(objective, target)[0]
    kind, removed, added = "fit", 0, n
    if removal:
        budget = budget.spend(state.bound.value)
        out = np.arange(REMOVED)
        X, y, weights = X[REMOVED:], y[REMOVED:], weights[REMOVED:]
        objective = replace(objective, rows=rows.without(out), alpha=alpha(weights))
        state = mechanism.update(state, objective, target, removed=rows.take(out))[0]
        kind, removed, added = "remove", REMOVED, 0
    point, bound = state.weights, state.bound
    if shift:
        direction = rng.normal(size=point.shape)
        point = point + shift * direction / np.linalg.norm(direction)
    if sharpened or shift:
        bound = certify_distance(objective, point)
    exactly = noise == "rounded_gaussian"
    released = release_gaussian(point, noise_std) if exactly else idealized_gaussian(point, noise_std, 1)
    labels = [tuple(v) if isinstance(v, list) else v for v in y.tolist()]
    event = Event(
        kind=kind,
        removed=removed,
        added=added,
        removed_total=removed,
        remaining=len(X),
        classes=classes if len(X) else (),
        rows_commitment=rows_commitment(NONCE, row_digests(SALT, X, labels, weights)),
        salt=SALT,
        assumptions=("the features were chosen before these rows were collected",),
    )
    certificate = issue(
        event,
        objective,
        bound,
        budget,
        l2_scaling=l2_scaling,
        l2_strength=l2_strength,
        noise=noise,
        released=released,
        weights=point,
        nonce=NONCE,
    )
    return Case(certificate, X, y, point, weights, released)


def restated(case: Case, **bound: Any) -> Case:
    """The case under another claimed bound, with every other field as the library would state it then."""
    c = case.certificate
    spent = compose_gaussian([c.mu_before, upper(exact(bound["distance_bound"]) / exact(c.noise_std))])
    return case.with_certificate(**bound, mu=spent)
