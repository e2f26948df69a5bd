from __future__ import annotations

import dp_accounting as dp
import pytest

from certified.accounting import ApproximateRelease, Relation, SubsampledGaussian
from certified.accounting.events import from_event, other_accountants, to_event

PHASES = (SubsampledGaussian(1.0, 0.01, 500), SubsampledGaussian(3.0, 1.0, 2))


def test_phases_survive_the_way_there_and_back() -> None:
    assert from_event(to_event(PHASES)) == PHASES


def test_compositions_are_unfolded() -> None:
    inner = dp.ComposedDpEvent([dp.GaussianDpEvent(2.0), dp.NoOpDpEvent(), dp.NonPrivateDpEvent()])
    assert from_event(dp.SelfComposedDpEvent(inner, 3)) == (
        SubsampledGaussian(2.0, 1.0, 3),
        ApproximateRelease(0.0, 1.0, 3),
    )


@pytest.mark.parametrize(
    "event",
    [
        dp.LaplaceDpEvent(1.0),
        dp.PoissonSampledDpEvent(0.1, dp.ComposedDpEvent([dp.GaussianDpEvent(1.0)] * 2)),
        dp.SampledWithoutReplacementDpEvent(100, 10, dp.GaussianDpEvent(1.0)),
    ],
)
def test_other_events_are_refused(event: dp.DpEvent) -> None:
    with pytest.raises(ValueError, match=r"Event is not accounted here"):
        from_event(event)


def test_an_approximate_release_has_no_event() -> None:
    with pytest.raises(ValueError, match="no event for it"):
        to_event([ApproximateRelease(1.0)])


def test_an_accountant_that_does_not_apply_says_nothing() -> None:
    found = other_accountants(1e-5, [SubsampledGaussian(2.0, 0.1, 5)], Relation.replace)
    assert found["pld"] is not None and found["rdp"] is None


def test_bad_arguments_are_named() -> None:
    with pytest.raises(TypeError, match="delta must be a real number, got bool"):
        other_accountants(True, PHASES, Relation.replace)
    with pytest.raises(TypeError, match="phases must be a list of phases"):
        to_event(PHASES[0])  # type: ignore[arg-type]
