"""Which way to delete: train again, certified removal, or differential privacy, with what each costs and promises.

Guarantees and noise are those of the calculators (claims T3, T10, T14, T15, T17c). Seconds come from the cost model of
`certified.removal`, and what noise does to a score is estimated: both rank options, no guarantee rests on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from certified.privacy.budget import ReleaseBudget
from certified.privacy.composition import counted
from certified.privacy.gaussian import gaussian_mu, gaussian_noise_std, nonnegative, probability
from certified.privacy.group import group_share
from certified.privacy.objective_perturbation import PerturbedProblem, objective_noise_std
from certified.removal.costs import REFERENCE, Costs, Speeds, modelled_costs
from certified.removal.forecast import forecast

Observer = Literal["released", "before-and-after", "internal-state"]
OBSERVERS: tuple[Observer, ...] = get_args(Observer)
Method = Literal["train again", "certified removal", "objective perturbation", "output perturbation", "DP-SGD"]

_LEAST_DISTANCE = 1e-10
"""Below it rounding may keep certified distances from the target."""
_GRADIENT_STEPS = 100
"""Full-batch steps of DP-SGD."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What is asked for, before there is a model: a logistic model, softmax for more than two classes.

    Attributes:
        rows: n.
        dimension: weights per output.
        strength: λ > 0, the total L2 strength: (λ/2)‖W‖².
        deletions: rows that will be deleted in the period that is planned for, all together.
        per_release: rows deleted between one release and the next.
        epsilon, delta: the guarantee for all deletions of the period together.
        observer: "released": sees released models, but does not compare one before with one after a deletion;
            "before-and-after": does; "internal-state": sees all that is kept after a deletion.
        tolerance: the standard deviation that noise may add to a score x·w, such as 0.1; a probability moves by at most
            a quarter of it.
        classes: number of classes.
        norm: R, the largest ‖x‖₂.
        curvature: mean ℓ'' of a row for two classes, an estimate; rows that are classified well have less.

    Raises:
        ValueError, TypeError: an attribute is out of range; the message names it.
    """

    rows: int
    dimension: int
    strength: float
    deletions: int
    epsilon: float
    delta: float
    tolerance: float
    observer: Observer = "released"
    per_release: int = 1
    classes: int = 2
    norm: float = 1.0
    curvature: float = 0.1

    def __post_init__(self) -> None:
        for name, least in (("rows", 1), ("dimension", 1), ("deletions", 1), ("per_release", 1), ("classes", 2)):
            count = counted(name, getattr(self, name))
            if count < least:
                raise ValueError(f"{name} must be at least {least}, got {count}")
            object.__setattr__(self, name, count)
        for name in ("strength", "epsilon", "tolerance", "norm", "curvature"):
            if not 0.0 < nonnegative(name, getattr(self, name)) < math.inf:
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)!r}")
        if not 0.0 < probability("delta", self.delta) < 1.0:
            raise ValueError(f"delta must lie strictly between 0 and 1, got {self.delta!r}; such as 1e-6")
        if self.curvature > 0.25:
            raise ValueError(f"curvature must be at most 0.25, which no logistic loss exceeds; got {self.curvature!r}")
        if self.deletions > self.rows:
            raise ValueError(f"deletions={self.deletions} exceeds rows={self.rows}")
        if self.observer not in OBSERVERS:
            raise ValueError(f"observer must be one of {', '.join(map(repr, OBSERVERS))}; got {self.observer!r}")

    @property
    def releases(self) -> int:
        """Releases in the period: one for each batch of deletions."""
        return -(-self.deletions // self.per_release)

    @property
    def gradient_bound(self) -> float:
        """L of one row: R, or √2·R for softmax."""
        return self.norm if self.classes == 2 else math.nextafter(math.sqrt(2.0), 2.0) * self.norm


@dataclass(frozen=True)
class Option:
    """One way to meet a demand, or why it does not.

    Attributes:
        method: its name.
        meets: whether guarantee and noise are as demanded.
        epsilon, delta: the guarantee for the demanded observer and all deletions; ∞, 1 where there is none.
        noise_std: σ: per weight for removal and output perturbation, of the linear term for objective perturbation, of
            the clipped sum of a step for DP-SGD; ∞ where none is enough.
        score_noise: the standard deviation that it adds to a score, estimated.
        training_seconds: once, estimated.
        deletion_seconds: for all deletions of the period, estimated.
        reason: in one or two sentences.
    """

    method: Method
    meets: bool
    epsilon: float
    delta: float
    noise_std: float
    score_noise: float
    training_seconds: float
    deletion_seconds: float
    reason: str


def choose(demand: Demand, speeds: Speeds = REFERENCE) -> tuple[Option, ...]:
    """Rank the ways to delete: those that meet the demand first, then by work for deletions, then by noise.

    Noise and guarantees of the options that meet the demand are as the calculators prove them, for two classes by the
    logistic loss and else by softmax (one-vs-rest for certified removal); that minimisers are inexact adds a tenth of a
    per cent to the noise. The rest are estimates.

    Example:
        >>> problem = {"rows": 60_000, "dimension": 784, "strength": 6.0, "tolerance": 0.1}
        >>> needed = Demand(**problem, deletions=200, epsilon=1.0, delta=1e-6)
        >>> [(option.method, option.meets) for option in choose(needed)][:2]
        [('certified removal', True), ('train again', True)]
        >>> from dataclasses import replace
        >>> choose(replace(needed, observer="before-and-after", deletions=1, tolerance=2.0))[0].method
        'objective perturbation'
    """
    outputs = 1 if demand.classes == 2 else demand.classes
    costs = modelled_costs(speeds, demand.rows, demand.dimension, outputs, outputs)
    options = [_train_again(demand, costs), _removal(demand, costs), *_private(demand, costs)]
    order = sorted(options, key=lambda o: (not o.meets, o.deletion_seconds, o.score_noise, o.training_seconds))
    return tuple(order)


def _train_again(demand: Demand, costs: Costs) -> Option:
    seconds = demand.releases * costs.solve
    if demand.observer == "before-and-after":
        why = (
            "the difference of two exactly trained models can show the deleted row; only differential privacy hides it"
        )
        return Option("train again", False, math.inf, 1.0, 0.0, 0.0, costs.solve, seconds, why)
    why = f"exact, without noise, {demand.releases} times over all rows; whatever came from the old model is destroyed"
    return Option("train again", True, 0.0, 0.0, 0.0, 0.0, costs.solve, seconds, why)


def _removal(demand: Demand, costs: Costs) -> Option:
    """As much noise as the tolerance allows: the more there is, the further from the minimiser a release may be."""
    noise_std = demand.tolerance / demand.norm
    distance = ReleaseBudget.create(demand.epsilon, demand.delta, noise_std, demand.releases).target
    step = demand.norm / (4.0 * demand.strength)
    seconds = math.inf
    if distance > 0.0:
        one = forecast(distance, demand.norm, step, costs).seconds_per_row
        seconds = demand.releases * min(demand.per_release * one, costs.solve)

    def option(why: str, meets: bool = False) -> Option:
        promised = (demand.epsilon, demand.delta) if meets else (math.inf, 1.0)
        noise = (noise_std, demand.tolerance)
        return Option("certified removal", meets, *promised, *noise, costs.solve, seconds, why)

    if demand.observer == "before-and-after":
        return option("a certificate makes deletion as good as training again, which this observer sees through")
    if demand.observer == "internal-state":
        return option("the noise-free weights are kept, and nothing hides what is left of a row in them")
    if distance < _LEAST_DISTANCE:
        return option(
            f"each release would have to be certified to within {distance:.2g} of training again: allow more noise"
        )
    return option(
        f"each of {demand.releases} releases within {distance:.2g} of training again, under noise of "
        f"{noise_std:.2g} per weight; the noise-free weights stay secret",
        meets=True,
    )


def _private(demand: Demand, costs: Costs) -> list[Option]:
    """k = all deletions of the period: the model stays as it is, and its guarantee is for all of them together."""
    k, gradient = demand.deletions, demand.gradient_bound
    mu = gaussian_mu(demand.epsilon, demand.delta)
    shift = k * gradient / demand.strength * (1.0 + 2.0**-50)
    output = gaussian_noise_std(demand.epsilon, demand.delta, shift)
    linear = _linear_noise(demand)
    steps = k * math.sqrt(_GRADIENT_STEPS) / mu * gradient * (1.0 + 2.0**-50)
    together = steps / math.sqrt(_GRADIENT_STEPS)
    descent = _GRADIENT_STEPS * costs.gradient_pass
    return [
        _private_option(demand, "output perturbation", output, output * demand.norm, costs.solve),
        _private_option(demand, "objective perturbation", linear, _through_curvature(demand, linear), costs.solve),
        _private_option(demand, "DP-SGD", steps, _through_curvature(demand, together), descent),
    ]


def _private_option(demand: Demand, method: Method, noise_std: float, score_noise: float, seconds: float) -> Option:
    if noise_std == math.inf:
        why = (
            f"no noise is enough for {demand.deletions} rows at strength {demand.strength:g}: the curvature of the "
            "rows alone gives more away; regularise more, or use another mechanism"
        )
        return Option(method, False, math.inf, 1.0, math.inf, math.inf, seconds, 0.0, why)
    promised = (demand.epsilon, demand.delta)
    does = f"noise moves a score by about {score_noise:.2g}"
    if score_noise > demand.tolerance:
        fits = int(demand.deletions * demand.tolerance / score_noise)
        why = f"{does}, beyond the tolerance {demand.tolerance:g}: room for about {fits} of the {demand.deletions}"
        return Option(method, False, *promised, noise_std, score_noise, seconds, 0.0, why)
    why = f"{does}; the model stays as it is for all {demand.deletions} deletions, also under this observer's eyes"
    if method == "DP-SGD":
        why += f" ({_GRADIENT_STEPS} full-batch steps, averaged; sampled batches read less for a little more noise)"
    return Option(method, True, *promised, noise_std, score_noise, seconds, 0.0, why)


def _linear_noise(demand: Demand) -> float:
    """The σ of objective perturbation: by the bound for the group, or for its rows one after another (T15, T17c)."""
    gradient, squared = demand.gradient_bound, demand.norm**2 * (1.0 + 2.0**-50)
    if demand.classes == 2:
        problem = PerturbedProblem(gradient, squared / 4.0, demand.strength, "logistic")
    else:
        problem = PerturbedProblem(gradient, squared / 2.0, demand.strength, "softmax", demand.classes)
    apart = objective_noise_std(problem, *group_share(demand.epsilon, demand.delta, demand.deletions), 1)
    return min(apart, objective_noise_std(problem, demand.epsilon, demand.delta, demand.deletions))


def _through_curvature(demand: Demand, noise_std: float) -> float:
    """What a random linear term does to a score: with H = aΣxxᵀ + λI, an estimate.

    The mean of xᵀH⁻²x over rows is at most min(R²/λ², p/(4aλn)), whatever the spectrum, for s/(as + λ)² ≤ 1/(4aλ).
    """
    bend = 2.0 * demand.curvature / demand.classes
    spread = demand.dimension / (4.0 * bend * demand.strength * demand.rows)
    return noise_std * min(demand.norm / demand.strength, math.sqrt(spread))
