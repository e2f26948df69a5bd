"""Whether what a certificate says of its features fits together: provenance, words and composition (T11, T17c)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from flint import arb, ctx

from certified.certificates.certificate import Certificate
from certified.certificates.provenance import Provenance

_BITS = 8192
"""Bits at which everything but the growth of δ₁, which is transcendental, is exact for float64 numbers."""
_TOLERANCE = 1e-9


def feature_problems(c: Certificate) -> Iterator[str]:
    """What is wrong with the provenance of the features and with the guarantee that includes their extractor."""
    try:
        features = c.provenance
    except (TypeError, ValueError) as error:
        yield f"features: {error}"
        return
    if not c.full_epsilon >= 0.0 or not 0.0 <= c.full_delta <= 1.0:
        yield "full_epsilon must not be negative and full_delta must be a probability"
    elif features.kind == "trained_on_rows":
        if (c.full_epsilon, c.full_delta) != (float("inf"), 1.0):
            yield "nothing is proved about an extractor trained on the rows: full_epsilon must be inf, full_delta 1"
    elif not _is_composed(c, features):
        yield "full_epsilon and full_delta are not what extractor and head prove together"


def _is_composed(c: Certificate, features: Provenance) -> bool:
    """(kε₁ + ε₂, 1 − (1 − δ₁Σe^(iε₁))(1 − δ₂)) for k = removed_total rows, at least one, up to rounding from above."""
    rows = max(1, c.removed_total)
    epsilon = rows * Fraction(features.epsilon) + Fraction(c.epsilon)
    if c.full_epsilon == float("inf") or not epsilon <= Fraction(c.full_epsilon) <= epsilon * Fraction(1 + _TOLERANCE):
        return False
    with ctx.workprec(_BITS):
        rate, kept = arb(features.epsilon), 1 - arb(c.delta)
        growth = (rows * rate).expm1() / rate.expm1() if features.epsilon > 0.0 and rows > 1 else arb(rows)
        failure = arb(features.delta) * growth if features.delta > 0.0 else arb(0)
        delta = 1 - (1 - failure) * kept if failure < 1 else arb(1)
        claimed = arb(c.full_delta)
        return bool(claimed >= delta and claimed <= delta * (1 + _TOLERANCE) + arb(1e-300))
