"""How often an auditor may be wrong: the binomial check of a level, for every test of one."""

from __future__ import annotations

from scipy import stats

FALSE_ALARM = 1e-6
"""Probability that the check fails an auditor that is wrong exactly as often as its level allows."""


def most_errors(trials: int, level: float) -> int:
    """The largest count of errors in ``trials`` independent ones that does not refute ``level``."""
    return int(stats.binom.isf(FALSE_ALARM, trials, level))
