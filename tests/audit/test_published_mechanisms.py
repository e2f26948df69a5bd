"""Published mechanisms whose claims are believed: the exact privacy of what they leave stays within what they claim.

Descent-to-delete and noisy descent, whose release is no Gaussian around one point, are attacked by sampling beside
their other tests, in tests/removal/published.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from certified.audit import audit_instance
from certified.removal.published.protocol import Mechanism, MechanismState
from certified.removal.published.sekhari import Sekhari
from certified.removal.published.smoothed_perturbation import SmoothedPerturbation
from tests.removal.published.problems import Data, data, seeded

DELTA = 1e-4
GONE = [1, 5, 12]


def sekhari() -> Mechanism[MechanismState]:
    return Sekhari(epsilon=0.5, delta=DELTA, capacity=3)


def smoothed() -> Mechanism[MechanismState]:
    return SmoothedPerturbation(1.0, DELTA, noise_std=0.05, perturbation_std=2.0)


@pytest.mark.parametrize("problem", [data(n=30, strength=0.3, seed=seed) for seed in range(4)])
@pytest.mark.parametrize("make", [sekhari, smoothed])
def test_the_exact_delta_is_within_the_claim(make: Callable[[], Mechanism[MechanismState]], problem: Data) -> None:
    """Given the perturbation, if there is one, both worlds release Gaussians: the audit is exact."""
    mechanism = make()
    start = mechanism.initialise(problem.objective(), seeded(0))
    state = mechanism.remove(start, *problem.request(problem.objective(), GONE), seeded(1))
    found = audit_instance(state.objective, state.weights, state.claim.noise_std)
    assert found.delta(state.claim.epsilon)[1] <= state.claim.delta


def test_a_model_that_was_not_updated_is_convicted() -> None:
    problem, mechanism = data(n=30, strength=0.3), smoothed()
    start = mechanism.initialise(problem.objective(), seeded(0))
    state = mechanism.remove(start, *problem.request(problem.objective(), GONE), seeded(1))
    found = audit_instance(state.objective, start.weights, state.claim.noise_std)
    assert found.delta(state.claim.epsilon)[0] > state.claim.delta
