from __future__ import annotations

import math
import time

import pytest

from certified.cli.request import best_guess, duration, timed


def test_best_guess_is_the_success_of_the_likelihood_ratio_test() -> None:
    assert best_guess(0.0) == 0.5
    for mu in (1e-6, 0.1, 3.0):
        exact = 0.5 * (1.0 + math.erf(mu / math.sqrt(8.0)))
        assert best_guess(mu) == pytest.approx(exact, rel=1e-12)
        assert best_guess(mu) >= exact * (1.0 - 1e-15)


def test_durations_for_people() -> None:
    assert [duration(s) for s in (0.0123, 0.9994, 1.25, 75.0)] == ["12 ms", "999 ms", "1.2 s", "75.0 s"]


def test_timed_measures_the_block() -> None:
    with timed() as clock:
        time.sleep(0.02)
    assert 0.02 <= clock.seconds < 5.0
