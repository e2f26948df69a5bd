"""Checks that need the certificate alone: form, counts, constants, wording and the privacy arithmetic (T3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from flint import arb, ctx

from certified.certificates.certificate import Certificate
from certified.certificates.statements import (
    CLAIMS,
    EXTRACTOR_CLAIMS,
    IDEALIZED_NOISE,
    REFERENCE,
    THREAT_MODEL,
    assumptions,
)
from certified.verification.features import feature_problems
from certified.verification.gaussian import gaussian_delta, largest_mu
from certified.verification.losses import HINGES, LOSSES, LossConstants, leaves_intercept_free
from certified.verification.report import Check

DISTANCE_CLAIMS = {"T0": {"T0"}, "T1": {"T1"}, "T2": {"T2"}, "T2w": {"T2", "T2w"}, "T6": {"T2", "T6", "T6a"}}
LOSS_CLAIMS = {
    "logistic": {"C-logistic", "T12e"},
    "squared": {"C-squared"},
    "softmax": {"C-softmax", "T12e"},
    "poisson": {"C-poisson", "T12e"},
    "gamma": {"C-gamma", "T12e"},
    **{name: {"C-hinge"} for name in HINGES},
}
NOISES = ("rounded_gaussian", "idealized_gaussian")

_EXACT = 8192
"""Bits at which sums of products of float64 numbers of any practical size are exact."""
_TOLERANCE = 1e-9


def check_form(certificate: Certificate) -> Check:
    """Types, schema and the range of every field; the other checks rely on it."""
    return _result("record", list(_malformed(certificate)), "types, schema and ranges are in order")


def check_record(certificate: Certificate) -> list[Check]:
    """All checks that need nothing beside the certificate."""
    groups = (
        ("event", _event, "the counts fit the event"),
        ("constants", _constants, "the loss constants are the proved ones"),
        ("noise", _noise, "the noise fits the claims and assumptions"),
        ("claims", _claims, "the claims are those that the figures rest on"),
        (
            "features",
            feature_problems,
            "the provenance of the features fits the guarantee that includes it",
        ),
        ("statements", _statements, "reference, threat model and standing assumptions are the library's"),
        ("composition", _composition, "mu is √(mu_before² + (distance_bound/noise_std)²), rounded up"),
        ("privacy", _privacy, "δ(ε; mu) is at most delta"),
        ("target", _target, "distance_target is what (ε, δ) and noise_std permit"),
    )
    return [_result(name, list(problems(certificate)), confirmed) for name, problems, confirmed in groups]


def _result(name: str, problems: list[str], confirmed: str) -> Check:
    return Check(name, not problems, "; ".join(problems) or confirmed)


def _malformed(c: Certificate) -> Iterator[str]:
    try:
        if Certificate.from_json(c.to_json()) != c:
            yield "the certificate does not survive its own canonical JSON"
            return
    except (ValueError, TypeError, AttributeError) as error:
        yield f"not a well-formed certificate: {error}"
        return
    for name in ("mu", "mu_before", "distance_bound", "distance_target", "gradient_residual", "rounding_error",
                 "row_norm_bound", "l2_strength", "alpha", "epsilon"):  # fmt: skip
        if not 0.0 <= getattr(c, name) < float("inf"):
            yield f"{name} must be finite and not negative"
    if not 0.0 < c.delta < 1.0:
        yield "delta must lie between 0 and 1"
    if not 0.0 < c.noise_std < float("inf"):
        yield "noise_std must be positive and finite"
    if not c.curvature > 0.0:
        yield "curvature must be positive"
    for name in ("n_outputs", "remaining_count", "removed_count", "added_count", "removed_total"):
        if getattr(c, name) < 0:
            yield f"{name} must not be negative"
    for name in ("n_features", "releases"):
        if getattr(c, name) < 1:
            yield f"{name} must be at least 1"
    if not re.fullmatch("(?:[0-9a-f]{2})+", c.salt):
        yield "salt must be hexadecimal bytes"
    for name in ("rows_commitment", "released_commitment", "weights_commitment"):
        if not re.fullmatch("[0-9a-f]{64}", getattr(c, name)):
            yield f"{name} must be 64 hexadecimal digits"
    if not re.fullmatch(r"\d+(\.\d+)*[0-9A-Za-z.+-]*", c.library_version):
        yield "library_version must be a version number"
    yield from _implausible_time(c.issued_at)


def _implausible_time(issued_at: str) -> Iterator[str]:
    try:
        moment = datetime.fromisoformat(issued_at)
    except ValueError:
        yield "issued_at must be an ISO 8601 time"
        return
    if moment.utcoffset() != timedelta(0):
        yield "issued_at must be in UTC"
    elif moment > datetime.now(UTC) + timedelta(days=1):
        yield "issued_at lies in the future"


def _event(c: Certificate) -> Iterator[str]:
    counts = (c.removed_count, c.added_count)
    plausible = {
        "fit": c.removed_count == 0 and c.added_count == c.remaining_count,
        "remove": c.removed_count > 0 and c.added_count == 0,
        "add": c.removed_count == 0 and 0 < c.added_count <= c.remaining_count,
        "correct": 0 < c.removed_count == c.added_count <= c.remaining_count,
        "release": counts == (0, 0),
    }
    if c.event not in plausible:
        yield f"event must be one of {', '.join(plausible)}"
    elif not plausible[c.event]:
        yield f"the counts of removed, added and remaining rows do not fit the event {c.event!r}"
    if c.removed_total < c.removed_count:
        yield "removed_total is smaller than removed_count"
    if c.event == "fit" and (c.removed_total != 0 or c.releases != 1):
        yield "a fit starts a new count of removed rows and releases"


def _constants(c: Certificate) -> Iterator[str]:
    if c.loss not in LOSSES:
        yield f"the loss {c.loss!r} is unknown to this verifier, which has proved formulas for {', '.join(LOSSES)}"
    elif LossConstants(c.self_concordance, c.derivative_limit, c.curvature_limit) != LOSSES[c.loss]:
        yield f"self_concordance, derivative_limit and curvature_limit are not those proved for {c.loss}"


def _noise(c: Certificate) -> Iterator[str]:
    if c.noise not in NOISES:
        yield f"noise must be one of {', '.join(NOISES)}"
        return
    exact = c.noise == "rounded_gaussian"
    if exact != ("T13" in c.claims):
        yield "T13 belongs to the claims exactly when the noise is rounded_gaussian"
    if exact == (IDEALIZED_NOISE in c.assumptions):
        yield "the assumption idealized_noise must be named exactly when the noise is idealized_gaussian"


def _claims(c: Certificate) -> Iterator[str]:
    if c.distance_claim not in DISTANCE_CLAIMS:
        yield f"distance_claim must be one of {', '.join(DISTANCE_CLAIMS)}"
        return
    if c.claims != tuple(sorted(set(map(str, c.claims)))):
        yield "claims must be sorted, each named once"
    free_intercept = c.fit_intercept and leaves_intercept_free(c.loss)
    if c.distance_claim in ("T2", "T2w", "T6") and not c.self_concordance < float("inf"):
        yield f"{c.distance_claim} needs a self-concordant loss: for {c.loss} only T1 applies"
    needed = {*CLAIMS, *DISTANCE_CLAIMS[c.distance_claim], *LOSS_CLAIMS.get(c.loss, ())}
    if c.features == "dp":
        needed |= {*EXTRACTOR_CLAIMS}
    permitted = needed | {"T12b", "T13"}
    if c.distance_claim in ("T2", "T2w", "T6"):
        curvature = {"T2f", "T2s" if free_intercept else "T1"}
        permitted |= curvature
        if len(curvature & set(c.claims)) != 1:
            yield f"claims must name one of {', '.join(sorted(curvature))} for the curvature"
    missing = sorted(needed - set(c.claims))
    unfounded = sorted(set(map(str, c.claims)) - permitted)
    if missing:
        yield f"claims lacks {', '.join(missing)}"
    if unfounded:
        yield f"claims names what nothing here rests on: {', '.join(unfounded)}"
    if c.distance_claim == "T1" and (free_intercept or not c.alpha > 0.0):
        yield "T1 needs alpha > 0 and no unpenalised intercept"


def _statements(c: Certificate) -> Iterator[str]:
    if c.reference != REFERENCE:
        yield "reference is not the library's"
    if c.threat_model != THREAT_MODEL:
        yield "threat_model is not the library's"
    try:
        expected = assumptions(c.provenance, c.noise)
    except (TypeError, ValueError):
        return
    further = c.assumptions[len(expected) :]
    if c.assumptions[: len(expected)] != expected:
        yield "assumptions must begin with the library's"
    if not all(isinstance(text, str) and text.strip() for text in further) or len(set(further)) < len(further):
        yield "every further assumption must be a text of its own"


def _composition(c: Certificate) -> Iterator[str]:
    with ctx.workprec(_EXACT):
        variance = arb(c.noise_std) ** 2
        exact = arb(c.mu_before) ** 2 * variance + arb(c.distance_bound) ** 2
        certified = arb(c.mu) ** 2 * variance
        if not certified >= exact:
            yield "mu is smaller than mu_before and distance_bound/noise_std make it"
        elif not arb(c.mu) <= (exact / variance).sqrt() * (1 + _TOLERANCE) + arb(1e-300):
            yield "mu is larger than mu_before and distance_bound/noise_std make it"
    if c.releases == 1 and c.mu_before != 0.0:
        yield "mu_before must be 0 at the first release"


def _privacy(c: Certificate) -> Iterator[str]:
    if not gaussian_delta(c.epsilon, c.mu) <= c.delta:
        yield f"the releases are not ({c.epsilon:g}, {c.delta:g})-indistinguishable at mu = {c.mu:.6g}"


def _target(c: Certificate) -> Iterator[str]:
    """Budget policy: a share μ²/(j + 1) for a whole number j of planned releases, or half of the μ² that is left."""
    if c.distance_bound > c.distance_target:
        yield "distance_bound exceeds distance_target"
    mu = largest_mu(c.epsilon, c.delta)
    with ctx.workprec(256):
        target, total = (arb(c.distance_target) / arb(c.noise_std)) ** 2, arb(mu) ** 2
        half = (total - arb(c.mu_before) ** 2) / 2
        if not target <= half * (1 + _TOLERANCE):
            yield "distance_target is more than (ε, δ), noise_std and the earlier releases permit"
        elif not abs(target - half) <= total * _TOLERANCE:
            shares = float(total / target) if target > 0 else 0.0
            if not abs(shares - round(shares)) <= max(1.0, shares) * _TOLERANCE or round(shares) < 2:
                yield "distance_target is neither an equal share of what (ε, δ) permits nor half of what is left"
