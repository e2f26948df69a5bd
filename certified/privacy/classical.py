"""The classical Gaussian mechanism, σ = c·s/ε with c = √(2 log(a/δ)), for comparison with the exact one (claim T17f).

Published with a = 1.25 ("dwork-roth") and, for certified removal, as δ = 1.5·e^(−c²/2), a = 1.5 ("guo"). Both hold for
ε < 1 only: beyond, the formula asks for too little noise sooner or later. ``gaussian_noise_std`` is exact for every ε
and never asks for more.

Sources: Dwork & Roth 2014, *The Algorithmic Foundations of Differential Privacy*, Theorem A.1; Guo, Goldstein, Hannun &
van der Maaten 2020 (arXiv 1911.03030).
"""

from __future__ import annotations

import math
from typing import Literal

from flint import arb

from certified.numerics.balls import exact, round_down, round_up
from certified.numerics.scalar import Scalar, exp, log, sqrt
from certified.privacy.gaussian import nonnegative, probability
from certified.privacy.renyi import finite, probability_from_log

Form = Literal["dwork-roth", "guo"]

PREFACTORS = {"dwork-roth": 1.25, "guo": 1.5}
"""The constant a in δ = a·e^(−c²/2) of each published form."""


def classical_multiplier(delta: Scalar, prefactor: Scalar) -> Scalar:
    """Return c = √(2 log(a/δ)), the noise in units of s/ε (claim T17f).

    >>> round(classical_multiplier(1e-5, 1.25), 6)
    4.844805
    """
    return sqrt(2 * (log(prefactor) - log(delta)))


def classical_tail(multiplier: Scalar, prefactor: Scalar) -> Scalar:
    """Return a·e^(−c²/2), the δ of noise c·s/ε (claim T17f).

    >>> round(classical_tail(4.844805, 1.25), 10)
    1e-05
    """
    return prefactor * exp(-multiplier * multiplier / 2)


def classical_noise_std(epsilon: float, delta: float, sensitivity: float, form: Form = "dwork-roth") -> float:
    """Return the smallest float64 σ ≥ c·s/ε; ``inf`` where none suffices (claim T17f).

    ``sensitivity`` s has the unit of the released vector. Raises ``ValueError`` for ε ≥ 1, where the theorem does not
    hold, a negative or NaN argument, ``delta`` > 1 and an unknown ``form``.

    >>> classical_noise_std(epsilon=0.5, delta=1e-5, sensitivity=1.0)
    9.68961052521078
    """
    epsilon, prefactor = _small("epsilon", epsilon), _prefactor(form)
    delta = probability("delta", delta)
    sensitivity = nonnegative("sensitivity", sensitivity)
    if sensitivity == 0.0:
        return 0.0
    if epsilon == 0.0 or delta == 0.0 or sensitivity == math.inf:
        return math.inf
    return round_up(lambda: classical_multiplier(exact(delta), exact(prefactor)) * exact(sensitivity) / exact(epsilon))


def classical_epsilon(delta: float, sensitivity: float, noise_std: float, form: Form = "dwork-roth") -> float:
    """Return the smallest float64 ε ≥ c·s/σ (claim T17f).

    Arguments as in ``classical_noise_std``; where this ε is 1 or more the theorem proves none: ``ValueError``.

    >>> classical_epsilon(delta=1e-5, sensitivity=1.0, noise_std=10.0)
    0.48448052626053895
    """
    delta, prefactor = probability("delta", delta), _prefactor(form)
    sensitivity, noise_std = _finite_ratio(sensitivity, noise_std)
    if sensitivity == 0.0 or (noise_std == math.inf and delta > 0.0):
        return 0.0
    if delta == 0.0 or noise_std == 0.0 or sensitivity == math.inf:
        return _small("epsilon", math.inf)
    epsilon = round_up(
        lambda: classical_multiplier(exact(delta), exact(prefactor)) * exact(sensitivity) / exact(noise_std)
    )
    return _small("epsilon", epsilon)


def classical_delta(epsilon: float, sensitivity: float, noise_std: float, form: Form = "dwork-roth") -> float:
    """Return the smallest float64 δ ≥ min(1, a·e^(−c²/2)) at c = σε/s (claim T17f).

    Arguments as in ``classical_noise_std``.

    >>> classical_delta(epsilon=0.5, sensitivity=1.0, noise_std=10.0)
    4.6583164650983395e-06
    """
    epsilon, prefactor = _small("epsilon", epsilon), _prefactor(form)
    sensitivity, noise_std = _finite_ratio(sensitivity, noise_std)
    if sensitivity == 0.0:
        return 0.0
    if epsilon == 0.0 or noise_std == 0.0 or sensitivity == math.inf:
        return 1.0
    if noise_std == math.inf:
        return 0.0

    def exponent() -> arb:
        multiplier = exact(noise_std) * exact(epsilon) / exact(sensitivity)
        return exact(prefactor).log() - multiplier * multiplier / 2

    return probability_from_log(exponent)


def classical_sensitivity(epsilon: float, delta: float, noise_std: float, form: Form = "dwork-roth") -> float:
    """Return the largest finite float64 distance s ≤ σε/c (claim T17f).

    Arguments as in ``classical_noise_std``.

    >>> classical_sensitivity(epsilon=0.5, delta=1e-5, noise_std=10.0)
    1.0320332250694326
    """
    epsilon, prefactor = _small("epsilon", epsilon), _prefactor(form)
    delta = probability("delta", delta)
    noise_std = nonnegative("noise_std", noise_std)
    if 0.0 in (epsilon, delta, noise_std):
        return 0.0
    if noise_std == math.inf:
        return finite(math.inf)
    return finite(
        round_down(lambda: exact(noise_std) * exact(epsilon) / classical_multiplier(exact(delta), exact(prefactor)))
    )


def _small(name: str, epsilon: float) -> float:
    epsilon = nonnegative(name, epsilon)
    if epsilon >= 1.0:
        raise ValueError(
            f"{name} must be below 1, got {epsilon!r}: the theorem stops there; use the exact gaussian_* instead"
        )
    return epsilon


def _prefactor(form: str) -> float:
    if form not in PREFACTORS:
        raise ValueError(f"form must be one of {', '.join(map(repr, PREFACTORS))}, got {form!r}; choose one")
    return PREFACTORS[form]


def _finite_ratio(sensitivity: float, noise_std: float) -> tuple[float, float]:
    sensitivity = nonnegative("sensitivity", sensitivity)
    noise_std = nonnegative("noise_std", noise_std)
    if sensitivity == math.inf and noise_std == math.inf:
        raise ValueError("sensitivity must be finite under infinite noise_std; bound the distance first")
    return sensitivity, noise_std
