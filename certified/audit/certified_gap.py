"""Proofs by ball arithmetic that a claimed (ε, δ) of objective perturbation is false (claim T8).

Two things are proved of a ``ScalarDeletion``, for the very floats it holds: that the residual, or the published bound
on it, never exceeds a number ε' where |b| ≤ cutoff·σ; and that some set of releases has P − e^ε Q > δ. Both rest on
enclosures over intervals of the trained weight t, which are halved until the answer is certain. The formulas are those
of ``certified.audit.objective_perturbation``, written down anew.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from flint import arb, arb_series

from certified.audit.objective_perturbation import Array, ScalarDeletion, divergences
from certified.numerics.balls import exact, lower, upper, working_precision
from certified.numerics.scalar import normal_cdf

Direction = Literal["forward", "backward"]
Quantity = Literal["residual", "corollary", "theorem"]
Interval = tuple[float, float]
Ball = Any
"""``arb``, or ``arb_series`` with the derivative as its second coefficient."""

_BITS = 128
_MOST_BOXES = 200_000


class NotProvedError(ArithmeticError):
    """Halving intervals did not settle a question, or settled it otherwise; no message tells a weight."""


@dataclass(frozen=True)
class Refutation:
    """A claimed guarantee and the proof that it is false (claim T8).

    Attributes:
        residual: proved upper bound on |u|, or on the published bound for it, wherever |b| ≤ cutoff·σ.
        epsilon: the ε = cε'/σ that the publication then claims, rounded up.
        claimed_delta: δ = 1.5e^(−c²/2) that it claims.
        tail: upper bound on P(|b| > cutoff·σ), where nothing is proved of the residual.
        delta: proved lower bound on the true δ at ``epsilon``.
        direction: "forward" bounds P(M) by P(A), "backward" the reverse.
        intervals: weights t of training whose releases make up the event.
    """

    residual: float
    epsilon: float
    claimed_delta: float
    tail: float
    delta: float
    direction: Direction
    intervals: tuple[Interval, ...]

    @property
    def holds(self) -> bool:
        """Whether the proved δ exceeds what is claimed, the tail granted in full."""
        return bool(arb(self.delta) > arb(self.claimed_delta) + arb(self.tail))


def refute(
    problem: ScalarDeletion, claimed_delta: float, quantity: Quantity = "residual", *, cutoff: float = 7.0
) -> Refutation:
    """Prove what the publication claims at ``claimed_delta``, and a lower bound on the truth (claim T8).

    ``quantity`` is what is inserted for ε': the supremum of the residual itself or of Corollary 1's bound, over |b| ≤
    cutoff·σ, or the number 4γC²/(λ²(n − 1)) of theorem 1, where it is proved to bound the residual. Raises
    ``NotProvedError`` where it is not, or if enclosures do not get narrow enough. Compare ``holds`` of the result.

    >>> problem = ScalarDeletion((-1.35524349, 0.84494977), 4.80990705, 0.0403, (1, 1), 19.6)
    >>> found = refute(problem, claimed_delta=1e-4)
    >>> found.holds, found.epsilon < 0.877, found.delta > 0.061
    (True, True, True)
    """
    residual = residual_limit(problem, "corollary" if quantity == "corollary" else "residual", cutoff=cutoff)
    if quantity == "theorem":
        printed = _theorem_one(problem)
        if not residual <= printed:
            raise NotProvedError("theorem 1 as printed is not proved to bound this residual; use another quantity")
        residual = printed
    with working_precision(_BITS):
        c = (2 * (arb(3) / 2 / exact(claimed_delta)).log()).sqrt()
        epsilon = upper(c * exact(residual) / exact(problem.noise_std))
        tail = upper(2 * normal_cdf(-exact(cutoff)))
    found = divergences(problem, epsilon)
    direction: Direction = "forward" if found.forward > found.backward else "backward"
    intervals = separating_intervals(problem, epsilon, direction)
    delta = event_delta(problem, epsilon, intervals, direction, cutoff=max(cutoff, 12.0))
    return Refutation(residual, epsilon, claimed_delta, tail, delta, direction, intervals)


def residual_limit(
    problem: ScalarDeletion,
    quantity: Literal["residual", "corollary"] = "residual",
    *,
    cutoff: float = 7.0,
    tolerance: float = 1e-4,
) -> float:
    """Return a proved upper bound on |u|, or on Corollary 1's bound, over |b| ≤ cutoff·σ (claim T8).

    Branch and bound: it exceeds the supremum by no more than the share ``tolerance``.
    """
    grid = problem.grid(cutoff, 257)
    with working_precision(_BITS):
        balls = _Balls(problem)
        measure = balls.residual if quantity == "residual" else balls.corollary_bound
        _check_cover(balls, grid, cutoff)
        order = itertools.count()
        heap: list[tuple[float, int, Interval]] = []
        attained = 0.0

        def push(box: Interval) -> None:
            nonlocal attained
            value = _enclose(measure, *box)
            attained = max(attained, abs(float(measure(exact(box[0])).mid())))
            heapq.heappush(heap, (-upper(abs(value)) if value.is_finite() else -math.inf, next(order), box))

        for box in itertools.pairwise(grid.tolist()):
            push(box)
        while -heap[0][0] > (1.0 + tolerance) * attained:
            if next(order) > _MOST_BOXES:
                raise NotProvedError("the supremum was not enclosed; raise tolerance")
            left, right = heapq.heappop(heap)[2]
            middle = 0.5 * (left + right)
            push((left, middle))
            push((middle, right))
        return -heap[0][0]


def event_delta(
    problem: ScalarDeletion,
    epsilon: float,
    intervals: Sequence[Interval],
    direction: Direction,
    *,
    cutoff: float = 12.0,
) -> float:
    """Return a proved lower bound on P − e^ε Q for the releases that come from ``intervals`` of t (claim T8).

    Forward, P is the probability under M that t lies there, and Q that of their images under A. Backward, the roles are
    exchanged, and b ↦ β is proved increasing on |b| ≤ cutoff·σ, so that no other t has its release in the event; what
    lies beyond is counted as if it had. Raises ``NotProvedError`` where b ↦ β is not proved increasing.
    """
    if any(not left < right for left, right in intervals) or any(
        before[1] > after[0] for before, after in itertools.pairwise(intervals)
    ):
        raise ValueError("intervals must be increasing and disjoint; sort and merge them")
    with working_precision(_BITS):
        balls = _Balls(problem)
        sigma = balls.noise_std
        if direction == "forward":
            ranges, missed = list(intervals), arb(0)
        else:
            grid = problem.grid(cutoff, 257)
            _check_cover(balls, grid, cutoff)
            if intervals and not grid[0] <= intervals[0][0] < intervals[-1][1] <= grid[-1]:
                raise ValueError("intervals must lie where |b| ≤ cutoff·σ; raise cutoff")
            ranges, missed = list(itertools.pairwise(grid.tolist())), 2 * normal_cdf(-exact(cutoff))
        for box in ranges:
            _prove_positive(balls.direction, box)
        ours = theirs = arb(0)
        for left, right in intervals:
            ours += _mass(balls.training_noise(exact(right)) / sigma, balls.training_noise(exact(left)) / sigma)
            theirs += _mass(balls.effective_noise(exact(right)) / sigma, balls.effective_noise(exact(left)) / sigma)
        factor = exact(epsilon).exp()
        gap = ours - factor * theirs if direction == "forward" else theirs - factor * (ours + missed)
        return max(0.0, lower(gap))


def separating_intervals(
    problem: ScalarDeletion, epsilon: float, direction: Direction, *, cutoff: float = 7.0, size: int = 20_001
) -> tuple[Interval, ...]:
    """Propose intervals of t where the privacy loss exceeds ε, from a float64 grid: a proposal, no proof (claim T8)."""
    t = problem.grid(cutoff, size)
    b, beta = problem.training_noise(t) / problem.noise_std, problem.effective_noise(t) / problem.noise_std
    loss = 0.5 * (beta**2 - b**2) - np.log(np.abs(problem.slope(t)))
    inside = loss > epsilon if direction == "forward" else -loss > epsilon
    padded = np.concatenate([[False], inside, [False]])
    first, last = np.flatnonzero(padded[1:] & ~padded[:-1]), np.flatnonzero(padded[:-1] & ~padded[1:]) - 1
    return tuple((float(t[i]), float(t[j])) for i, j in zip(first, last, strict=True) if i < j)


def _theorem_one(problem: ScalarDeletion) -> float:
    """4γC²/(λ²(n − 1)) for γ = 1/4 and C = 1, rounded up."""
    with working_precision(_BITS):
        return upper(1 / (exact(problem.l2_strength) ** 2 * problem.counts[1]))


class _Balls:
    """The quantities of ``ScalarDeletion`` at a ball of trained weights, or their Taylor jets there."""

    def __init__(self, problem: ScalarDeletion) -> None:
        strength, (before, after) = exact(problem.l2_strength), problem.counts
        self.noise_std = exact(problem.noise_std)
        self._kept = [exact(a) for a in problem.kept]
        self._deleted = exact(problem.deleted)
        self._alpha, self._share = strength * after, strength * (before - after)

    def training_noise(self, t: Ball) -> Ball:
        return -self._kept_gradient(t) - self._row_gradient(t)

    def effective_noise(self, t: Ball) -> Ball:
        return -self._kept_gradient(t + self.newton_step(t))

    def newton_step(self, t: Ball) -> Ball:
        return self._row_gradient(t) / self._kept_curvature(t)

    def residual(self, t: Ball) -> Ball:
        s = self.newton_step(t)
        return _sum(a * (_falling(a * t) - _falling(a * (t + s)) - a * s * _bell(a * t)) for a in self._kept)

    def corollary_bound(self, t: Ball) -> Ball:
        s = self.newton_step(t)
        return _sum(a * a for a in self._kept) * s * s / 4

    def direction(self, t: Ball) -> Ball:
        """Return F'' + Δ' − s·F''', which has the sign of dβ/db: the other factors are curvatures."""
        third = _sum(a * a * a * _bell(a * t) * (1 - 2 * _falling(-a * t)) for a in self._kept)
        row = self._share + self._deleted * self._deleted * _bell(self._deleted * t)
        return self._kept_curvature(t) + row - self.newton_step(t) * third

    def _row_gradient(self, t: Ball) -> Ball:
        return self._share * t - self._deleted * _falling(self._deleted * t)

    def _kept_gradient(self, w: Ball) -> Ball:
        return self._alpha * w - _sum(a * _falling(a * w) for a in self._kept)

    def _kept_curvature(self, t: Ball) -> Ball:
        return self._alpha + _sum(a * a * _bell(a * t) for a in self._kept)


def _sum(terms: Iterable[Ball]) -> Ball:
    return functools.reduce(operator.add, terms)


def _falling(z: Ball) -> Ball:
    """Return 1/(1 + e^z)."""
    return 1 / (1 + z.exp())


def _bell(z: Ball) -> Ball:
    """Return ℓ″ = 1/((1 + e^z)(1 + e^(−z)))."""
    return _falling(z) * _falling(-z)


def _enclose(function: Callable[[Ball], Ball], left: float, right: float) -> arb:
    """Enclose the values on an interval, by the mean value theorem where that is narrower."""
    box, middle = exact(left).union(exact(right)), exact(0.5 * (left + right))
    direct: arb = function(box)
    try:
        slope = function(arb_series([box, 1], 2))[1]
    except ValueError:  # A wide interval, on which an enclosure of 1 + e^z holds 0.
        return direct
    by_mean_value: arb = function(middle) + slope * (box - middle)
    return by_mean_value if by_mean_value.rad() < direct.rad() or not direct.is_finite() else direct


def _mass(low: arb, high: arb) -> arb:
    """Standard normal probability between two ends."""
    if low > 0:
        low, high = -high, -low
    return normal_cdf(high) - normal_cdf(low)


def _check_cover(balls: _Balls, grid: Array, cutoff: float) -> None:
    """t ↦ b(t) is decreasing, so its values at the ends tell what is covered."""
    limit = exact(cutoff) * balls.noise_std
    first, last = (balls.training_noise(exact(float(grid[end]))) for end in (0, -1))
    if not (first >= limit and last <= -limit):
        raise NotProvedError("the grid does not cover |b| ≤ cutoff·σ; refine it")


def _prove_positive(function: Callable[[Ball], Ball], interval: Interval) -> None:
    """Halve the interval until its parts all have positive enclosures."""
    boxes, budget = [interval], _MOST_BOXES
    while boxes:
        left, right = boxes.pop()
        if _enclose(function, left, right) > 0:
            continue
        budget -= 1
        if budget == 0 or function(exact(left)) < 0:
            raise NotProvedError("the map from noise to effective noise was not proved increasing; use other intervals")
        middle = 0.5 * (left + right)
        boxes += [(left, middle), (middle, right)]
