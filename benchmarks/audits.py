"""How much of each claim an attack recovers, and how often each auditor is wrong where there is nothing to find.

    python -m benchmarks.audits --json audits.json

Four tables. Tightness: a lower bound on ε beside the claim, on data made to be the worst; above 1 would refute a claim,
and is exit status 1; so would too many errors. "If Gaussian" is what a bound on μ says of ε for a mechanism that is no
better than Gaussian, which subsampling is: no proof, but a measure. Null trials: equal mechanisms, so that
every positive bound is an error, counted beside the level. Membership inference on an overfitted logistic head, by loss
and by LiRA. Reconstruction of a deleted row from the models before and after, under growing noise.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import optax
from rich.console import Console
from rich.table import Table
from scipy import stats

from certified.audit import (
    audit_instance,
    audit_one_run,
    epsilon_lower_bound,
    lira,
    mu_lower_bound,
    one_run_epsilon,
    one_run_mu,
    random_halves,
    rate_at,
    reconstruct_row,
    roc,
    train_shadows,
)
from certified.bounds.distance import certify_distance
from certified.data.rows import Rows
from certified.dp import RowLimits, objective_perturbation, output_perturbation
from certified.dp.linear import LinearGradient
from certified.dp.sgd import SGDPlan, dp_sgd
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.privacy import gaussian_epsilon, gaussian_mu, gaussian_sensitivity, release_gaussian
from certified.removal import newton
from certified.solvers import solve

Array = npt.NDArray[np.float64]
EPSILON, DELTA = 1.0, 1e-2
GRADIENT, DESCENT = LinearGradient(LOGISTIC), optax.sgd(0.01)


@dataclass(frozen=True)
class Attack:
    """A lower bound beside the claim, on ε at δ unless the method says μ; ``proof`` unless it is only a measure."""

    mechanism: str
    method: str
    delta: float
    claimed: float
    lower_bound: float
    proof: bool = True

    @property
    def tightness(self) -> float:
        return self.lower_bound / self.claimed


@dataclass(frozen=True)
class Null:
    """Positive bounds among trials without a difference, beside the level."""

    auditor: str
    level: float
    trials: int
    errors: int

    @property
    def most(self) -> int:
        """More errors than this would refute the level at 10⁻⁶."""
        return int(stats.binom.isf(1e-6, self.trials, self.level))


@dataclass(frozen=True)
class Inference:
    """How well scores tell members from others."""

    attack: str
    area: float
    true_rate: float
    true_interval: tuple[float, float]
    false_rate: float


@dataclass(frozen=True)
class Recovery:
    """Mean |cos| between a deleted row and its reconstruction from two releases."""

    noise_std: float
    similarity: float


def logistic(features: Array, targets: Array, alpha: float) -> Objective:
    return Objective(LOGISTIC, Rows.from_arrays(features, targets, np.ones(len(features))), alpha)


def removal(rng: np.random.Generator, runs: int) -> list[Attack]:
    """Certified removal as it leaves the weights, and at the farthest point in the flattest direction it accepts."""
    features = rng.normal(size=(200, 5))
    targets = np.where(features[:, :1] + rng.normal(size=(200, 1)) > 0.0, 1.0, -1.0)
    noise_std, gone = 1e-2, np.arange(5)
    target = gaussian_sensitivity(EPSILON, DELTA, noise_std)
    objective = logistic(features, targets, 1.0)
    state, _ = newton.initialise(objective, target)
    rest = replace(objective, rows=objective.rows.without(gone))
    after, _ = newton.update(state, rest, target, objective.rows.take(gone), None)
    exact = solve(rest).weights
    hessian = rest.data_hessian(rest.curvature(exact))[0] + np.eye(5)
    direction, length = np.linalg.eigh(hessian)[1][:, :1], target
    while certify_distance(rest, exact + length * direction).value > target:
        length *= 0.99
    found = []
    for name, weights in (("removal, as left", after.weights), ("removal, worst accepted", exact + length * direction)):
        audit = audit_instance(rest, weights, noise_std)
        claimed = gaussian_mu(EPSILON, DELTA)
        found.append(Attack(name, "exact instance (μ)", DELTA, claimed, audit.mu[0]))
        found.append(Attack(name, "exact instance (ε)", DELTA, EPSILON, audit.epsilon(DELTA)[0]))
        along = (weights - exact) / np.linalg.norm(weights - exact)
        scores = [
            release_gaussian(np.full((runs, 1), float(np.sum(center * along))), noise_std).ravel()
            for center in (weights, exact)
        ]
        found.append(Attack(name, f"{runs} runs each (ε)", DELTA, EPSILON, epsilon_lower_bound(*scores, DELTA)))
    return found


def worlds() -> tuple[Objective, Objective]:
    """One feature: short rows hold the weight where the slope of the row that one world lacks is nearly 1."""
    kept = np.full((300, 1), -0.04)
    return tuple(logistic(x, np.ones((len(x), 1)), 1.0) for x in (np.vstack([kept, [[1.0]]]), kept))


def erm(rng: np.random.Generator, runs: int, trainings: int) -> list[Attack]:
    """Output perturbation, every run with exact noise, and objective perturbation, every run trained anew."""

    def many(center: Array, noise_std: float) -> Array:
        return release_gaussian(np.full((runs, 1), center.item()), noise_std)

    def seeded(center: Array, noise_std: float) -> Array:
        return center + noise_std * rng.standard_normal(center.shape)

    limits = RowLimits(1.0)
    output = [output_perturbation(o, limits, EPSILON, DELTA, sampler=many).weights.ravel() for o in worlds()]
    inside = [
        np.array(
            [objective_perturbation(o, limits, EPSILON, DELTA, sampler=seeded).weights.item() for _ in range(trainings)]
        )
        for o in worlds()
    ]
    return [
        Attack("output perturbation", f"{runs} runs each (ε)", DELTA, EPSILON, epsilon_lower_bound(*output, DELTA)),
        Attack(
            "objective perturbation", f"{trainings} runs each (ε)", DELTA, EPSILON, epsilon_lower_bound(*inside, DELTA)
        ),
    ]


def sgd(trainings: int, canaries: int) -> list[Attack]:
    """DP-SGD: one row trained many times with full batches, and canaries along their own axes in one run."""
    full = SGDPlan(clip_norm=1.0, noise_multiplier=2.0, expected_batch=1.0, public_rows=1, steps=4)
    scores = [
        np.array(
            [
                dp_sgd(GRADIENT, np.zeros((1, 1)), data, full, optimizer=DESCENT, delta=DELTA).params.item()
                for _ in range(trainings)
            ]
        )
        for data in ((np.full((1, 1), 3.0), np.ones((1, 1))), (np.zeros((0, 1)), np.zeros((0, 1))))
    ]
    claimed = full.curve().epsilon(DELTA, 1)
    found = [
        Attack(
            "DP-SGD, full batches", f"{trainings} runs each (ε)", DELTA, claimed, epsilon_lower_bound(*scores, DELTA)
        ),
        Attack("DP-SGD, full batches", f"{trainings} runs each (μ)", DELTA, 1.0, mu_lower_bound(*scores)),
    ]
    included = np.random.default_rng(0).random(canaries) < 0.5
    data = 10.0 * np.eye(canaries)[included], np.ones((int(included.sum()), 1))
    for multiplier in (0.5, 1.0, 2.0):
        plan = SGDPlan(
            clip_norm=1.0, noise_multiplier=multiplier, expected_batch=canaries / 4, public_rows=canaries, steps=20
        )
        trained = dp_sgd(GRADIENT, np.zeros((canaries, 1)), data, plan, optimizer=DESCENT, delta=1e-5)
        audit = audit_one_run(
            np.asarray(trained.params)[:, 0], included, guesses=canaries // 4, delta=1e-5, confidence=0.95
        )
        claimed = trained.guarantee.epsilon(1e-5)
        name = f"DP-SGD, noise {multiplier:g}, q = 1/4"
        found.append(Attack(name, f"one run, {canaries} canaries, 95% (ε)", 1e-5, claimed, audit.epsilon))
        implied = gaussian_epsilon(1e-5, audit.mu, 1.0)
        found.append(Attack(name, f"one run, {canaries} canaries, 95% (ε if Gaussian)", 1e-5, claimed, implied, False))
    return found


def nulls(rng: np.random.Generator, trials: int) -> list[Null]:
    """Every auditor on equal mechanisms, at two levels."""
    found = []
    for level in (0.05, 0.001):
        confidence = 1.0 - level

        def runs(bound: Callable[[Array, Array], float]) -> int:
            return sum(bound(*rng.normal(size=(2, 500))) > 0.0 for _ in range(trials))

        found.append(
            Null("many runs, ε", level, trials, runs(lambda a, b, c=confidence: epsilon_lower_bound(a, b, 0.0, c)))
        )
        found.append(Null("many runs, μ", level, trials, runs(lambda a, b, c=confidence: mu_lower_bound(a, b, c))))
        right = rng.binomial(100, 0.5, size=10 * trials)
        for name, bound in (
            ("one run, ε", lambda v, c=confidence: one_run_epsilon(v, 100, 400, delta=0.0, confidence=c)),
            ("one run, μ", lambda v, c=confidence: one_run_mu(v, 100, 400, confidence=c)),
        ):
            found.append(Null(name, level, 10 * trials, sum(bound(int(v)) > 0.0 for v in right)))
        wrong = 0
        for _ in range(trials):
            rate = rate_at(rng.random(100), rng.random(200), 0.1, confidence)
            truth = 1.0 - rate.threshold
            wrong += not (
                rate.true_interval[0] <= truth <= rate.true_interval[1]
                and rate.false_interval[0] <= truth <= rate.false_interval[1]
            )
        found.append(Null("rates at 10 %", level, trials, wrong))
    return found


def inference(rng: np.random.Generator, models: int) -> list[Inference]:
    """Attacks on 16 models with 40 features on 60 of 120 rows, with ``models`` shadow models."""
    x = rng.normal(size=(120, 40))
    t = np.where(x[:, 0] + 2.0 * rng.normal(size=120) > 0, 1.0, -1.0)
    trained = train_shadows(x, t, random_halves(models + 16, 120, rng), 0.1, LOGISTIC)
    shadow, included, flags = trained.scores[16:], trained.included[16:], trained.included[:16].ravel()
    attacks: dict[str, Callable[[Array], Array]] = {
        "loss threshold": lambda s: -np.logaddexp(0.0, -s),
        "LiRA, offline": lambda s: lira(s, shadow, included, online=False),
        "LiRA, online": lambda s: lira(s, shadow, included),
    }
    found = []
    for name, attack in attacks.items():
        scores = np.concatenate([attack(s) for s in trained.scores[:16]])
        rate = rate_at(scores[flags], scores[~flags], 0.01, confidence=0.95)
        area = roc(scores[flags], scores[~flags]).area
        found.append(Inference(name, area, rate.true_positive, rate.true_interval, rate.false_positive))
    return found


def recovery(rng: np.random.Generator, rows: int) -> list[Recovery]:
    """Delete each of ``rows`` rows by exact retraining, and reconstruct it from the releases before and after."""
    x = rng.normal(size=(300, 10))
    t = np.where(x[:, :1] + rng.normal(size=(300, 1)) > 0, 1.0, -1.0)
    objective = logistic(x, t, 1.0)
    before, pairs = solve(objective).weights, []
    for i in range(rows):
        rest = replace(objective, rows=objective.rows.without(np.array([i])))
        pairs.append((solve(rest).weights, rest))
    found = []
    for noise_std in (0.0, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1):
        similar = [
            reconstruct_row(
                before + noise_std * rng.standard_normal(before.shape),
                after + noise_std * rng.standard_normal(after.shape),
                rest,
            ).similarity(x[i])
            for i, (after, rest) in enumerate(pairs)
        ]
        found.append(Recovery(noise_std, float(np.mean(similar))))
    return found


def show(console: Console, title: str, columns: list[str], rows: list[list[str]]) -> None:
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000, help="runs where only the noise differs")
    parser.add_argument("--trainings", type=int, default=400, help="trainings of each world")
    parser.add_argument("--canaries", type=int, default=1000, help="canaries of one run")
    parser.add_argument(
        "--trials", type=int, default=1000, help="null trials of each auditor; ten times as many counts"
    )
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    rng, console = np.random.default_rng(0), Console()
    attacks = [
        *removal(rng, options.runs),
        *erm(rng, options.runs, options.trainings),
        *sgd(options.trainings, options.canaries),
    ]
    show(
        console,
        "lower bounds beside claims (99.9 % confidence unless stated)",
        ["mechanism", "method", "δ", "claim", "lower bound", "tightness"],
        [
            [a.mechanism, a.method, f"{a.delta:g}", f"{a.claimed:.4g}", f"{a.lower_bound:.4g}", f"{a.tightness:.3f}"]
            for a in attacks
        ],
    )
    found = nulls(rng, options.trials)
    show(
        console,
        "errors where there is no difference",
        ["auditor", "level", "trials", "errors", "rate", "refuted above"],
        [
            [n.auditor, f"{n.level:g}", str(n.trials), str(n.errors), f"{n.errors / n.trials:.4f}", str(n.most)]
            for n in found
        ],
    )
    members = inference(rng, 128)
    show(
        console,
        "membership inference on an overfitted head",
        ["attack", "area", "true-positive rate", "95 % interval", "false-positive rate"],
        [
            [m.attack, f"{m.area:.3f}", f"{m.true_rate:.3f}", "–".join(f"{x:.3f}" for x in m.true_interval),
             f"{m.false_rate:.3f}"]
            for m in members
        ],
    )  # fmt: skip
    recovered = recovery(rng, 20)
    show(
        console,
        "a deleted row from two exactly trained models",
        ["σ of both releases", "mean |cos|"],
        [[f"{r.noise_std:g}", f"{r.similarity:.6f}"] for r in recovered],
    )
    if options.json:
        results = {
            "attacks": [asdict(a) | {"tightness": a.tightness} for a in attacks],
            "nulls": [asdict(n) | {"refuted_above": n.most} for n in found],
            "membership": [asdict(m) for m in members],
            "reconstruction": [asdict(r) for r in recovered],
        }
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    refuted = any(a.proof and a.tightness > 1.0 for a in attacks) or any(n.errors > n.most for n in found)
    return int(refuted)


if __name__ == "__main__":
    sys.exit(main())
