"""What a model should be, worked out anew from a plain table of rows: the yardstick of the estimator tests."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import arb

from certified.certificates.certificate import Certificate
from certified.estimators import (
    CertifiedGammaRegressor,
    CertifiedLinearSVC,
    CertifiedLogisticRegression,
    CertifiedPoissonRegressor,
    CertifiedRidge,
)
from tests.oracle import Minimiser, Problem, minimise

Array = npt.NDArray[np.float64]
Model = (
    CertifiedLogisticRegression
    | CertifiedLinearSVC
    | CertifiedRidge
    | CertifiedPoissonRegressor
    | CertifiedGammaRegressor
)
REGRESSORS = CertifiedRidge, CertifiedPoissonRegressor, CertifiedGammaRegressor


@dataclass(frozen=True)
class Row:
    """One training row: features, label (a tuple for several targets), sample weight."""

    features: tuple[float, ...]
    label: Any
    weight: float = 1.0


@dataclass
class Reference:
    """The rows that should be in force, by id, and what exact retraining on them alone gives."""

    model: Model
    rows: dict[int | str, Row]
    removed_total: int = 0
    seen: list[Certificate] = field(default_factory=list)

    @classmethod
    def fitted(cls, model: Model, rows: dict[int | str, Row], **kwargs: Any) -> Reference:
        """Fit ``model`` on ``rows`` and check the result."""
        model.fit(*arrays(rows.values()), ids=list(rows), **kwargs)
        reference = cls(model, dict(rows))
        reference.check(model.certificate_, "fit", removed=0, added=len(rows))
        return reference

    def remove(self, ids: Sequence[int | str], **request: Any) -> Certificate:
        """Remove rows, by ``request`` if given, and check the result."""
        certificate = self.model.remove(**(request or {"ids": list(ids)}))
        for key in ids:
            del self.rows[key]
        return self.check(certificate, "remove", removed=len(ids), added=0)

    def add(self, rows: dict[int | str, Row], **kwargs: Any) -> Certificate:
        """Add rows and check the result."""
        certificate = self.model.add(*arrays(rows.values()), ids=list(rows), **kwargs)
        self.rows |= rows
        return self.check(certificate, "add", removed=0, added=len(rows))

    def correct(self, rows: dict[int | str, Row]) -> Certificate:
        """Correct rows and check the result."""
        certificate = self.model.correct(list(rows), *arrays(rows.values()))
        self.rows |= rows
        return self.check(certificate, "correct", removed=len(rows), added=len(rows))

    def release(self) -> Certificate:
        """Release once more and check the result."""
        return self.check(self.model.release(), "release", removed=0, added=0)

    @property
    def classes(self) -> list[Any]:
        if isinstance(self.model, REGRESSORS):
            return []
        return sorted({row.label for row in self.rows.values() if row.weight > 0.0})

    @property
    def targets(self) -> Array:
        """(n, K): ±1 one-vs-rest, the second of two classes being +1, or the real targets."""
        labels = [row.label for row in self.rows.values()]
        if isinstance(self.model, REGRESSORS):
            return np.array(labels, dtype=np.float64).reshape(len(labels), self.model.certificate_.n_outputs)
        heads = {0: [], 1: [], 2: self.classes[1:]}.get(len(self.classes), self.classes)
        return np.array([[1.0 if label == head else -1.0 for head in heads] for label in labels]).reshape(
            len(labels), len(heads)
        )

    @property
    def alpha(self) -> float:
        total = math.fsum(row.weight for row in self.rows.values())
        return (1.0 / self.model.C) * total if self.model.l2_scaling == "per_sample" else 1.0 / self.model.C

    def minimiser(self, start: Array) -> Minimiser:
        """Exact retraining on the remaining rows, enclosed."""
        loss = {
            CertifiedRidge: "squared",
            CertifiedLogisticRegression: "logistic",
            CertifiedPoissonRegressor: "poisson",
            CertifiedGammaRegressor: "gamma",
        }.get(type(self.model)) or f"huberised_hinge/{self.model.width}"
        X, _, weights = arrays(self.rows.values())
        problem = Problem(loss, X, self.targets, weights, self.alpha, fit_intercept=self.model.fit_intercept)
        return minimise(problem, start)

    def check(self, certificate: Certificate, event: str, *, removed: int, added: int) -> Certificate:
        """Assert everything that the model and its certificate say about the rows in force."""
        self.removed_total += removed
        self._check_counts(certificate, event, removed, added)
        self._check_privacy(certificate)
        self._check_commitments(certificate)
        self._check_distance(certificate)
        self._check_attributes(certificate)
        self._check_erasure()
        self.seen.append(certificate)
        return certificate

    def _check_counts(self, certificate: Certificate, event: str, removed: int, added: int) -> None:
        assert certificate is self.model.certificate_
        assert (certificate.event, certificate.removed_count, certificate.added_count) == (event, removed, added)
        assert certificate.removed_total == self.removed_total
        assert certificate.remaining_count == len(self.rows)
        assert certificate.alpha == self.alpha
        assert list(certificate.classes) == self.classes
        assert (certificate.n_features, certificate.n_outputs) == (self.model.n_features_in_, self.targets.shape[1])
        for row in self.rows.values():
            if row.weight > 0.0:
                square = sum((Fraction(x) ** 2 for x in row.features), Fraction(int(self.model.fit_intercept)))
                assert square <= Fraction(certificate.row_norm_bound) ** 2

    def _check_privacy(self, certificate: Certificate) -> None:
        before = self.seen[-1].mu if self.seen else 0.0
        assert certificate.mu_before == before
        assert certificate.releases == len(self.seen) + 1
        assert certificate.distance_bound <= certificate.distance_target
        share = Fraction(certificate.distance_bound) / Fraction(certificate.noise_std)
        composed = Fraction(before) ** 2 + share**2
        assert composed <= Fraction(certificate.mu) ** 2
        assert math.isclose(certificate.mu, math.hypot(before, share), rel_tol=1e-14, abs_tol=1e-300)

    def _check_commitments(self, certificate: Certificate) -> None:
        secrets = self.model.audit_bundle()
        salt = bytes.fromhex(certificate.salt)
        assert certificate.rows_commitment == commitment(secrets.nonce, salt, self.rows.values())
        assert certificate.released_commitment == weights_hash(b"", secrets.released)
        assert certificate.weights_commitment == weights_hash(secrets.nonce, secrets.weights)

    def _check_distance(self, certificate: Certificate) -> None:
        weights = self.model.audit_bundle().weights
        if weights.shape[1] == 0 or not any(row.weight > 0.0 for row in self.rows.values()):
            assert not weights.any()
            assert certificate.distance_claim == "T0"
            return
        distance = self.minimiser(weights).distance(weights)
        assert distance.rad() < 1e-20
        assert not distance > arb(certificate.distance_bound)

    def _check_attributes(self, certificate: Certificate) -> None:
        model, d = self.model, certificate.n_features
        secrets = model.audit_bundle()
        assert sorted(map(repr, model.ids_.tolist())) == sorted(map(repr, self.rows))
        assert secrets.released.shape == secrets.weights.shape == (d + model.fit_intercept, certificate.n_outputs)
        # Noise of σ per weight: equal numbers would be noise-free weights.
        assert not np.any(secrets.released == secrets.weights)
        coef = np.atleast_2d(model.coef_) if certificate.n_outputs else model.coef_
        assert np.array_equal(coef, secrets.released[:d].T)
        intercept = secrets.released[d] if model.fit_intercept else np.zeros(certificate.n_outputs)
        assert np.array_equal(np.ravel(model.intercept_), intercept)
        if not isinstance(model, REGRESSORS):
            assert model.classes_.tolist() == self.classes

    def _check_erasure(self) -> None:
        """The device arrays hold the rows in force, zeros elsewhere, and nothing of any other row."""
        rows = self.model._session.state.objective.rows
        features = np.asarray(rows.features).reshape(-1, rows.n_features)
        held = Counter(row.features for row in self.rows.values())
        spare = len(features) - len(self.rows)
        assert Counter(map(tuple, features.tolist())) == held + Counter({(0.0,) * rows.n_features: spare})
        empty = ~features.any(axis=1)
        if (0.0,) * rows.n_features not in held:
            assert not np.asarray(rows.weights).reshape(-1)[empty].any()
            assert not np.asarray(rows.norms).reshape(-1)[empty].any()
            assert not np.asarray(rows.targets).reshape(len(features), -1)[empty].any()


def arrays(rows: Iterable[Row]) -> tuple[Array, npt.NDArray[Any], Array]:
    """Features (n, d), labels (n,) or (n, K) and sample weights (n,)."""
    table = list(rows)
    features = np.array([row.features for row in table], dtype=np.float64)
    return features, np.array([row.label for row in table]), np.array([row.weight for row in table])


def table(
    features: Array, labels: Sequence[Any] | npt.NDArray[Any], weights: Array | None = None
) -> dict[int | str, Row]:
    """Rows numbered from 0."""
    c = np.ones(len(features)) if weights is None else weights
    listed = np.asarray(labels).tolist()
    plain = [tuple(label) if isinstance(label, list) else label for label in listed]
    return {
        i: Row(tuple(x), label, weight)
        for i, (x, label, weight) in enumerate(zip(features.tolist(), plain, c.tolist(), strict=True))
    }


def commitment(nonce: bytes, salt: bytes, rows: Iterable[Row]) -> str:
    """SHA-256 of nonce ‖ sorted SHA-256(salt ‖ x ‖ c ‖ JSON(label)), as the certificate describes it."""
    digests = sorted(
        hashlib.sha256(
            salt + np.array([*row.features, row.weight], dtype="<f8").tobytes() + json.dumps(row.label).encode()
        ).digest()
        for row in rows
    )
    return hashlib.sha256(nonce + b"".join(digests)).hexdigest()


def weights_hash(nonce: bytes, weights: Array) -> str:
    """SHA-256(nonce ‖ shape ‖ weights), little-endian float64."""
    values = np.ascontiguousarray(weights, dtype="<f8")
    return hashlib.sha256(nonce + json.dumps(values.shape).encode() + values.tobytes()).hexdigest()


def snapshot(value: Any, depth: int = 0) -> Hashable:
    """Everything reachable from ``value`` as a hashable: equal exactly where the state is equal bit for bit."""
    assert depth < 20
    if value is None or isinstance(value, bool | int | str | bytes):
        return type(value).__name__, value
    if isinstance(value, float):
        return "float", value.hex()
    if isinstance(value, dict):
        return "dict", tuple(sorted((repr(k), snapshot(v, depth + 1)) for k, v in value.items()))
    if isinstance(value, set | frozenset):
        return "set", tuple(sorted(repr(k) for k in value))
    if isinstance(value, list | tuple):
        return type(value).__name__, tuple(snapshot(v, depth + 1) for v in value)
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        content = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
        return "array", array.shape, str(array.dtype), content
    # The fields of a dataclass alone: cached properties are computed from them.
    names = [f.name for f in fields(value)] if is_dataclass(value) else sorted(vars(value))
    return type(value).__name__, tuple((name, snapshot(getattr(value, name), depth + 1)) for name in names)


def told(text: str, values: Array, digits: int = 9) -> list[float]:
    """The values whose leading ``digits`` stand in ``text``, wherever the decimal point is."""
    plain = text.replace(".", "")
    return [v for v in np.ravel(values).tolist() if f"{abs(v):.16e}".replace(".", "")[:digits] in plain]
