"""Verifying a certificate from the remaining rows and the noise-free weights, with arithmetic of its own (T16)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import gammainccinv, gammaincinv

from certified.certificates.certificate import Certificate
from certified.certificates.commitment import row_digests, table_commitment, weights_commitment
from certified.verification.evidence import Evidence, UnfitLabelsError, one_hot, one_vs_rest
from certified.verification.figures import check_figures
from certified.verification.losses import LOSSES, REGRESSIONS
from certified.verification.objective import BLOCK_ENTRIES, ArbObjective, Progress
from certified.verification.record import check_form, check_record
from certified.verification.report import Check as Check
from certified.verification.report import VerificationError as VerificationError
from certified.verification.report import VerificationReport as VerificationReport

Array = npt.NDArray[np.float64]

NOISE_LEVEL = 1e-12
"""Probability of rejecting a genuine release for the size of its noise, on each side."""


def verify(
    certificate: Certificate,
    X: Any,
    y: Any,
    weights: Array,
    *,
    sample_weight: Any = None,
    released: Array | None = None,
    nonce: bytes | None = None,
    progress: Progress | None = None,
) -> VerificationReport:
    """Recompute every figure of a certificate in ball arithmetic; the issuer's numerical code takes no part (T16).

    Confirmed are the rows (by their commitment), ‖∇F(W)‖_F ≤ gradient_residual, curvature ≤ λ_min(∇²F(W)),
    ‖W − W*‖_F ≤ distance_bound (T1, T2), the composition of releases, δ(ε; mu) ≤ delta (T3), and that all fields fit
    together. These inputs cannot confirm ``issued_at``, ``library_version`` and further assumptions; counts of earlier
    requests (``releases``, ``removed_count``, ``added_count``, ``removed_total``) and the ``event`` beyond their
    consistency; how the noise was drawn beyond its size; nor that this certificate belongs to that history.

    Args:
        certificate: the certificate.
        X: (n, d) the remaining rows, in any order; or a source of them (`certified.data.sources`, or anything with
            ``length``, ``n_features`` and ``read``), which is read chunk by chunk and holds y and sample_weight, too.
        y: (n,) their labels; (n,) or (n, K) targets of a regression; None for a source.
        weights: (p, K) float64, the noise-free weights W: a secret; p = d, plus one for an intercept.
        sample_weight: (n,) weights c_i ≥ 0; 1 by default, None for a source.
        released: (p, K) float64, the released weights, to check their commitment and the size of the noise.
        nonce: the secret nonce of the commitments to rows and weights, to check both.
        progress: called with (rows done, rows) after each block of rows, anew for each pass.

    Returns:
        The report: false, with named failures, unless everything examined was confirmed. It holds no secret.

    Raises:
        TypeError, ValueError: an argument is unusable whatever the certificate says; the message names it.
    """
    if not isinstance(certificate, Certificate):
        raise TypeError("certificate must be a Certificate: read one with Certificate.from_json or Certificate.load")
    evidence = Evidence.validated(X, y, weights, sample_weight, released, nonce)
    form = check_form(certificate)
    checks = [form]
    if form.passed:
        checks += check_record(certificate)
        checks += _check_rows(certificate, evidence, progress)
        checks += _check_commitments(certificate, evidence)
    return VerificationReport(tuple(checks))


def _check_rows(c: Certificate, evidence: Evidence, progress: Progress | None) -> Iterator[Check]:
    """Compare the rows with the certificate and, where they fit together, its figures."""
    n, d = evidence.features.shape
    yield Check("row_count", n == c.remaining_count, f"{n} rows given, {c.remaining_count} certified")
    follows = c.alpha == _alpha(c, evidence.sample_weights)
    yield Check("alpha", follows, "alpha must follow from l2_scaling and l2_strength")
    try:
        labels = evidence.labels(c.loss)
        classes = () if c.loss in REGRESSIONS else evidence.classes(labels)
    except UnfitLabelsError as error:
        yield Check("classes", False, str(error))
        return
    same = json.dumps(classes) == json.dumps(c.classes)
    yield Check("classes", same, f"{len(classes)} classes in the rows, {len(c.classes)} certified")
    if evidence.nonce is None:
        yield Check("rows_commitment", None, "not examined: no nonce given")
    else:
        committed = table_commitment(evidence.nonce, _digests(c, evidence, labels, progress)) == c.rows_commitment
        yield Check("rows_commitment", committed, "the rows, labels and sample weights must be the committed ones")
    if c.loss in REGRESSIONS:
        targets = np.array(labels, dtype=np.float64).reshape(n, -1 if n else c.n_outputs)
    else:
        targets = (one_hot if c.loss == "softmax" else one_vs_rest)(labels, classes)
    given = (d, len(evidence.weights), evidence.weights.shape[1], targets.shape[1])
    fits = given == (c.n_features, c.n_features + c.fit_intercept, c.n_outputs, c.n_outputs)
    yield Check("shape", fits, f"{c.n_features} features, {c.n_outputs} outputs, intercept: {c.fit_intercept}")
    if not (fits and c.loss in LOSSES):
        lacking = "rows, labels and weights do not fit the certificate" if not fits else f"no formulas for {c.loss!r}"
        yield Check("distance_bound", None, f"not examined: {lacking}")
        return
    used = evidence.counted
    objective = ArbObjective(
        loss=c.loss,
        features=evidence.counted_features,
        targets=targets[used],
        sample_weights=evidence.sample_weights[used],
        alpha=c.alpha,
        fit_intercept=c.fit_intercept,
        weights=evidence.weights,
        progress=progress,
    )
    yield from check_figures(c, objective)


def _digests(
    c: Certificate, evidence: Evidence, labels: Sequence[Any], progress: Progress | None
) -> npt.NDArray[np.bytes_]:
    """The digests of the rows, sorted, by a pass of its own."""
    (n, d), salt = evidence.features.shape, bytes.fromhex(c.salt)
    table, size = np.zeros(n, dtype="S32"), max(1, BLOCK_ENTRIES // max(1, d))
    for start in range(0, n, size):
        rows = slice(start, start + size)
        digests = row_digests(salt, evidence.features[rows], labels[rows], evidence.sample_weights[rows])
        table[rows] = np.frombuffer(b"".join(digests), dtype="S32")
        if progress is not None:
            progress(start + len(digests), n)
    table.sort()
    return table


def _alpha(c: Certificate, sample_weights: Array) -> float:
    """Total L2 strength: λ, or λ times the correctly rounded sum of the sample weights; NaN for an unknown scaling."""
    scale = {"total": 1.0, "per_sample": math.fsum(sample_weights.tolist())}
    return c.l2_strength * scale.get(c.l2_scaling, math.nan)


def _check_commitments(c: Certificate, evidence: Evidence) -> Iterator[Check]:
    if evidence.nonce is None:
        yield Check("weights_commitment", None, "not examined: no nonce given")
    else:
        same = weights_commitment(evidence.nonce, evidence.weights) == c.weights_commitment
        yield Check("weights_commitment", same, "weights and nonce must be the committed ones")
    if evidence.released is None:
        yield Check("released_commitment", None, "not examined: no released weights given")
        yield Check("released_noise", None, "not examined: no released weights given")
    else:
        same = weights_commitment(b"", evidence.released) == c.released_commitment
        yield Check("released_commitment", same, "the released weights must be the committed ones")
        plausible = _plausible_noise(evidence.released, evidence.weights, c.noise_std)
        detail = f"‖released − W‖²/σ² must lie within its χ² bounds at level {NOISE_LEVEL:g}"
        yield Check("released_noise", plausible, detail)


def _plausible_noise(released: Array, weights: Array, noise_std: float) -> bool:
    """Whether the noise passes a two-sided χ² test, allowing for the rounding of the release to float64."""
    if not np.all(np.isfinite(released)):
        return False
    if weights.size == 0:
        return True
    shape = 0.5 * weights.size
    low, high = (math.sqrt(2.0 * float(inverse(shape, NOISE_LEVEL))) for inverse in (gammaincinv, gammainccinv))
    rounding = 0.5 * float(np.linalg.norm(np.spacing(released)))
    size = float(np.linalg.norm(released - weights))
    return low * noise_std <= size + rounding and size - rounding <= high * noise_std
