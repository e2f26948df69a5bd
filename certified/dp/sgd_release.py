"""A regularised linear model trained by DP-SGD to a given (ε, δ), beside output and objective perturbation (claim T20).

The penalty depends on no row, so its gradient is added to the private one. Gradients are clipped to the declared
L ≥ ‖∇ℓ_i‖, the constant of claims T14 and T15: rows within the limits are not clipped, but for rounding.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from functools import lru_cache

import numpy as np
import optax

from certified.accounting import Relation, dp_noise_multiplier
from certified.dp.chacha import Entropy
from certified.dp.guarantee import DPRelease
from certified.dp.limits import RowLimits, check_problem
from certified.dp.linear import LinearGradient
from certified.dp.minimiser import Array, Sampler, checked_goal
from certified.dp.plan import SGDPlan
from certified.dp.poisson import capacity_for
from certified.dp.sgd import dp_sgd
from certified.losses import Loss
from certified.objective import Objective
from certified.privacy.composition import counted
from certified.privacy.noise import release_gaussian

STEPS = 200
BATCH_SHARE = 0.25
"""Steps, and the share of the rows in each: for convex models more of either gains little per ε."""

NUMBER_ASSUMPTION = (
    "the number of rows was public: batches, step sizes and normaliser follow from it, and a training on other rows "
    "would have the same ones"
)
"""What the guarantee rests on beside the assumptions of `dp_sgd` where no number of rows was declared."""

_ACCOUNTED, _TRUNCATED = 1.0 - 2.0**-10, 2.0**-11
"""The shares of δ for steps and for truncated batches: e^ε times the probability of one; the rest is for rounding."""


def private_sgd(
    objective: Objective,
    limits: RowLimits,
    epsilon: float,
    delta: float,
    *,
    group_size: int = 1,
    public_rows: int | None = None,
    sampler: Sampler = release_gaussian,
    noise: str = "rounded_gaussian",
) -> DPRelease:
    """Train by DP-SGD and release, (ε, δ)-private for adding or removing ``group_size`` rows (claim T20).

    `STEPS` steps on (Σ ℓ_i + α‖W‖²/2)/N, each row in a batch with probability `BATCH_SHARE`, and with N the public
    number of rows. Slots, normaliser, penalty and step sizes follow from N, and the number of rows there are enters
    nowhere. Step sizes fall from 2/β to 0 with the cosine, β the declared smoothness of a row's loss and its penalty.

    Args:
        objective: loss, rows of weight 1 and total strength, every weight penalised.
        limits: what every possible row keeps to; a row beyond them is refused.
        epsilon, delta: the guarantee; the noise is the least that the accountant allows.
        group_size: k, the rows of one person.
        public_rows: N, a limit on the number of rows fixed without counting them; more are refused. The minimiser is
            the same for every N, but where N is above the number of rows, noise weighs more by that factor. None
            takes the number itself, and the guarantee then assumes that it was public.
        sampler: `release_gaussian` for exact noise in every step (T13); any other seeds idealised noise.
        noise: what the guarantee calls it.

    Raises:
        ValueError: an argument out of range, a row beyond the limits, more rows than ``public_rows``, or a problem that
            no noise makes private.
        TypeError: ``public_rows`` is no integer.
    """
    epsilon, delta, group_size = checked_goal(epsilon, delta, group_size)
    check_problem(objective)
    limits.check(objective)
    features, targets = _rows(objective)
    number = max(1, len(features)) if public_rows is None else counted("public_rows", public_rows)
    plan = SGDPlan(
        clip_norm=limits.gradient_bound(objective),
        noise_multiplier=_noise_multiplier(epsilon, delta, group_size),
        expected_batch=BATCH_SHARE * number,
        public_rows=number,
        steps=STEPS,
        capacity=max(1, capacity_for(number, BATCH_SHARE, _TRUNCATED * delta * math.exp(-epsilon) / STEPS)),
    )
    if not plan.curve().delta(epsilon, group_size) <= delta:
        raise ValueError(f"delta={delta!r} is too small to be shared between steps and truncated batches: raise it")
    smoothness = limits.smoothness(objective)
    gradient, optimizer = _training(objective.loss, objective.alpha / number, smoothness)  # type: ignore[arg-type]
    exact_noise = sampler is release_gaussian
    result = dp_sgd(
        gradient,
        np.zeros(objective.shape),
        (features, targets),
        plan,
        optimizer=optimizer,
        delta=delta,
        exact_noise=exact_noise,
        entropy=os.urandom if exact_noise else _stream(sampler),
    )
    guarantee = replace(
        result.guarantee,
        stated_epsilon=epsilon,
        group_size=group_size,
        noise=noise,
        assumptions=(*result.guarantee.assumptions, *(() if public_rows is not None else (NUMBER_ASSUMPTION,))),
    )
    return DPRelease(np.asarray(result.params), guarantee)


@lru_cache(maxsize=64)
def _noise_multiplier(epsilon: float, delta: float, group_size: int) -> float:
    """The least noise for the goal; trainings in a search over other parameters share it."""
    return dp_noise_multiplier(
        epsilon,
        _ACCOUNTED * delta,
        sampling_rate=BATCH_SHARE,
        steps=STEPS,
        relation=Relation.add_or_remove,
        rows=group_size,
    )


@lru_cache(maxsize=64)
def _training(loss: Loss, strength: float, smoothness: float) -> tuple[LinearGradient, optax.GradientTransformation]:
    """Gradient and optimiser: the same objects for the same numbers, so that `dp_sgd` compiles once for them."""
    rate = optax.cosine_decay_schedule(2.0 / (smoothness + strength), STEPS)
    return LinearGradient(loss), optax.chain(optax.add_decayed_weights(strength), optax.sgd(rate))


def _rows(objective: Objective) -> tuple[Array, Array]:
    """Features (n, d) and targets (n, K) of the rows in force."""
    features, targets = [], []
    for part in objective.rows.fetched():
        weights = np.asarray(part.weights)
        if np.any((weights != 0.0) & (weights != 1.0)):
            raise ValueError("rows holds weights other than 1, which DP-SGD does not take: leave sample weights out")
        features.append(np.asarray(part.features)[weights > 0.0])
        targets.append(np.asarray(part.targets)[weights > 0.0])
    return np.concatenate(features), np.concatenate(targets)


def _stream(sampler: Sampler) -> Entropy:
    """Bytes that follow from the first draw of a seeded sampler."""
    seed = sampler(np.zeros(4), 1.0).view(np.uint64).tolist()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed))).bytes
