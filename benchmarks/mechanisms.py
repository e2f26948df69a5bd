"""Every removal mechanism on MNIST 3-vs-8 at (ε, δ) = (1, 1e-4), beside the library's own.

    python -m benchmarks.mechanisms [--limit N] [--deletions N] [--data-dir DIR] [--json FILE]

Unit rows (pixels / 255 − 1/2, each row divided by its norm), no intercept, λ per row, rows deleted one by one in random
order. The first table follows objective perturbation (Guo et al. 2020, σ = 10) until the published account is
overdrawn, with the first seed further on, and compares the bound with the true residual. The second takes every
mechanism through the same deletions, but recollection, whose training costs a product per pair of rows and pass.
``--limit 30 --deletions 2 --strengths 1e-3`` is a quick look. Noise is drawn from seeded floats: no release here
protects anybody.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track
from rich.table import Table

from certified.bounds import certify_distance
from certified.bounds.distance import assess
from certified.bounds.published.guo import guo_noise_std
from certified.bounds.row_sums import certified_gradient
from certified.data import load_mnist_3_vs_8
from certified.data.rows import Rows
from certified.losses import LOGISTIC
from certified.objective import Objective
from certified.privacy import gaussian_delta, gaussian_noise_std
from certified.removal.published.deltagrad import DeltaGrad
from certified.removal.published.descent_to_delete import DescentToDelete
from certified.removal.published.jackknife import Jackknife
from certified.removal.published.langevin import Langevin
from certified.removal.published.objective_perturbation import ObjectivePerturbation
from certified.removal.published.projected_noisy_sgd import ProjectedNoisySGD
from certified.removal.published.projective_residual import ProjectiveResidual
from certified.removal.published.protocol import Mechanism, MechanismState, Sampler
from certified.removal.published.sekhari import Sekhari
from certified.removal.published.smoothed_perturbation import SmoothedPerturbation
from certified.solvers import solve

Array = npt.NDArray[np.float64]

EPSILON, DELTA = 1.0, 1e-4
PERTURBATION_STD = 10.0
STRENGTHS = (1e-4, 1e-3, 1e-2)
SEEDS = {1e-4: (0, 1, 2), 1e-3: (0, 1, 2), 1e-2: (0,)}
TARGET = 1e-3
"""Distance that the noise of mechanisms with a noise of their own choice is calibrated for."""


@dataclass
class Run:
    """One run of objective perturbation, residuals in sum scaling.

    ``covered`` counts the deletions before the account was overdrawn, or all where it lasted.
    """

    strength: float
    seed: int
    deletions: int
    covered: int
    accuracy: float
    account: float
    residual: float
    seconds: float


@dataclass
class Row:
    """One mechanism after the same deletions; distances are to the exact minimiser on the remaining rows.

    ``claimed`` and ``certified`` count deletions, in order, until the mechanism's own claim and until the certified
    distance at its release noise no longer give (ε, δ), or it trains again; ``certified`` is None without such noise.
    """

    strength: float
    mechanism: str
    verdict: str
    deletions: int
    claimed: int
    certified: int | None
    retrained: int
    passes: float
    noise_std: float
    accuracy: float
    seconds: float
    claimed_distance: float | None
    certified_distance: float
    true_distance: float


class Digits:
    """Rows, their order of deletion and the test set."""

    def __init__(self, data_dir: str | None) -> None:
        data = load_mnist_3_vs_8(data_dir=data_dir)
        self.n = len(data.X_train)
        self.X_test, self.y_test = data.X_test, data.y_test
        self.rows = Rows.from_arrays(data.X_train, data.y_train.astype(float)[:, None], np.ones(self.n))

    def objective(self, strength: float) -> Objective:
        return Objective(LOGISTIC, self.rows, strength * self.n)

    def without(self, objective: Objective, row: np.int64, strength: float, left: int) -> tuple[Objective, Rows]:
        position = np.array([row])
        return replace(objective, rows=objective.rows.without(position), alpha=strength * left), self.rows.take(
            position
        )

    def accuracy(self, weights: Array) -> float:
        return float(np.mean(np.sign(self.X_test @ weights[:, 0]) == self.y_test))


def seeded(seed: int) -> Sampler:
    generator = np.random.default_rng(seed)
    return lambda center, noise_std: center + noise_std * generator.standard_normal(center.shape)


def run_account(digits: Digits, strength: float, seed: int, limit: int) -> Run:
    """Delete without ever training again, and note when (ε, δ) was overdrawn; all seeds but the first stop there."""
    # With an ε as large as this the account is kept but never overdrawn.
    mechanism = ObjectivePerturbation(1e9, DELTA, PERTURBATION_STD)
    order = np.random.default_rng(seed).permutation(digits.n)[:limit]
    objective = digits.objective(strength)
    state = mechanism.initialise(objective, seeded(seed))
    covered, times = 0, []
    for count, row in enumerate(order, start=1):
        objective, removed = digits.without(objective, row, strength, digits.n - count)
        start = time.perf_counter()
        state = mechanism.remove(state, objective, removed)
        times.append(time.perf_counter() - start)
        needed = guo_noise_std(residual=state.residual, epsilon=EPSILON, delta=DELTA)
        if needed <= PERTURBATION_STD:
            covered = count
        elif seed or strength < 1e-3:
            break
    gradient = certified_gradient(state.objective, state.weights)
    residual = float(np.linalg.norm(gradient.value))
    return Run(
        strength=strength,
        seed=seed,
        deletions=state.removed,
        covered=covered,
        accuracy=digits.accuracy(state.weights),
        account=state.residual,
        residual=residual,
        seconds=statistics.median(times),
    )


def mechanisms(deletions: int) -> list[Mechanism[Any]]:
    """Every mechanism at (ε, δ); noise that is the caller's choice is calibrated for ``TARGET``, without the data."""
    noise_std = gaussian_noise_std(EPSILON, DELTA, TARGET)
    below_one = math.nextafter(1.0, 0.0)
    return [
        SmoothedPerturbation(EPSILON, DELTA, noise_std, perturbation_std=0.0, name="certified (default)"),
        SmoothedPerturbation(EPSILON, DELTA, noise_std, perturbation_std=PERTURBATION_STD),
        ObjectivePerturbation(EPSILON, DELTA, PERTURBATION_STD),
        ObjectivePerturbation(EPSILON, DELTA, PERTURBATION_STD, "theorem1", name="objective perturbation, theorem 1"),
        Sekhari(below_one, DELTA, capacity=deletions),
        Jackknife(noise_std),
        ProjectiveResidual(),
        DescentToDelete(EPSILON, DELTA, steps=20, training_steps=200),
        Langevin(noise_std=0.12, delta=DELTA, steps=20, training_steps=200, radius=100.0),
        ProjectedNoisySGD(noise_std=0.12, delta=DELTA, steps=20, training_steps=200, radius=100.0),
        DeltaGrad(training_steps=200),
    ]


