"""Checking a certificate of deletions from a private model, by its own arithmetic (claims T3, T10, T14, T15, T17c).

Everything is public, so no row is needed. What is recomputed is δ from the stated constants; whether the training used
these constants, nobody can see from its result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import arb, ctx

from certified.certificates.commitment import weights_commitment
from certified.certificates.deletion import (
    DELETION_ASSUMPTIONS,
    DELETION_REFERENCE,
    DELETION_THREAT_MODEL,
    DELETION_UPKEEP,
    DeletionCertificate,
)
from certified.certificates.record import CertificateFormatError
from certified.verification.gaussian import PRECISION, gaussian_delta
from certified.verification.report import Check, VerificationReport

MOST_ROWS = 10**6
"""No certificate speaks of more deletions."""

_MOST_TERMS = 10_000
_MAY_VANISH = ("distance", "truncation")

Bound = Callable[[arb, int], arb | None]
"""An upper bound on δ at ε for k rows; None where the verifier has no formula."""


def verify_deletion(
    certificate: DeletionCertificate,
    *,
    released: npt.NDArray[np.float64] | None = None,
    guarantee: Mapping[str, Any] | None = None,
) -> VerificationReport:
    """Recompute the scalar claims of a certificate in ball arithmetic; the issuer's code takes no part (claim T10).

    Confirmed are form and wording, δ at (epsilon, deleted_total), and δ at epsilon_limit for deletions_left more rows.
    Not examined are ε of subsampled steps, which needs an accountant, and of one row by quadrature (T15, part 3); what
    is below all that any analysis of the constants could give is false.
    Without ``released`` and ``guarantee`` it stays open which model is meant, and what its training promised.

    Args:
        certificate: what is checked.
        released: the released weights of the model in use; their digest must be the certificate's.
        guarantee: what the training promised, as `DPGuarantee.to_dict` has it.

    >>> from certified.dp.output_curve import OutputCurve
    >>> from certified.dp import DPGuarantee, certify_deletion
    >>> model = DPGuarantee(mechanism="output perturbation", stated_epsilon=0.1, stated_delta=1e-6, group_size=1,
    ...                     curve=OutputCurve(1.0, 1.0, 0.0, 50.0), loss="logistic", n_features=2, n_outputs=1)
    >>> verify_deletion(certify_deletion(model, 3, 1.0, 1e-6, model="0" * 64)).complete
    True
    """
    if not isinstance(certificate, DeletionCertificate):
        raise TypeError("certificate must be a DeletionCertificate: read one with DeletionCertificate.from_json")
    c = certificate
    problem = _malformed(c)
    checks = [Check("record", problem is None, problem or "types, schema and ranges are in order")]
    if problem is None:
        checks += [_statements(c), _mechanism(c), *_privacy(c)]
        if released is not None:
            same = weights_commitment(b"", np.asarray(released, dtype=np.float64)) == c.model
            checks.append(Check("model", same, "the released weights must be those of the certificate"))
        if guarantee is not None:
            checks.append(_trained(c, guarantee))
    return VerificationReport(tuple(checks))


def _malformed(c: DeletionCertificate) -> str | None:
    try:
        if DeletionCertificate.from_json(c.to_json()) != c:
            return "the certificate does not survive its own canonical JSON"
    except (CertificateFormatError, ValueError, TypeError, AttributeError) as error:
        return f"not a well-formed certificate: {error}"
    if not 0.0 <= c.epsilon <= c.epsilon_limit < math.inf or not 0.0 < c.delta < 1.0:
        return "epsilon must not exceed epsilon_limit, both finite, and delta must lie between 0 and 1"
    if c.deletions_left < 0 or not 1 <= c.block <= c.deleted_total <= c.deleted_total + c.deletions_left <= MOST_ROWS:
        return "deleted_total, deletions_left or block is out of range"
    if len(c.model) != 64 or set(c.model) - set("0123456789abcdef"):
        return "model must be 64 hexadecimal digits"
    return None


def _statements(c: DeletionCertificate) -> Check:
    said = (c.reference, c.threat_model, c.upkeep, c.assumptions[: len(DELETION_ASSUMPTIONS)])
    expected = (DELETION_REFERENCE, DELETION_THREAT_MODEL, DELETION_UPKEEP, DELETION_ASSUMPTIONS)
    detail = "reference, threat model, upkeep and standing assumptions are the library's"
    return Check("statements", said == expected, detail)


def _mechanism(c: DeletionCertificate) -> Check:
    own = c.constants.get("claims")
    if not isinstance(own, list):
        return Check("claims", False, "constants names no claims")
    needed = {"T10", *map(str, own)} | ({"T17c"} if c.block < c.deleted_total else set())
    exact = (c.noise == "rounded_gaussian") == ("T13" in c.claims)
    known = c.relation == "add or remove" and c.noise in ("rounded_gaussian", "idealized_gaussian")
    return Check("claims", needed <= set(c.claims) and exact and known, "claims, noise and relation fit the mechanism")


def _trained(c: DeletionCertificate, guarantee: Mapping[str, Any]) -> Check:
    """Whether the training promised what the certificate builds on."""
    stated = {"mechanism", "loss", "n_features", "n_outputs", "noise", "relation"}
    same = all(getattr(c, name) == guarantee.get(name) for name in stated) and c.constants == guarantee.get("curve")
    assumed = [*DELETION_ASSUMPTIONS, *guarantee.get("assumptions", ())] == list(c.assumptions)
    return Check("guarantee", same and assumed, "mechanism, constants and assumptions must be those of the training")


def _privacy(c: DeletionCertificate) -> list[Check]:
    with ctx.workprec(PRECISION):
        try:
            delta, floor = _BOUNDS[c.constants["kind"]](c.constants)
            return [
                _at_most("privacy", delta, floor, c.delta, c.epsilon, c.deleted_total),
                _at_most("deletions_left", delta, floor, c.delta, c.epsilon_limit, c.deleted_total + c.deletions_left),
            ]
        except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError):
            return [Check("privacy", False, "constants are not those of a mechanism known to this verifier")]


def _at_most(name: str, delta: Bound, floor: Bound, limit: float, epsilon: float, rows: int) -> Check:
    """Compare bounds for ``rows``, as one group and one row after another (claim T17c), with the certified δ."""
    asked = f"δ({epsilon:.6g}) of {rows} rows is at most {limit:g}"
    share = arb(epsilon) / rows
    together, one = delta(arb(epsilon), rows), delta(share, 1)
    growth = arb(epsilon).expm1() / share.expm1() if epsilon > 0.0 else arb(rows)
    apart = None if one is None else one * growth
    if any(found is not None and found <= limit for found in (together, apart)):
        return Check(name, True, asked)
    least = floor(arb(epsilon), rows)
    if least is not None and least.lower() > limit:
        return Check(name, False, f"the constants do not give that {asked}")
    return Check(name, None, f"not examined: whether {asked} needs an accountant or a quadrature")


def _output(constants: dict[str, Any]) -> tuple[Bound, Bound]:
    """H_μ with μ = (kL/λ + 2s)/σ (claim T14)."""
    gradient, strength, distance, noise = _numbers(constants, "gradient_bound", "strength", "distance", "noise_std")

    def delta(epsilon: arb, rows: int) -> arb:
        return gaussian_delta(epsilon, (rows * gradient / strength + 2 * distance) / noise)

    return delta, delta


def _objective(constants: dict[str, Any]) -> tuple[Bound, Bound]:
    """Σ C(k, j) m^j H_{jμ}(ε − ε₁ − kκ) + δ₁, or H_{kμ} where curvature costs nothing (claim T15, parts 2, 4 to 8).

    The floor is H_{kμ}(ε): k rows with extreme slopes, by which no curvature changes.
    """
    problem = constants["problem"]
    gradient, smoothness, strength = _numbers(problem, "gradient_bound", "smoothness", "strength")
    noise, distance, extra, spent, lost = _numbers(
        constants, "noise_std", "distance", "release_noise_std", "spent_epsilon", "spent_delta"
    )
    slopes, classes, mu, ratio = problem["slopes"], int(problem["outputs"]), gradient / noise, smoothness / strength
    extremes = {"any": 2, "one sign": 1, "logistic": 1, "softmax": classes - 1}[slopes]
    paid = bool(gaussian_delta(spent, 2 * distance / extra) <= lost)
    kappa = (1 + ratio).log()
    if slopes == "logistic":
        kappa = _largest(arb(1), 4 * ratio, mu * mu / 2, arb(1) / 4)
    elif slopes == "softmax":
        kappa = _largest(arb(classes - 1), 2 * ratio, mu * mu / 4, 1 - arb(1) / classes)

    def delta(epsilon: arb, rows: int) -> arb | None:
        rest = epsilon - spent
        if slopes == "logistic" and paid and rest >= 0 and 4 * ratio <= mu * mu / 2 + (rest if rows == 1 else 0):
            return gaussian_delta(rest, rows * mu) + lost
        rest = rest - rows * kappa
        if not (paid and rest >= 0):
            return arb(1)
        if rows > _MOST_TERMS:
            return None
        terms = (
            arb(math.comb(rows, j)) * arb(extremes) ** j * gaussian_delta(rest, j * mu) for j in range(1, rows + 1)
        )
        return sum(terms, arb(0)) + lost

    return delta, lambda epsilon, rows: gaussian_delta(epsilon, rows * mu)


def _sampled(constants: dict[str, Any]) -> tuple[Bound, Bound]:
    """H_μ with μ = k√Σ T/z² where every row is in every step, and e^ε·τ for truncation (claims T3, T20).

    Elsewhere there is a floor alone, the largest that `_told_by_the_sum` has for a phase.
    """
    phases, (truncation,) = constants["phases"], _numbers(constants, "truncation")
    if not all(int(phase["steps"]) >= 0 and 0.0 <= float(phase["sampling_rate"]) <= 1.0 for phase in phases):
        raise ValueError("steps must not be negative, and a sampling rate must lie between 0 and 1")
    whole = all(phase["sampling_rate"] == 1.0 for phase in phases)
    total = sum((int(phase["steps"]) / _numbers(phase, "noise_multiplier")[0] ** 2 for phase in phases), arb(0))

    def delta(epsilon: arb, rows: int) -> arb | None:
        return gaussian_delta(epsilon, rows * total.sqrt()) + epsilon.exp() * truncation if whole else None

    def floor(epsilon: arb, rows: int) -> arb | None:
        if whole or rows > _MOST_TERMS:
            return delta(epsilon, rows)
        return max((_told_by_the_sum(phase, epsilon, rows) for phase in phases), key=lambda found: found.lower())

    return delta, floor


def _told_by_the_sum(phase: dict[str, Any], epsilon: arb, rows: int) -> arb:
    """Return P(A) − e^ε·Q(A) ≤ δ(ε) for A = {the sum of what the steps release is beyond some c} (claim T20, part 5).

    Where each of the k rows adds C whenever it is taken, that sum over t steps is C·(Bin(kt, q) + z√t·N) with them and
    C·z√t·N without. Steps and terms left out only make it less, and so does another c.
    """
    noise, rate = _numbers(phase, "noise_multiplier")[0], float(phase["sampling_rate"])
    steps = min(int(phase["steps"]), _MOST_TERMS // rows)
    if steps < 1 or rate in (0.0, 1.0):
        return gaussian_delta(epsilon, rows * arb(steps).sqrt() / noise) if rate == 1.0 else arb(0)
    trials, spread = rows * steps, noise * arb(steps).sqrt()
    mean, width = trials * rate, 8.0 * math.sqrt(trials * rate * (1.0 - rate)) + 8.0
    taken = range(max(0, int(mean - width)), min(trials, int(mean + width)) + 1)
    odds = {j: math.comb(trials, j) * arb(rate) ** j * (1 - arb(rate)) ** (trials - j) for j in taken}

    def beyond(c: float) -> arb:
        def tail(mean: int) -> arb:
            return ((c - mean) / (spread * arb(2).sqrt())).erfc() / 2

        return sum((share * tail(j) for j, share in odds.items()), arb(0)) - epsilon.exp() * tail(0)

    limits = [mean + float(spread) * step / 2 for step in range(-4, 17)]
    return max((beyond(c) for c in limits), key=lambda found: found.lower())


_BOUNDS: dict[str, Callable[[dict[str, Any]], tuple[Bound, Bound]]] = {
    "output perturbation": _output,
    "objective perturbation": _objective,
    "sampled Gaussian": _sampled,
}


def _largest(rank: arb, gain: arb, loss: arb, limit: arb) -> arb:
    """max of r·log(1 + at/r) − bt over 0 ≤ t ≤ limit, which is concave in t (claim T15, parts 5 and 7)."""
    if gain <= loss:
        return arb(0)
    turn = rank / loss - rank / gain
    best = turn if turn < limit else limit
    # A concave function stays below its tangent; its slope at ``best`` is a small ball around 0, or best is the end.
    slope = gain / (1 + gain * best / rank) - loss
    rise = abs(slope) if best is turn else abs(min(slope.lower(), arb(0)))
    return (rank * (1 + gain * best / rank).log() - loss * best + rise * (limit + abs(best))).upper()


def _numbers(record: dict[str, Any], *names: str) -> list[arb]:
    values = {name: float(record[name]) for name in names}
    if not all(0.0 < value < math.inf or (value == 0.0 and name in _MAY_VANISH) for name, value in values.items()):
        raise ValueError("constants must be finite and positive")
    return [arb(value) for value in values.values()]
