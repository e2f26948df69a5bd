"""Groups: the tight bound against dp-accounting's mixture of Gaussians, and never above the generic one."""

from __future__ import annotations

import math

import pytest
from dp_accounting.pld.privacy_loss_distribution import from_mixture_gaussian_mechanism

from certified.accounting import Relation, SubsampledGaussian, dp_epsilon, generic_group_epsilon, group_epsilons

STEPS = [SubsampledGaussian(1.0, 0.0171, 600)]


def test_tight_for_groups() -> None:
    found = group_epsilons(1e-5, STEPS, [2, 10], relation=Relation.add_or_remove)
    assert [round(epsilon, 2) for epsilon in found.values()] == [5.61, 41.16]
    probabilities = [math.comb(2, i) * 0.0171**i * (1 - 0.0171) ** (2 - i) for i in range(3)]
    other = from_mixture_gaussian_mechanism(1.0, [0.0, 1.0, 2.0], probabilities, value_discretization_interval=2e-3)
    assert found[2] == pytest.approx(other.self_compose(600).get_epsilon_for_delta(1e-5), rel=1e-3)


@pytest.mark.slow
def test_the_generic_bound_is_looser() -> None:
    few = [SubsampledGaussian(1.0, 0.05, 10)]
    tight = dp_epsilon(1e-5, few, relation=Relation.add_or_remove, rows=2)
    generic = generic_group_epsilon(1e-5, few, 2, relation=Relation.add_or_remove)
    assert 1.02 * tight < generic < 2.0 * tight


def test_where_the_generic_bound_says_nothing() -> None:
    loud = [SubsampledGaussian(0.3, 0.5, 100)]
    assert generic_group_epsilon(1e-5, loud, 20, relation=Relation.add_or_remove) == math.inf