def measure(digits: Digits, mechanism: Mechanism[Any], strength: float, deletions: int) -> Row:
    order = np.random.default_rng(0).permutation(digits.n)[:deletions]
    objective, sampler = digits.objective(strength), seeded(0)
    states, times = [mechanism.initialise(objective, sampler)], []
    for count, row in enumerate(order, start=1):
        objective, removed = digits.without(objective, row, strength, digits.n - count)
        start = time.perf_counter()
        states.append(mechanism.remove(states[-1], objective, removed, sampler))
        times.append(time.perf_counter() - start)
    final, noise_std = states[-1], release_noise(mechanism, states[-1])
    release = mechanism.release(final, sampler)
    weights, error = exact(final.objective, final.weights)
    held = [noise_std > 0.0 and covers(assess(s.objective, s.weights)[0].value, noise_std) for s in states[1:]]
    return Row(
        strength=strength,
        mechanism=mechanism.name,
        verdict=final.claim.verdict,
        deletions=deletions,
        claimed=leading([claim_holds(s) for s in states[1:]]),
        certified=leading(held) if noise_std else None,
        retrained=sum(s.retrained for s in states),
        passes=statistics.mean(s.passes for s in states[1:]),
        noise_std=final.claim.noise_std,
        accuracy=digits.accuracy(release),
        seconds=statistics.median(times),
        claimed_distance=final.claim.distance,
        certified_distance=certify_distance(final.objective, final.weights).value,
        true_distance=float(np.linalg.norm(final.weights - weights)) + error,
    )


