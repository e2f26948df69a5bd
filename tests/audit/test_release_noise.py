"""The noise that really left: released minus internal weights over many releases of one state."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from certified.estimators import CertifiedLogisticRegression

Array = npt.NDArray[np.float64]

RELEASES = 2000
LEVEL = 1e-8
"""Each test fails on sound noise with this probability."""
SIGMAS = float(stats.norm.isf(LEVEL / 2))


@pytest.fixture(scope="module")
def noise() -> Array:
    """(releases, weights) in units of σ, from the operating system's entropy."""
    rng = np.random.default_rng(90)
    X = rng.normal(size=(30, 2))
    model = CertifiedLogisticRegression(max_releases=2 * RELEASES).fit(
        X, np.where(X[:, 0] + rng.normal(size=30) > 0, "yes", "no")
    )
    model.remove([0, 1])
    center, seen = model.audit_bundle().weights, []
    for _ in range(RELEASES):
        certificate = model.release()
        seen.append(((model.audit_bundle().released - center) / certificate.noise_std).ravel())
    assert certificate.releases == RELEASES + 2
    return np.array(seen)


def test_it_is_gaussian(noise: Array) -> None:
    assert stats.kstest(noise.ravel(), "norm").pvalue > LEVEL


def test_every_weight_has_the_stated_deviation(noise: Array) -> None:
    mean, variance = noise.mean(axis=0), noise.var(axis=0)
    assert np.all(np.abs(mean) < SIGMAS / np.sqrt(RELEASES))
    low, high = stats.chi2.ppf([LEVEL / 2, 1 - LEVEL / 2], RELEASES) / RELEASES
    assert np.all((low < variance) & (variance < high))


def test_weights_and_releases_are_independent(noise: Array) -> None:
    n, p = noise.shape
    between = [np.mean(noise[:, i] * noise[:, j]) for i in range(p) for j in range(i)]
    successive = [np.mean(noise[1:, i] * noise[:-1, j]) for i in range(p) for j in range(p)]
    assert np.all(np.abs([*between, *successive]) < SIGMAS / np.sqrt(n - 1))


def test_the_tails_are_there(noise: Array) -> None:
    """6,000 draws: beyond 3σ 16 are expected; fewer than 1 or more than 50 has probability below 1e-6."""
    beyond = int(np.sum(np.abs(noise) > 3.0))
    assert 1 <= beyond <= 50


def test_no_value_comes_twice(noise: Array) -> None:
    assert len(np.unique(noise)) > 0.999 * noise.size
