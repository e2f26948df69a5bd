"""Attack on the default mechanism: can releases after a deletion be told from releases of exact retraining?

Each run of M trains, deletes and releases; each run of A releases exact retraining with the same noise. The best
test between them is linear along w − w* (Neyman–Pearson). A lower confidence bound on its ε must stay below the
certified ε. False alarms are far rarer than 0.1 %: at these sample sizes the bound stays well below the true ε.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from flint import arb

from certified.audit import epsilon_lower_bound
from certified.bounds.distance import certify_distance
from certified.estimators import CertifiedLogisticRegression, CertifiedRidge
from certified.numerics.balls import lower, upper
from certified.privacy.noise import release_gaussian
from tests.estimators.reference import Model, Reference, table

Array = npt.NDArray[np.float64]

EPSILON, DELTA = 2.0, 1e-3
RUNS = 2000
rng = np.random.default_rng(100)
FEATURES = rng.normal(size=(40, 2))
SCORES = FEATURES @ [1.0, -1.0] + rng.normal(size=40)
GONE = list(range(8))


@dataclass
class Instance:
    """A model after a deletion, with the exact minimiser on its remaining rows."""

    model: Model
    retrained: Array
    distance: arb

    @classmethod
    def after_deletion(cls, kind: str, *, noise_std: float, releases: int) -> Instance:
        """Train with a coarse guarantee, so that the certified distance matters, and delete rows."""
        params = {"epsilon": EPSILON, "delta": DELTA, "noise_std": noise_std, "max_releases": releases}
        if kind == "ridge":
            model: Model = CertifiedRidge(fit_intercept=False, **params)
            rows = table(FEATURES, SCORES)
        else:
            model = CertifiedLogisticRegression(**params)
            rows = table(FEATURES, (SCORES > 0).astype(int))
        reference = Reference.fitted(model, rows)
        reference.remove(GONE)
        return cls.of(model, reference)

    @classmethod
    def of(cls, model: Model, reference: Reference) -> Instance:
        minimiser = reference.minimiser(model.audit_bundle().weights)
        return cls(model, minimiser.nearest, minimiser.distance(model.audit_bundle().weights))

    def displaced(self, share: float) -> Instance:
        """The model, budget unspent, at the farthest point in the flattest direction certified in ``share`` targets.

        A share above 1 forges the bound that the target demands, as a broken certificate would.
        """
        session = self.model._session
        session.budget = replace(session.budget, mu_spent=0.0)
        objective, target = session.state.objective, session.budget.target
        linearisation = session.state.linearisation
        hessian = linearisation.data_hessians[0].value + np.diagflat(linearisation.penalty)
        flattest = np.linalg.eigh(hessian)[1][:, :1]
        length = share * target
        while True:
            weights = self.retrained + length * flattest
            bound = certify_distance(objective, weights)
            if bound.value <= share * target:
                break
            length *= 0.98
        bound = replace(bound, value=min(bound.value, target))
        session.state = replace(session.state, weights=weights, bound=bound)
        distance = (arb(0) + sum(arb(float(x)) ** 2 for x in (weights - self.retrained).ravel())).sqrt()
        return Instance(self.model, self.retrained, distance)

    def scores(self, releases: int) -> tuple[Array, Array]:
        """Test statistics of runs of M and of A, ``releases`` releases each: their sum along w − w*."""
        session = self.model._session
        opened, sigma = session.budget, session.budget.noise_std
        along = session.state.weights - self.retrained
        along = along / np.linalg.norm(along)
        ours, theirs = np.zeros(RUNS), np.zeros(RUNS)
        for run in range(RUNS):
            session.budget = opened  # Every run is the same mechanism from the start.
            for _ in range(releases):
                self.model.release()
                ours[run] += np.sum((self.model.audit_bundle().released - self.retrained) * along)
                theirs[run] += np.sum((release_gaussian(self.retrained, sigma) - self.retrained) * along)
        return ours, theirs


def exact_delta(mu: float) -> float:
    """H_μ(ε) by multi-precision arithmetic, written down anew."""
    with mpmath.workdps(50):
        m, e = mpmath.mpf(mu), mpmath.mpf(EPSILON)
        return float(mpmath.ncdf(m / 2 - e / m) - mpmath.exp(e) * mpmath.ncdf(-m / 2 - e / m))


@pytest.mark.parametrize("kind", ["logistic", pytest.param("ridge", marks=pytest.mark.slow)])
@pytest.mark.parametrize("noise_std", [1e-8, 1e-4, 0.1, 10.0])
def test_the_exact_privacy_loss_is_certified(kind: str, noise_std: float) -> None:
    """No sampling: μ = ‖w − w*‖/σ gives the exact δ(ε), after each of several releases."""
    instance = Instance.after_deletion(kind, noise_std=noise_std, releases=6)
    certificate = instance.model.certificate_
    for _ in range(4):
        assert lower(instance.distance) <= certificate.distance_bound
        # The deleted rows' releases so far are those since the deletion.
        released = certificate.releases - 1
        mu = upper(instance.distance) / noise_std * released**0.5
        assert mu <= certificate.mu
        assert mu == 0.0 or exact_delta(mu) <= DELTA
        certificate = instance.model.release()


@pytest.mark.parametrize("kind", ["logistic", pytest.param("ridge", marks=pytest.mark.slow)])
def test_the_certificate_is_tight_for_the_worst_accepted_state(kind: str) -> None:
    instance = Instance.after_deletion(kind, noise_std=1e-3, releases=1).displaced(1.0)
    certificate = instance.model.release()
    assert 0.9 * certificate.distance_bound < lower(instance.distance)
    assert upper(instance.distance) <= certificate.distance_bound
    mu = upper(instance.distance) / certificate.noise_std
    assert 0.3 * exact_delta(certificate.mu) < exact_delta(mu) <= exact_delta(certificate.mu) <= DELTA


@pytest.mark.parametrize("releases", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_no_attack_beats_the_certificate_of_a_deletion(releases: int) -> None:
    """The state as the mechanism leaves it: one Newton step was near enough for this much noise."""
    instance = Instance.after_deletion("logistic", noise_std=0.1, releases=releases + 2)
    ours, theirs = instance.scores(releases)
    assert epsilon_lower_bound(ours, theirs, DELTA) <= EPSILON


@pytest.mark.parametrize("releases", [5, pytest.param(8, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["logistic", pytest.param("ridge", marks=pytest.mark.slow)])
def test_no_attack_beats_the_certificate_of_the_worst_accepted_state(kind: str, releases: int) -> None:
    """Wherever the weights came from: as far from retraining as the certificate accepts; the attack sees them."""
    instance = Instance.after_deletion(kind, noise_std=1e-3, releases=releases)
    ours, theirs = instance.displaced(1.0).scores(releases)
    assert 0.0 < epsilon_lower_bound(ours, theirs, DELTA) <= EPSILON
    assert instance.model.certificate_.mu <= instance.model._session.budget.mu_total


def test_the_attack_convicts_a_forged_certificate() -> None:
    """Six times too far from retraining, under a certificate that denies it."""
    instance = Instance.after_deletion("logistic", noise_std=1e-3, releases=1)
    ours, theirs = instance.displaced(6.0).scores(1)
    assert epsilon_lower_bound(ours, theirs, DELTA) > EPSILON
