"""Deletions from a privately trained model: what is already certified for k rows, and how many rows are left (T10).

Nothing is computed from the rows and the model stays as it is. Deletions add up: k counts all rows since the training.
A group of k rows has the mechanism's own bound (mixtures for DP-SGD, T10; kμ for output perturbation, T14; T15), and
those of ⌈k/j⌉ blocks of j rows, one after another (T17c). All hold in both directions; the smallest one is taken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from certified.accounting.mechanisms import MOST_ROWS
from certified.certificates.certificate import Certificate
from certified.certificates.commitment import weights_commitment
from certified.certificates.deletion import DELETION_ASSUMPTIONS, DeletionCertificate
from certified.certificates.provenance import Provenance
from certified.dp.curve import InvertibleCurve
from certified.dp.guarantee import RELATION, DPGuarantee
from certified.dp.minimiser import checked_goal
from certified.dp.sampled import SampledCurve
from certified.privacy.extractor import feature_guarantee
from certified.privacy.gaussian import gaussian_mu, nonnegative, probability, smallest_float
from certified.privacy.group import group_guarantee, group_share
from certified.version import __version__

_MOST_DELETIONS = 10**6
"""Beyond it nobody is asked how many more."""


class DeletionLimitError(ValueError):
    """So many deletions are not within the promised (ε, δ); the model has to be trained again without the rows.

    Attributes:
        deletions: the number of rows in all that are within it.
    """

    def __init__(self, rows: int, epsilon: float, delta: float, deletions: int) -> None:
        super().__init__(
            f"deleted={rows} rows exceed what is certified at epsilon={epsilon:g}, delta={delta:g}, which is "
            f"{deletions} since the training: train again on the remaining rows, which starts a new count, or certify "
            "for a larger epsilon or delta"
        )
        self.deletions = deletions


@dataclass(frozen=True)
class DeletionBound:
    """(ε, δ) of any k rows, and the number of rows in a block that gave it; k itself for the mechanism's own bound."""

    epsilon: float
    delta: float
    block: int


def deletion_delta(guarantee: DPGuarantee, epsilon: float, rows: int) -> DeletionBound:
    """Return the smallest δ known at ``epsilon`` for deleting any ``rows`` rows or fewer (claims T10, T17c).

    Raises ``ValueError`` for a negative or NaN ε and ``rows`` < 1.

    >>> from certified.dp import DPGuarantee
    >>> from certified.dp.output_curve import OutputCurve
    >>> curve = OutputCurve(gradient_bound=1.0, strength=1.0, distance=0.0, noise_std=50.0)
    >>> model = DPGuarantee(mechanism="output perturbation", stated_epsilon=0.1, stated_delta=1e-6, group_size=1,
    ...                     curve=curve, loss="logistic", n_features=2, n_outputs=1)
    >>> deletion_delta(model, 1.0, 10).block, deletion_delta(model, 1.0, 10).delta < 1e-6
    (10, True)
    """
    epsilon, rows = nonnegative("epsilon", epsilon), _rows("rows", rows)
    deltas = {block: _blocks_delta(guarantee, epsilon, rows, block) for block in _blocks(guarantee, rows)}
    block = min(deltas, key=lambda size: deltas[size])
    return DeletionBound(epsilon, deltas[block], block)


def deletion_epsilon(guarantee: DPGuarantee, delta: float, rows: int) -> DeletionBound:
    """Return the smallest ε known at ``delta`` for deleting any ``rows`` rows or fewer (claims T10, T17c).

    ε is ``inf`` where nothing is known. Raises ``ValueError`` unless 0 ≤ δ ≤ 1 and ``rows`` ≥ 1.
    """
    delta, rows = probability("delta", delta), _rows("rows", rows)
    epsilons = {block: _blocks_epsilon(guarantee, delta, rows, block) for block in _blocks(guarantee, rows)}
    block = min(epsilons, key=lambda size: epsilons[size])
    return DeletionBound(epsilons[block], delta, block)