def release_noise(mechanism: Mechanism[Any], state: MechanismState) -> float:
    """σ of the noise that a release adds, 0 where it adds none."""
    used: list[float] = []

    def record(center: Array, noise_std: float) -> Array:
        used.append(noise_std)
        return center

    mechanism.release(state, record)
    return max(used, default=0.0)


def claim_holds(state: MechanismState) -> bool:
    """Whether the mechanism's own words give (ε, δ) after this request, without training again."""
    claim = state.claim
    if state.retrained:
        return False
    if claim.verdict == "none":
        return claim.distance is not None and covers(claim.distance, claim.noise_std)
    return claim.epsilon <= EPSILON and claim.delta <= DELTA


def covers(distance: float, noise_std: float) -> bool:
    return gaussian_delta(EPSILON, distance, noise_std) <= DELTA


def leading(flags: list[bool]) -> int:
    """How many flags hold before the first that does not."""
    return flags.index(False) if False in flags else len(flags)


def exact(objective: Objective, start: Array) -> tuple[Array, float]:
    """The minimiser and the certified distance of the computed one to it."""
    weights = solve(objective, start).weights
    return weights, certify_distance(objective, weights).value


def account_table(runs: list[Run]) -> Table:
    columns = ["λ", "seed", "deletions", "covered", "accuracy", "bound", "true residual", "ratio"]
    table = Table(*columns, "ms / deletion", title="objective perturbation, σ = 10, corollary 1")
    for run in runs:
        covered = str(run.covered) if run.covered < run.deletions else f"≥ {run.covered}"
        table.add_row(
            f"{run.strength:g}", str(run.seed), str(run.deletions), covered, f"{run.accuracy:.4f}",
            f"{run.account:.3g}", f"{run.residual:.3g}", f"{run.account / run.residual:.0f}×",
            f"{run.seconds * 1e3:.0f}",
        )  # fmt: skip
    return table


def mechanism_table(rows: list[Row]) -> Table:
    table = Table(
        "λ", "mechanism", "claim lasts", "certified for", "trained again", "passes", "noise", "accuracy",
        "ms / deletion", "distance claimed", "certified", "true",
        title=f"after {rows[0].deletions} deletions",
    )  # fmt: skip
    previous = [rows[0], *rows]
    for before, row in pairwise(previous):
        if row.strength != before.strength:
            table.add_section()
        table.add_row(
            f"{row.strength:g}", row.mechanism, str(row.claimed), "–" if row.certified is None else str(row.certified),
            str(row.retrained), f"{row.passes:.1f}", f"{row.noise_std:.1e}", f"{row.accuracy:.4f}",
            f"{row.seconds * 1e3:.0f}", "–" if row.claimed_distance is None else f"{row.claimed_distance:.1e}",
            f"{row.certified_distance:.1e}", f"{row.true_distance:.1e}",
        )  # fmt: skip
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder with mnist/mnist.npz (default: $CERTIFIED_DATA)")
    parser.add_argument("--limit", type=int, default=1000, help="deletions of the first table (default: %(default)s)")
    parser.add_argument("--deletions", type=int, default=5, help="deletions of the second (default: %(default)s)")
    parser.add_argument("--strengths", type=float, nargs="+", default=STRENGTHS, help="λ per row")
    parser.add_argument("--json", help="write both tables to this file")
    arguments = parser.parse_args()
    console, digits = Console(width=170), Digits(arguments.data_dir)
    tasks = [(strength, seed) for strength in arguments.strengths for seed in SEEDS.get(strength, (0,))]
    runs = [run_account(digits, *task, arguments.limit) for task in track(tasks, "account")]
    console.print(account_table(runs))
    pairs = [(m, strength) for strength in arguments.strengths for m in mechanisms(arguments.deletions)]
    rows = [measure(digits, *pair, arguments.deletions) for pair in track(pairs, "mechanisms")]
    console.print(mechanism_table(rows))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"account": [asdict(r) for r in runs], "mechanisms": [asdict(r) for r in rows]}, file, indent=2)


if __name__ == "__main__":
    main()
