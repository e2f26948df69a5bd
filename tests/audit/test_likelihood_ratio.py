"""LiRA finds the rows of an overfitted head, U-LiRA what was not unlearned; neither sees what is not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from certified.audit import epsilon_lower_bound, lira, random_halves, rate_at, roc, train_shadows, u_lira
from certified.data.rows import Rows
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.privacy.noise import release_gaussian
from certified.removal import newton
from certified.solvers import solve

Array = npt.NDArray[np.float64]
EPSILON, DELTA = 1.0, 1e-2


@pytest.fixture(scope="module")
def attack() -> dict[str, tuple[Array, Array]]:
    """Scores of rows in and out of 8 attacked models, by the loss threshold and by LiRA with 64 shadow models."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(80, 40))
    t = np.where(x[:, 0] + 2.0 * rng.normal(size=80) > 0, 1.0, -1.0)
    models = train_shadows(x, t, random_halves(72, 80, rng), 0.1, LOGISTIC)
    shadow, included = models.scores[8:], models.included[8:]
    found: dict[str, list[Array]] = {"loss": [], "online": [], "offline": []}
    for scores in models.scores[:8]:
        found["loss"].append(-np.logaddexp(0.0, -scores))
        found["online"].append(lira(scores, shadow, included))
        found["offline"].append(lira(scores, shadow, included, online=False))
    flags = models.included[:8].ravel()
    return {name: (np.ravel(s)[flags], np.ravel(s)[~flags]) for name, s in found.items()}


def test_lira_is_the_stronger_attack(attack: dict[str, tuple[Array, Array]]) -> None:
    area = {name: roc(*scores).area for name, scores in attack.items()}
    assert area["online"] > area["loss"] > 0.55
    assert area["offline"] > area["loss"]
    assert rate_at(*attack["online"], 0.05).true_positive > rate_at(*attack["loss"], 0.05).true_positive


def test_online_is_the_likelihood_ratio() -> None:
    rng = np.random.default_rng(0)
    models, flags = rng.normal(size=(80, 3)), np.arange(80)[:, None] % 2 == np.zeros(3)
    observed = rng.normal(size=3)
    for row, found in enumerate(lira(observed, models, flags)):
        inside, outside = models[flags[:, row], row], models[~flags[:, row], row]
        ratio = [stats.norm.logpdf(observed[row], m.mean(), m.std(ddof=1)) for m in (inside, outside)]
        assert found == pytest.approx(ratio[0] - ratio[1])


def test_few_models_share_their_deviation() -> None:
    models = np.array([[0.0, 0.0], [2.0, 0.2], [0.0, 0.0], [2.0, 0.2]])
    flags = np.array([[True], [True], [False], [False]]) & np.ones(2, dtype=bool)
    offline = lira([2.0, 1.1], models, flags, online=False)
    assert offline[0] == pytest.approx(offline[1])


def removal(update: bool) -> tuple[Array, Array]:
    """Statistics t·z of a deleted row under releases of M and of A; ``update`` or not."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(30, 3))
    t = np.where(rng.random((30, 1)) < 0.5, -1.0, 1.0)
    x[0], t[0] = [3.0, 0.0, 0.0], -1.0
    objective = Objective(LOGISTIC, Rows.from_arrays(x, t, np.ones(30)), 1.0)
    target = 1e-3
    state, _ = newton.initialise(objective, target)
    gone = np.array([0])
    rest = replace(objective, rows=objective.rows.without(gone))
    after, _ = newton.update(state, rest, target, objective.rows.take(gone), None)
    noise_std = float(target / _mu())
    centers = (after if update else state).weights, solve(rest).weights
    return tuple(
        np.array([float((t[0] * x[0] @ release_gaussian(center, noise_std)).item()) for _ in range(1500)])
        for center in centers
    )


def _mu() -> float:
    from certified.privacy import gaussian_mu

    return gaussian_mu(EPSILON, DELTA)


def u_lira_bound(ours: Array, theirs: Array) -> float:
    """The first third of the runs are shadow models, the others are attacked."""
    shadows, attacked = (ours[:500], theirs[:500]), (ours[500:], theirs[500:])
    scores = [u_lira(runs, *(np.repeat(s[:, None], len(runs), axis=1) for s in shadows)) for runs in attacked]
    return epsilon_lower_bound(*scores, DELTA)


def test_certified_removal_withstands_u_lira() -> None:
    assert u_lira_bound(*removal(update=True)) <= EPSILON


def test_u_lira_convicts_a_model_that_was_not_updated() -> None:
    assert u_lira_bound(*removal(update=False)) > EPSILON


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observed": np.zeros(2)}, "must agree"),
        ({"shadow": np.full((4, 3), np.inf)}, "must be finite"),
        ({"included": np.ones((4, 3))}, "included boolean"),
        ({"included": np.ones((4, 3), dtype=bool)}, "at least two shadow models without"),
        ({"included": np.zeros((4, 3), dtype=bool)}, "at least two shadow models with it"),
    ],
)
def test_bad_input(changes: dict[str, Array], message: str) -> None:
    flags = np.array([[True], [True], [False], [False]]) & np.ones(3, dtype=bool)
    arguments = {"observed": np.zeros(3), "shadow": np.zeros((4, 3)), "included": flags} | changes
    with pytest.raises(ValueError, match=message):
        lira(**arguments)
    with pytest.raises(ValueError, match="unlearned"):
        u_lira([0.0], np.zeros((2, 1)), np.zeros((2, 2)))