def deletions_left(guarantee: DPGuarantee, epsilon: float, delta: float, deleted: int = 0) -> int:
    """Return how many rows may be deleted beyond the ``deleted`` ones within (ε, δ): their bound was met (claim T10).

    At most 10⁶ in all are looked for. Raises ``ValueError`` for an (ε, δ) out of range and a negative ``deleted``.
    """
    epsilon, delta, _ = checked_goal(epsilon, delta, 1)
    if isinstance(deleted, bool) or not isinstance(deleted, int | np.integer) or deleted < 0:
        raise ValueError(f"deleted must be a number of rows, 0 or more, got {deleted!r}")

    def within(rows: int) -> bool:
        return deletion_delta(guarantee, epsilon, rows).delta <= delta

    good, bad = _bracket(within, _expected_deletions(guarantee, epsilon, delta))
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if within(middle) else (good, middle)
    return max(0, good - int(deleted))


def certify_deletion(
    guarantee: DPGuarantee, deleted: int, epsilon: float, delta: float, *, model: npt.NDArray[np.float64] | str
) -> DeletionCertificate:
    """Certify that the unchanged model is as good as one trained without the ``deleted`` rows (claim T10).

    Args:
        guarantee: what the training promised; its curve is used, not the (ε, δ) that it states.
        deleted: k, all rows deleted since the training, these ones included.
        epsilon, delta: what was promised for deletions from this model; the certificate states the smallest ε at δ.
        model: the released weights, or the SHA-256 that says which they are, such as `features.parameter_digest`.

    Raises:
        ValueError: an argument out of range.
        DeletionLimitError: so many rows are not within (ε, δ); the message says how many are, and the remedy.

    Example:
        >>> from certified.accounting import SubsampledGaussian
        >>> from certified.dp.sampled import SampledCurve
        >>> steps = SampledCurve((SubsampledGaussian(noise_multiplier=8.0, sampling_rate=1.0, steps=4),), 0.0)
        >>> trained = DPGuarantee(mechanism="DP-SGD", stated_epsilon=1.0, stated_delta=1e-5, group_size=1,
        ...                       curve=steps, loss="logistic", n_features=2, n_outputs=1)
        >>> certificate = certify_deletion(trained, 2, 2.5, 1e-5, model="0" * 64)
        >>> round(certificate.epsilon, 3), certificate.deletions_left
        (1.993, 0)
    """
    epsilon, delta, _ = checked_goal(epsilon, delta, 1)
    if guarantee.relation != RELATION:
        raise ValueError(
            f"guarantee is for the relation {guarantee.relation!r}, which says nothing about a missing row: train with "
            f"a guarantee for {RELATION!r}"
        )
    deleted = _rows("deleted", deleted)
    most = deletions_left(guarantee, epsilon, delta)
    # Bounds of far larger groups than fit take long, and are not needed.
    promised = deletion_delta(guarantee, epsilon, min(deleted, most + 1))
    if deleted > most or not promised.delta <= delta:
        raise DeletionLimitError(deleted, epsilon, delta, min(most, deleted - 1))
    found = deletion_epsilon(guarantee, delta, deleted)
    bound = found if found.epsilon <= epsilon else promised
    left = most - deleted
    claims = {*guarantee.claims, "T10"}
    if not isinstance(guarantee.curve, SampledCurve) or deleted + left > MOST_ROWS:
        claims.add("T17c")
    return DeletionCertificate(
        epsilon=bound.epsilon,
        delta=delta,
        epsilon_limit=epsilon,
        deleted_total=deleted,
        deletions_left=left,
        block=bound.block,
        mechanism=guarantee.mechanism,
        constants=guarantee.curve.constants(),
        loss=guarantee.loss,
        n_features=guarantee.n_features,
        n_outputs=guarantee.n_outputs,
        noise=guarantee.noise,
        relation=guarantee.relation,
        model=_digest(model),
        claims=tuple(sorted(claims)),
        assumptions=(*DELETION_ASSUMPTIONS, *guarantee.assumptions),
        library_version=__version__,
    )


