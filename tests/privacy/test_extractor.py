"""Extractor and head together; judged by mechanisms whose divergences are computed exactly, outcome by outcome."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certified.privacy.extractor import feature_delta, feature_epsilon, feature_guarantee, feature_hockey_stick
from certified.privacy.gaussian import gaussian_delta, gaussian_epsilon
from certified.privacy.group import group_guarantee
from tests.privacy.derivatives import check_formula

Array = npt.NDArray[np.float64]
Law = list[mpmath.mpf]


def divergence(first: Law, second: Law, epsilon: mpmath.mpf) -> mpmath.mpf:
    """max over events of P(T) − e^ε Q(T), summed over the outcomes that favour P."""
    return mpmath.fsum(max(mpmath.mpf(0), p - mpmath.exp(epsilon) * q) for p, q in zip(first, second, strict=True))


def both_ways(first: Law, second: Law, epsilon: mpmath.mpf) -> mpmath.mpf:
    return max(divergence(first, second, epsilon), divergence(second, first, epsilon))


def law(weights: Array) -> Law:
    values = [mpmath.mpf(float(w)) for w in weights]
    return [value / mpmath.fsum(values) for value in values]


def above(value: mpmath.mpf) -> float:
    """A float64 not below ``value``."""
    return math.nextafter(float(value), math.inf)


def perturbed(rng: np.random.Generator, weights: Array) -> Array:
    """A law nearby; sometimes an outcome vanishes or appears."""
    new = weights * np.exp(rng.normal(scale=rng.choice([0.1, 0.5]), size=len(weights)))
    spot = rng.integers(1, len(new))
    new[spot] = rng.choice([new[spot], 0.0, 0.02])
    return new


def test_no_pair_of_worlds_exceeds_the_bound() -> None:
    """Claim T11.1: extractors of rows that leave one by one, and heads that depend on the extractor."""
    rng = np.random.default_rng(1)
    nearest = 0.0
    with mpmath.workdps(40):
        for _ in range(150):
            size, outcomes = int(rng.integers(1, 4)), int(rng.integers(2, 5))
            chain = [rng.uniform(0.1, 1.0, outcomes)]
            for _ in range(size):
                chain.append(perturbed(rng, chain[-1]))
            extractors = [law(weights) for weights in chain]
            heads = [(lambda w: (law(w), law(perturbed(rng, w))))(rng.uniform(0.1, 1.0, 3)) for _ in range(outcomes)]
            first, second = (float(v) for v in rng.uniform(0.0, 1.0, 2))
            neighbours = itertools.pairwise(extractors)
            failure = min(1.0, above(max(both_ways(*pair, mpmath.mpf(first)) for pair in neighbours)))
            missed = min(1.0, above(max(both_ways(*head, mpmath.mpf(second)) for head in heads)))
            epsilon, delta = feature_guarantee(first, failure, second, missed, size)
            ours = [p * m for p, (head, _) in zip(extractors[0], heads, strict=True) for m in head]
            theirs = [p * m for p, (_, head) in zip(extractors[-1], heads, strict=True) for m in head]
            truth = both_ways(ours, theirs, mpmath.mpf(epsilon))
            assert truth <= delta
            nearest = max(nearest, float(truth / delta))
    assert nearest > 0.3, "the worlds were too much alike to test anything"


def response(epsilon: float, delta: float) -> tuple[Law, Law]:
    """The pair of laws that are (ε, δ)-indistinguishable and no better."""
    e, d = mpmath.mpf(epsilon), mpmath.mpf(delta)
    likely, rare = (1 - d) / (1 + mpmath.exp(-e)), (1 - d) / (1 + mpmath.exp(e))
    return [d, mpmath.mpf(0), likely, rare], [mpmath.mpf(0), d, rare, likely]


def hockey(x: mpmath.mpf, mu: mpmath.mpf) -> mpmath.mpf:
    """D_x of two unit Gaussians at distance μ, for any real x."""
    if mu == 0:
        return max(mpmath.mpf(0), 1 - mpmath.exp(x))
    return mpmath.ncdf(mu / 2 - x / mu) - mpmath.exp(x) * mpmath.ncdf(-mu / 2 - x / mu)


def together(extractors: tuple[Law, Law], mus: list[float], epsilon: float) -> mpmath.mpf:
    """Exact divergence of an extractor and Gaussian heads at distance μ that depends on it."""
    total = mpmath.mpf(0)
    for p, q, mu in zip(*extractors, mus, strict=True):
        if p > 0:
            total += p * (1 if q == 0 else hockey(mpmath.mpf(epsilon) - mpmath.log(p / q), mpmath.mpf(mu)))
    return total


ORACLE = mpmath.mpf("1e-40")
"""More than the error of 50 digits of the exact divergences here, all of them at most 1."""

settings = st.tuples(
    st.floats(0.0, 3.0), st.one_of(st.just(0.0), st.floats(1e-3, 2.0)), st.floats(0.0, 2.0), st.floats(0.0, 0.9)
)


@given(settings)
def test_the_bounds_are_attained(setting: tuple[float, float, float, float]) -> None:
    """Claim T11.3: with the worst extractor and head, the divergence is the bound."""
    epsilon, mu, first, failure = setting
    with mpmath.workdps(50):
        truth = together(response(first, failure), [mu] * 4, epsilon)
        found = feature_delta(epsilon, mu, first, failure)
        assert truth - ORACLE <= found <= truth * (1 + mpmath.mpf("1e-12")) + mpmath.mpf("1e-15")
        total, delta = feature_guarantee(first, failure, mu, failure / 2)
        extractor, head = response(first, failure), response(mu, failure / 2)
        pair = [[p * m for p in extractor[side] for m in head[side]] for side in (0, 1)]
        exact = divergence(pair[0], pair[1], mpmath.mpf(first) + mpmath.mpf(mu))
        assert exact - ORACLE <= delta <= exact * (1 + mpmath.mpf("1e-12")) + ORACLE
        assert mpmath.mpf(total) >= mpmath.mpf(first) + mpmath.mpf(mu)


def test_no_gaussian_head_exceeds_the_curve() -> None:
    """Claim T11.2, in both directions, with a distance that the extractor decides."""
    rng = np.random.default_rng(2)
    with mpmath.workdps(40):
        for _ in range(300):
            weights = rng.uniform(0.1, 1.0, 4)
            pair = law(weights), law(perturbed(rng, weights))
            first, epsilon = float(rng.uniform(0.0, 1.0)), float(rng.uniform(0.0, 2.0))
            failure = above(both_ways(*pair, mpmath.mpf(first)))
            mus = [float(v) for v in rng.uniform(0.0, 1.0, 4)]
            bound = feature_delta(epsilon, max(mus), first, min(1.0, failure))
            assert together(pair, mus, epsilon) <= bound
            assert together(pair[::-1], mus, epsilon) <= bound


@given(settings, st.integers(1, 5), st.floats(1e-9, 0.5))
def test_the_curve_is_below_the_composition_and_both_below_two_steps(
    setting: tuple[float, float, float, float], size: int, delta: float
) -> None:
    second, mu, first, failure = setting
    missed = gaussian_delta(second, mu, 1.0)
    epsilon, together_ = feature_guarantee(first, failure, second, missed, size)
    assert feature_delta(epsilon, mu, first, failure, size) <= together_ * (1 + 1e-12) + 4 * math.ulp(0.0)
    group, grown = group_guarantee(first, failure, size)
    steps = (missed + math.exp(second) * grown, grown + math.exp(group) * missed)
    assert together_ <= min(steps) * (1 + 1e-12)
    smallest = feature_epsilon(delta, mu, first, failure, size)
    assert smallest == math.inf or feature_delta(smallest, mu, first, failure, size) <= delta
    if smallest < math.inf:
        assert (
            smallest <= (group + gaussian_epsilon((delta - grown) / (1 - grown), mu, 1.0)) * (1 + 1e-9)
            or grown >= delta
        )


@given(st.floats(0.0, 5.0), st.floats(0.0, 1.0), st.floats(0.0, 5.0), st.floats(0.0, 1.0))
def test_composition_is_rounded_up(first: float, failure: float, second: float, missed: float) -> None:
    epsilon, delta = feature_guarantee(first, failure, second, missed)
    assert Fraction(epsilon) >= Fraction(first) + Fraction(second) > Fraction(math.nextafter(epsilon, -1.0))
    exact = 1 - (1 - Fraction(failure)) * (1 - Fraction(missed))
    assert Fraction(delta) >= exact > Fraction(math.nextafter(delta, -1.0))


def test_the_formula_runs_on_floats_balls_and_jax() -> None:
    check_formula(lambda epsilon: feature_hockey_stick(epsilon, 0.0 * epsilon + 0.5, 0.25, 0.125), 0.75)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (feature_guarantee(0.0, 0.0, 1.0, 1e-6, 9), (1.0, 1e-6)),
        (feature_guarantee(math.inf, 1.0, 1.0, 1e-6), (math.inf, 1.0)),
        (feature_guarantee(0.5, 0.0, 0.5, 0.25, 2), (1.5, 0.25)),
        (feature_delta(1.0, 0.0, 0.0, 0.0), 0.0),
        (feature_delta(1.0, 0.0, 1.0, 0.25), 0.25),
        (feature_delta(math.inf, 1.0, 1.0, 0.25), 0.25),
        (feature_delta(math.inf, 1.0, math.inf, 0.25), 0.25),
        (feature_delta(math.inf, math.inf, 1.0, 0.25), 1.0),
        (feature_delta(1e300, 1.0, math.inf, 0.0), 1.0),
        (feature_delta(1.0, 1.0, 1.0, 1.0), 1.0),
        (feature_delta(5.0, math.inf, 0.0, 0.0), 1.0),
        (feature_epsilon(0.25, 0.0, 1.0, 0.25), 1.0),
        (feature_epsilon(0.25, 1.0, 1.0, 0.5), math.inf),
    ],
)
def test_the_edges(found: object, expected: object) -> None:
    assert found == expected


def test_without_an_extractor_it_is_the_head() -> None:
    for epsilon in (0.0, 0.5, 3.0):
        assert feature_delta(epsilon, 0.75, 0.0, 0.0) == gaussian_delta(epsilon, 0.75, 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 0.0, 0.0, 0.0), "epsilon must not be negative"),
        ((1.0, math.nan, 0.0, 0.0), "mu must not be negative or NaN"),
        ((1.0, 1.0, -1.0, 0.0), "extractor_epsilon must not be negative"),
        ((1.0, 1.0, 1.0, 2.0), "extractor_delta must not exceed 1"),
        ((1.0, 1.0, 1.0, 0.0, 0), "size must be at least 1"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        feature_delta(*arguments)  # type: ignore[arg-type]
