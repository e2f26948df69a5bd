"""δ(ε) of a composition by a tilted Fourier transform, with every error charged to δ (claim T19).

For losses L_1 + … + L_T with dominating measures on a grid, δ(ε) = E(1 − e^(ε−ΣL))₊ is a sum over the convolution of
the measures. The convolution is computed for the measures times e^(θ·loss), by discrete Fourier transform. Charged are:
rounding losses to the grid (mass moves so that the measure still dominates), rounding of all masses (up), of the
transforms (‖·‖₂ bound), of the powers and of the last sum, mass beyond the window, and infinite losses; what wraps
around from below the window only adds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from flint import arb

from certified.accounting.fourier import PRODUCT_ERROR, exponentials, power, transform, transform_error
from certified.accounting.losses import Counts, Floats, LossMeasure
from certified.accounting.tilting import Grid, Part, cumulants
from certified.numerics.balls import exact, upper, working_precision
from certified.numerics.rounding import UNIT_ROUNDOFF

_BITS = 128
_UNDERFLOW = 2.0**-900
_MOST_PLACES = 2.0**51


@dataclass(frozen=True)
class Composition:
    """The tilted law of the summed loss on a window, and what else may have to be added (claim T19).

    ``masses`` belong to the multiples of ``grid.step`` below ``grid.top``; ``error`` bounds their Euclidean distance
    from exact ones, ``beneath`` and ``beyond`` the tilted mass under and above the window, ``total`` all of it. The
    true masses are at most e^(``scale`` − θ·loss) times those.
    """

    grid: Grid
    masses: Floats
    scale: float
    total: float
    beneath: float
    beyond: float
    error: float
    infinite: float
    largest_loss: float

    def delta(self, epsilon: float) -> float:
        """Return an upper bound on δ at a finite ε ≥ 0 (claim T19).

        >>> from certified.accounting.tilting import grid_for_epsilon
        >>> parts = [(LossMeasure(np.array([-1.0, 1.0]), np.array([0.269, 0.732]), 0.0), 2)]
        >>> found = compose(parts, grid_for_epsilon(parts, 1.0, 1e-6)).delta(1.0)
        >>> 0.338 < found < 0.339
        True
        """
        if epsilon >= self.largest_loss:
            return self.infinite
        theta, step = self.grid.tilt, self.grid.step
        least = math.floor(epsilon / step) + 1
        first = max(least, self.grid.bottom)
        inside = self._inside(first, epsilon) if first < self.grid.top else 0.0
        with working_precision(_BITS):
            tilt = exact(theta)
            near = (exact(self.scale) - tilt * exact(step) * first).exp() * exact(inside)
            far = (exact(self.scale) - tilt * exact(step) * max(least, self.grid.top)).exp() * exact(self.beyond)
            if least < first:
                far += (exact(self.scale) - tilt * exact(step) * least).exp() * exact(self.beneath)
            peak = tilt * tilt.log() - (1 + tilt) * (1 + tilt).log()
            exponential = (exact(self.scale) - tilt * exact(epsilon) + peak).exp() * exact(self.total)
            finite = min(upper(near + far) if math.isfinite(inside) else math.inf, upper(exponential))
            return min(1.0, upper(exact(finite) + exact(self.infinite))) if finite < 1.0 else 1.0

    @cached_property
    def _decays(self) -> tuple[Floats, Floats]:
        """e^(−θnh) and e^(−nh) for as many n as the window has."""
        with working_precision(_BITS):
            step, places = exact(self.grid.step), np.arange(self.grid.size)
            return exponentials(-exact(self.grid.tilt) * step, arb(0), places), exponentials(-step, arb(0), places)

    def _inside(self, first: int, epsilon: float) -> float:
        """Bound Σ y_n e^(−θ(n−first)h) (1 − e^(ε−nh)) over n from ``first`` to the top of the window."""
        if not math.isfinite(self.error):
            return math.inf
        masses = self.masses[first - self.grid.bottom :]
        weights, ratios = (table[: len(masses)] for table in self._decays)
        with working_precision(_BITS):
            gap = upper((exact(epsilon) - exact(self.grid.step) * first).exp())
        gains = weights * (1.0 - gap * ratios)
        size = float(np.abs(masses) @ weights)
        rounding = (len(masses) + 64) * UNIT_ROUNDOFF
        norm = float(np.sqrt(weights @ weights)) * (1.0 + rounding)
        found = float(masses @ gains) + 1.01 * (rounding * size + norm * self.error) + _UNDERFLOW
        return found if found >= 0.0 else math.inf


def compose(parts: Sequence[Part], grid: Grid) -> Composition:
    """Return the composition of the parts, computed on ``grid``, which decides how tight it is (claim T19)."""
    if any(float(np.abs(measure.losses).max()) > _MOST_PLACES * grid.step for measure, _ in parts):
        return impossible()
    size, exponents, error, growth = grid.size, 0, 0.0, 0.0
    scale, total, beneath, beyond, infinite, largest = (arb(0) for _ in range(6))
    product = None
    wander = transform_error(size)
    # An overflow makes the error infinite; the exponential bound then stands alone.
    with working_precision(_BITS), np.errstate(over="ignore", invalid="ignore"):
        for measure, steps in parts:
            infinite += exact(measure.infinite) * steps
            offset = float(cumulants([(measure, 1)], np.array([grid.tilt]))[0])
            places, weights = _tilted(measure, grid, offset)
            folded = _folded(places, weights, size)
            scale += exact(offset) * steps
            largest += exact(measure.losses[-1]) * steps
            sum_up = math.fsum(folded[folded > 0.0]) * (1.0 + 2.0 * UNIT_ROUNDOFF)
            length = float(np.sqrt(folded @ folded)) * (1.0 + size * UNIT_ROUNDOFF)
            total += exact(sum_up).log() * steps
            beneath += _moment(places, weights, -exact(grid.falling) * exact(grid.step)).log() * steps
            beyond += _moment(places, weights, exact(grid.rising) * exact(grid.step)).log() * steps
            highest = max(1.0, sum_up) + wander * math.sqrt(size) * length
            growth += 1.01 * steps * math.log(highest)
            error += steps * wander * length
            values = power(transform(folded.astype(np.complex128)), steps)
            product = values if product is None else product * values
            exponents += steps
        assert product is not None
        masses = transform(product.conj()).real / size
        relative = 1.01 * exponents * PRODUCT_ERROR
        size_of_product = float(np.sqrt((product.real @ product.real + product.imag @ product.imag) / size)) * 1.01
        beneath += exact(grid.falling) * exact(grid.step) * (grid.bottom - 1)
        beyond -= exact(grid.rising) * exact(grid.step) * grid.top
        bad = relative > 0.1 or growth > 10.0 or not np.isfinite(masses).all()
        growth = min(growth, 11.0)  # beyond 10 it is not used
        found = 1.01 * (math.exp(growth) * error + (1.2 * relative + wander) * size_of_product) + _UNDERFLOW
        return Composition(
            grid=grid,
            masses=np.roll(masses, -(grid.bottom % size)),
            scale=upper(scale),
            total=upper(total.exp()),
            beneath=min(upper(total.exp()), upper(beneath.exp())),
            beyond=min(upper(total.exp()), upper(beyond.exp())),
            error=math.inf if bad else found,
            infinite=min(1.0, upper(infinite)),
            largest_loss=upper(largest),
        )


def _tilted(measure: LossMeasure, grid: Grid, offset: float) -> tuple[Counts, Floats]:
    """Move each atom to the two multiples of the step around it and tilt: both masses of the atom are kept.

    An atom at n·h + s, 0 ≤ s < h, sends the share β = (1 − e^(−s))/(1 − e^(−h)) upward; β is rounded up, to 1 where
    h > 1, too large for the polynomials.
    """
    step = grid.step
    below = np.floor(measure.losses / step)
    rest = measure.losses - below * step
    share = rest / step * (1.0 - rest / 2.0 * (1.0 - rest / 3.0 * (1.0 - rest / 4.0 * (1.0 - rest / 5.0))))
    whole = 1.0 - step / 2.0 * (1.0 - step / 3.0 * (1.0 - step / 4.0 * (1.0 - step / 5.0 * (1.0 - step / 6.0))))
    upward = np.minimum(1.0, share / whole * (1.0 + 16.0 * UNIT_ROUNDOFF)) if step <= 1.0 else np.ones_like(rest)
    places = np.concatenate([below, below + 1.0]).astype(np.int64)
    masses = np.concatenate([measure.masses * (1.0 - upward), measure.masses * upward])
    with working_precision(_BITS):
        growth = exponentials(exact(grid.tilt) * exact(step), exact(offset), places)
    kept = masses > 0.0
    weights = masses[kept] * growth[kept] * (1.0 + 8.0 * UNIT_ROUNDOFF) + 2.0**-1000
    return places[kept], weights


def _folded(places: Counts, weights: Floats, size: int) -> Floats:
    bins = places % size
    most = int(np.bincount(bins, minlength=size).max())
    return np.asarray(np.bincount(bins, weights, minlength=size) * (1.0 + (most + 4) * UNIT_ROUNDOFF), dtype=np.float64)


def _moment(places: Counts, weights: Floats, rate: arb) -> arb:
    """Bound Σ x_n e^(rate·n), for Chernoff's bound on the mass outside the window; infinite where it overflows."""
    return exact(float(weights @ exponentials(rate, arb(0), places)) * (1.0 + len(places) * UNIT_ROUNDOFF))


def impossible() -> Composition:
    """Return the composition that promises nothing: δ = 1 at every ε.

    >>> impossible().delta(10.0)
    1.0
    """
    return Composition(Grid(1.0, 1.0, 1, 1, 1.0, 1.0), np.zeros(1), 0.0, 1.0, 1.0, 1.0, math.inf, 1.0, -math.inf)
