"""What calibration returns meets the target by the certified bound, and hardly less would not."""

from __future__ import annotations

import pytest

from certified.accounting import (
    ApproximateRelease,
    Relation,
    SubsampledGaussian,
    dp_delta,
    dp_noise_multiplier,
    dp_sampling_rate,
    dp_steps,
)
from certified.privacy import gaussian_noise_std

RELATION = Relation.add_or_remove
ALSO = (ApproximateRelease(0.1, 1e-7),)


def delta(noise: float, rate: float, steps: int, rows: int = 1) -> float:
    return dp_delta(1.0, [SubsampledGaussian(noise, rate, steps), *ALSO], relation=RELATION, rows=rows)


def test_noise() -> None:
    found = dp_noise_multiplier(1.0, 1e-5, sampling_rate=0.02, steps=300, relation=RELATION, also=ALSO)
    assert delta(found, 0.02, 300) <= 1e-5 < delta(0.999 * found, 0.02, 300)


@pytest.mark.slow
def test_noise_for_a_group() -> None:
    found = dp_noise_multiplier(1.0, 1e-5, sampling_rate=0.02, steps=300, relation=RELATION, rows=4, also=ALSO)
    assert delta(found, 0.02, 300, 4) <= 1e-5 < delta(0.999 * found, 0.02, 300, 4)


def test_noise_without_sampling_is_the_closed_form() -> None:
    found = dp_noise_multiplier(0.5, 1e-6, sampling_rate=1.0, steps=100, relation=Relation.replace)
    exact = gaussian_noise_std(0.5, 1e-6, 20.0)
    assert exact <= found <= exact * (1 + 2e-5)


@pytest.mark.slow
def test_sampling_rate() -> None:
    found = dp_sampling_rate(1.0, 1e-5, noise_multiplier=1.2, steps=300, relation=RELATION, also=ALSO)
    assert delta(1.2, found, 300) <= 1e-5 < delta(1.2, 1.001 * found, 300)


@pytest.mark.slow
def test_steps() -> None:
    found = dp_steps(1.0, 1e-5, noise_multiplier=2.0, sampling_rate=0.02, relation=RELATION, also=ALSO)
    assert delta(2.0, 0.02, found) <= 1e-5 < delta(2.0, 0.02, found + 2)


def test_what_cannot_be_met() -> None:
    spent = (ApproximateRelease(2.0, 0.1),)
    with pytest.raises(ValueError, match="cannot be met by noise"):
        dp_noise_multiplier(1.0, 1e-5, sampling_rate=1.0, steps=1, relation=RELATION, also=spent)
    with pytest.raises(ValueError, match="also exceed"):
        dp_steps(1.0, 1e-5, noise_multiplier=1.0, sampling_rate=0.5, relation=RELATION, also=spent)
    with pytest.raises(ValueError, match="delta must be positive"):
        dp_steps(1.0, 0.0, noise_multiplier=1.0, sampling_rate=0.5, relation=RELATION)
    with pytest.raises(TypeError, match="epsilon must be a real number, got bool"):
        dp_steps(True, 0.1, noise_multiplier=1.0, sampling_rate=0.5, relation=RELATION)
    with pytest.raises(TypeError, match="also must be a list of phases"):
        dp_steps(1.0, 0.1, noise_multiplier=1.0, sampling_rate=0.5, relation=RELATION, also=ALSO[0])  # type: ignore[arg-type]
    assert dp_steps(0.0, 1e-9, noise_multiplier=0.1, sampling_rate=1.0, relation=RELATION) == 0
    assert dp_sampling_rate(5.0, 0.1, noise_multiplier=9.0, steps=3, relation=RELATION) == 1.0