def extractor_provenance(guarantee: DPGuarantee, name: str, digest: str, delta: float) -> Provenance:
    """Return where features come from that a privately trained extractor makes: (ε, δ) of one row (claim T11).

    For the parameter ``features`` of a certified estimator, whose certificates then compose the two. Errors as in
    `Provenance.dp`.
    """
    return Provenance.dp(name, digest, epsilon=guarantee.epsilon(delta, 1), delta=probability("delta", delta))


def with_head(extractor: DeletionCertificate, head: Certificate) -> tuple[float, float]:
    """Return (ε, δ) of extractor and head together for the deleted rows: sharper than the head's own (claim T11).

    A head's certificate knows (ε₁, δ₁) of one row and takes the generic bound for k. The extractor's certificate has
    the bound for the very k rows.

    Raises:
        ValueError: the head has other features, or more rows were removed from it than deleted from the extractor.
    """
    if head.features != "dp" or head.features_digest != extractor.model:
        raise ValueError("head must be certified on features of this extractor: its features_digest is another model's")
    if head.removed_total > extractor.deleted_total:
        raise ValueError(
            f"extractor is certified for {extractor.deleted_total} deleted rows, but {head.removed_total} were removed "
            "from the head: certify the extractor for all of them"
        )
    return feature_guarantee(extractor.epsilon, extractor.delta, head.epsilon, head.delta)


def _expected_deletions(guarantee: DPGuarantee, epsilon: float, delta: float) -> int:
    """Where to begin: bounds of groups grow about as those of Gaussians, if it is cheap to ask for ε."""
    one = guarantee.epsilon(delta, 1) if isinstance(guarantee.curve, InvertibleCurve) else 0.0
    if not 0.0 < one < math.inf:
        return 1
    return int(min(_MOST_DELETIONS, max(1.0, gaussian_mu(epsilon, delta) / gaussian_mu(one, delta))))


def _bracket(within: Callable[[int], bool], start: int) -> tuple[int, int]:
    """Return numbers of rows of which the first is within the limit (or 0), the second not (or one too many)."""
    at, step = start, 1
    if within(at):
        while at < _MOST_DELETIONS and within(min(at + step, _MOST_DELETIONS)):
            at, step = min(at + step, _MOST_DELETIONS), 2 * step
        return at, min(at + step, _MOST_DELETIONS + 1)
    while at - step > 0 and not within(at - step):
        at, step = at - step, 2 * step
    return max(0, at - step), at


def _blocks(guarantee: DPGuarantee, rows: int) -> tuple[int, ...]:
    """Rows in a block, the mechanism's own bound first; the mixtures of DP-SGD are tight, so nothing beside them."""
    if isinstance(guarantee.curve, SampledCurve):
        return (rows,) if rows <= MOST_ROWS else (MOST_ROWS,)
    return (rows,) if rows == 1 else (rows, 1)


def _blocks_delta(guarantee: DPGuarantee, epsilon: float, rows: int, block: int) -> float:
    count = -(-rows // block)
    if count == 1:
        return guarantee.delta(epsilon, rows)
    share, _ = group_share(epsilon, 0.0, count)
    return group_guarantee(share, guarantee.delta(share, block), count)[1]


def _blocks_epsilon(guarantee: DPGuarantee, delta: float, rows: int, block: int) -> float:
    if block >= rows:
        return guarantee.epsilon(delta, rows)

    def within(epsilon: float) -> bool:
        return epsilon == math.inf or _blocks_delta(guarantee, epsilon, rows, block) <= delta

    # Where δ(ε/k) falls more slowly than the factor grows, a smallest ε need not exist: any that holds is sound.
    found = smallest_float(within)
    return found if within(found) else math.inf


def _rows(name: str, rows: int) -> int:
    if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < 1:
        raise ValueError(f"{name} must be a number of rows of at least 1, got {rows!r}")
    return int(rows)


def _digest(model: npt.NDArray[np.float64] | str) -> str:
    digest = model if isinstance(model, str) else weights_commitment(b"", np.asarray(model, dtype=np.float64))
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError("model must be the released weights or the 64 hexadecimal digits of their SHA-256")
    return digest
