"""Events of Google's dp-accounting as phases and back, and what its accountants say (extra ``dp``).

dp-accounting describes mechanisms as trees of events. Compositions of Gaussians and Poisson-sampled Gaussians can be
accounted here, by `accountant`; no number of dp-accounting enters a bound. Its own figures, for comparison, come from
``other_accountants``: estimates, because nothing accounts for the rounding in its Fourier transforms.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from certified.accounting.mechanisms import ApproximateRelease, Phase, Relation, SubsampledGaussian, checked_phases
from certified.privacy.gaussian import probability

_RELATIONS = {
    Relation.add_or_remove: "ADD_OR_REMOVE_ONE",
    Relation.replace: "REPLACE_ONE",
    Relation.zero_out: "REPLACE_SPECIAL",
}


def from_event(event: Any) -> tuple[Phase, ...]:
    """Return the phases of a ``DpEvent`` whose noise multipliers are relative to the clip norm of one row.

    Raises ``ValueError`` for an event that is none of Gaussian, Poisson-sampled Gaussian, no-op, non-private and their
    compositions. Needs the extra ``dp``.

    >>> from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
    >>> from_event(SelfComposedDpEvent(PoissonSampledDpEvent(0.01, GaussianDpEvent(1.0)), 500))
    (SubsampledGaussian(noise_multiplier=1.0, sampling_rate=0.01, steps=500),)
    """
    return _phases(event, 1)


def to_event(phases: Iterable[Phase]) -> Any:
    """Return the ``ComposedDpEvent`` of Gaussian phases, subsampled or not. Needs the extra ``dp``.

    >>> from_event(to_event([SubsampledGaussian(1.0, 1.0, 3)]))
    (SubsampledGaussian(noise_multiplier=1.0, sampling_rate=1.0, steps=3),)
    """
    dp = _library()
    found = []
    for phase in checked_phases(phases):
        if isinstance(phase, ApproximateRelease):
            raise ValueError("phases must not hold an ApproximateRelease: dp-accounting has no event for it")
        single = dp.GaussianDpEvent(phase.noise_multiplier)
        if phase.sampling_rate < 1.0:
            single = dp.PoissonSampledDpEvent(phase.sampling_rate, single)
        found.append(dp.SelfComposedDpEvent(single, phase.steps))
    return dp.ComposedDpEvent(found)


def other_accountants(delta: float, phases: Iterable[Phase], relation: Relation) -> dict[str, float | None]:
    """Return ε at ``delta`` for one row by dp-accounting's PLD and RDP accountants: estimates, no bounds.

    ``None`` where an accountant does not cover the phases or the relation. Needs the extra ``dp``.

    >>> found = other_accountants(1e-5, [SubsampledGaussian(4.0, 1.0, 1)], Relation.add_or_remove)
    >>> round(found["pld"], 3), round(found["rdp"], 3)
    (0.926, 1.013)
    """
    delta = probability("delta", delta)
    dp = _library()
    from dp_accounting.pld import PLDAccountant
    from dp_accounting.rdp import RdpAccountant

    neighbours = dp.NeighboringRelation[_RELATIONS[relation]]
    event = to_event(phases)
    figures: dict[str, float | None] = {}
    for name, accountant in (("pld", PLDAccountant), ("rdp", RdpAccountant)):
        try:
            figures[name] = float(accountant(neighboring_relation=neighbours).compose(event).get_epsilon(delta))
        except (dp.UnsupportedEventError, ValueError):
            figures[name] = None
    return figures


def _phases(event: Any, count: int) -> tuple[Phase, ...]:
    dp = _library()
    if isinstance(event, dp.NoOpDpEvent):
        return ()
    if isinstance(event, dp.ComposedDpEvent):
        return tuple(phase for part in event.events for phase in _phases(part, count))
    if isinstance(event, dp.SelfComposedDpEvent):
        return _phases(event.event, count * event.count)
    if isinstance(event, dp.GaussianDpEvent):
        return (SubsampledGaussian(event.noise_multiplier, 1.0, count),)
    if isinstance(event, dp.NonPrivateDpEvent):
        return (ApproximateRelease(0.0, 1.0, count),)
    if isinstance(event, dp.PoissonSampledDpEvent) and isinstance(event.event, dp.GaussianDpEvent):
        return (SubsampledGaussian(event.event.noise_multiplier, event.sampling_probability, count),)
    raise ValueError(
        f"event {type(event).__name__} is not accounted here; add what it promises as an ApproximateRelease"
    )


def _library() -> Any:
    try:
        import dp_accounting
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("events need dp-accounting; install certified-removal[dp]") from error
    return dp_accounting
