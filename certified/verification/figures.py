"""Checks of a certificate's figures against rows and noise-free weights, in balls (claims T0, T1, T2, T12)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from flint import arb, ctx

from certified.certificates.certificate import Certificate
from certified.verification.distance import local_distance, prove_distance
from certified.verification.float_sums import float_moments
from certified.verification.objective import PRECISION, ArbObjective, Moments, RowSizes, norm
from certified.verification.report import Check


def check_figures(certificate: Certificate, objective: ArbObjective) -> Iterator[Check]:
    """Recompute norms, gradient, curvature and distance at the weights of ``objective``."""
    c = certificate
    with ctx.workprec(PRECISION):
        sizes = objective.row_sizes()
        longest = sizes.largest.upper().sqrt()
        close = max(longest, arb(int(c.fit_intercept))) * 1.000001 + 1e-140
        bounds = bool(longest <= c.row_norm_bound) and bool(close >= c.row_norm_bound)
        yield Check("row_norm_bound", bounds, f"certified {c.row_norm_bound:.9g}, the longest row must be just below")
        if 0 in objective.shape or not len(objective.features):
            yield from _degenerate(c, objective)
            return
        # A pass in float64 settles most certificates; the others are worth the passes in balls.
        checks = list(_at(c, objective, sizes, float_moments(objective), witness=False))
        if not all(check.passed for check in checks):
            checks = list(_at(c, objective, sizes, objective.moments(), witness=True))
        yield from checks


def _at(
    c: Certificate, objective: ArbObjective, sizes: RowSizes, moments: Moments, *, witness: bool
) -> Iterator[Check]:
    """Compare gradient, curvature and distance with what these moments prove, with a witness or without."""
    residual = norm(moments.gradient.entries())
    certified = f"certified {c.gradient_residual:.6g}"
    holds = bool(residual <= c.gradient_residual)
    yield Check("gradient_residual", holds, f"‖∇F(W)‖ is at most {_shown(residual)}, {certified}")
    yield _rounding(c, residual)
    claimed = c.curvature if math.isfinite(c.curvature) else 0.0
    proof = prove_distance(objective, moments, sizes, c.distance_bound, claimed, witness=witness)
    curved = bool(proof.curvature >= c.curvature) or (None if proof.refuted else False)
    certified = f"certified {c.curvature:.6g}"
    yield Check("curvature", curved, f"λ_min is at least {float(proof.curvature.lower()):.6g}, {certified}")
    near = bool(proof.distance <= c.distance_bound)
    detail = f"‖W − W*‖ is at most {_shown(proof.distance)}, certified {c.distance_bound:.6g}"
    yield Check("distance_bound", near, "farther from the minimiser than certified" if proof.refuted else detail)
    if c.distance_claim == "T6":
        # What T6 rests on, sums kept since the last pass, is not in the certificate: T1 and T2 have to bear it out.
        yield Check("distance_claim", near, "a bound by T6 must be borne out by T1 or T2 on these rows")
    else:
        yield Check("distance_claim", _follows(c), f"distance_bound must follow by {c.distance_claim}")


def _rounding(c: Certificate, residual: arb) -> Check:
    """A residual by a pass is the computed norm plus its rounding error; one by T6 also bounds a Taylor remainder."""
    part = c.rounding_error <= c.gradient_residual
    if c.distance_claim == "T6":
        return Check("rounding_error", part, "gradient_residual must be at least rounding_error")
    # A computed norm within the error of the true one, plus that error.
    loosest = (residual + 2 * arb(c.rounding_error)) * (1 + 1e-9) + 1e-140
    consistent = part and bool(loosest >= c.gradient_residual)
    return Check("rounding_error", consistent, "gradient_residual must be ‖∇F(W)‖ up to rounding_error")


def _degenerate(c: Certificate, objective: ArbObjective) -> Iterator[Check]:
    """No output or no row that counts: the reference is W* = 0 by definition (claim T0)."""
    detail = "no output or no row is left, so the reference is 0 by T0"
    by_definition = (c.distance_claim, c.gradient_residual, c.rounding_error) == ("T0", 0.0, 0.0)
    yield Check("distance_claim", by_definition and math.isinf(c.curvature), detail)
    distance = norm([arb(v) for v in objective.weights.ravel().tolist()])
    yield Check("distance_bound", bool(distance <= c.distance_bound), "distance_bound must be at least ‖W‖")


def _follows(c: Certificate) -> bool:
    """Whether distance_bound is what its claim makes of the other figures; a witness can only improve on T2."""
    if not math.isfinite(c.curvature) or c.distance_claim not in ("T1", "T2", "T2w"):
        return False
    if c.distance_claim == "T1":
        value = arb(c.gradient_residual) / arb(c.alpha)
    else:
        kappa = arb(c.self_concordance) * arb(c.row_norm_bound)
        value = local_distance(arb(c.gradient_residual), arb(c.curvature), kappa)
    if c.distance_claim == "T1" and c.curvature != c.alpha:
        return False
    least = arb(0) if c.distance_claim == "T2w" else value * (1 - 1e-9)
    most = value * (1 + 1e-6) + 1e-140
    return bool(least <= c.distance_bound) and bool(most >= c.distance_bound)


def _shown(value: arb) -> str:
    return f"{float(value.upper()):.6g}"
