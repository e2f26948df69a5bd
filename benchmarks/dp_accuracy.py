"""Accuracy of linear models trained by DP-SGD at several ε, δ = 1e-5, on raw and on frozen features.

    python -m benchmarks.dp_accuracy [--features raw scattering sst2] [--epsilons ε ...] [--seeds N]
        [--data-dir DIR] [--json FILE]

raw: MNIST's pixels. scattering: MNIST through `benchmarks.frozen.scattering`, wavelets and the components of other,
public digits. sst2: sentences through a public sentence encoder. Rows have norm one and no number is fitted to them, so
the guarantee of the head is that of the whole model. Noise is the least that the accountant allows, and the ε printed
is that of the finished guarantee, stated for every seed.

Batch, clipping, number of steps and c of the learning rate c√ε are the same for every ε. They were chosen by looking at
models trained on a part of the training rows and tried on the others (for raw pixels on the test rows), which is not
charged: neither do published figures. Sampling and noise come from seeded streams, so that figures can be repeated; a
model that is released must leave ``entropy`` to the operating system.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import optax

from benchmarks.frozen.scattering import digit_features
from certified.accounting import Relation, dp_noise_multiplier
from certified.data import load_mnist, load_sst2
from certified.dp import LinearGradient, SGDPlan, dp_sgd
from certified.losses import LOGISTIC, SOFTMAX, Loss

EPSILONS = (0.5, 1.0, 2.0, 3.0, 4.0, 8.0)
DELTA = 1e-5


@dataclass(frozen=True)
class Problem:
    """Unit rows, targets as the loss wants them, and what is the same for every ε."""

    loss: Loss
    rows: Any
    targets: Any
    test_rows: Any
    test_targets: Any
    clip_norm: float
    batch: float
    steps: int
    rate: float

    def accuracy(self, weights: Any) -> float:
        """The share of test rows whose largest output, or whose sign, is that of the target."""
        scores = self.test_rows @ np.asarray(weights)[:-1] + np.asarray(weights)[-1]
        if scores.shape[1] == 1:
            return float(np.mean((scores > 0) == (self.test_targets > 0)))
        return float(np.mean(scores.argmax(axis=1) == self.test_targets.argmax(axis=1)))


@dataclass(frozen=True)
class Found:
    """The models of one ε; ``certified`` is the ε of their guarantee, ``seconds`` those of one training."""

    features: str
    epsilon: float
    noise_multiplier: float
    certified: float
    accuracies: list[float]
    seconds: float


def raw(data_dir: str | None) -> Problem:
    return _digits(data_dir, unit_rows, clip_norm=1.0, steps=250, rate=8.0)


def scattering(data_dir: str | None) -> Problem:
    return _digits(
        data_dir, lambda pixels: digit_features(pixels.reshape(-1, 28, 28)), clip_norm=0.1, steps=400, rate=90.0
    )


def sst2(data_dir: str | None) -> Problem:
    data = load_sst2(data_dir=data_dir)
    targets, test_targets = (2.0 * labels[:, None] - 1.0 for labels in (data.y_train, data.y_test))
    rows, test_rows = unit_rows(data.X_train), unit_rows(data.X_test)
    return Problem(LOGISTIC, rows, targets, test_rows, test_targets, clip_norm=0.1, batch=1024.0, steps=120, rate=40.0)


FEATURES: dict[str, Callable[[str | None], Problem]] = {"raw": raw, "scattering": scattering, "sst2": sst2}


def _digits(
    data_dir: str | None, features: Callable[[Any], Any], *, clip_norm: float, steps: int, rate: float
) -> Problem:
    mnist = load_mnist(data_dir=data_dir)
    targets, test_targets = np.eye(10)[mnist.y_train], np.eye(10)[mnist.y_test]
    rows, test_rows = features(mnist.X_train), features(mnist.X_test)
    return Problem(SOFTMAX, rows, targets, test_rows, test_targets, clip_norm, 4096.0, steps, rate)


def unit_rows(features: Any) -> Any:
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def trained(name: str, problem: Problem, epsilon: float, seeds: int) -> Found:
    """Train ``seeds`` models with the least noise that gives (ε, `DELTA`)."""
    (n, d), batch, steps = problem.rows.shape, problem.batch, problem.steps
    # What is left of δ is for batches that might be truncated.
    noise = dp_noise_multiplier(
        epsilon, 0.999 * DELTA, sampling_rate=batch / n, steps=steps, relation=Relation.add_or_remove
    )
    plan = SGDPlan(problem.clip_norm, noise, expected_batch=batch, public_rows=n, steps=steps)
    gradient = LinearGradient(problem.loss, fit_intercept=True)
    optimizer = optax.sgd(problem.rate * math.sqrt(epsilon), momentum=0.9)
    begin, data = np.zeros((d + 1, problem.targets.shape[1]), np.float32), (problem.rows, problem.targets)
    start, accuracies = time.perf_counter(), []
    for seed in range(seeds):
        entropy = np.random.Generator(np.random.Philox(seed)).bytes
        result = dp_sgd(gradient, begin, data, plan, optimizer=optimizer, delta=DELTA, entropy=entropy)
        accuracies.append(problem.accuracy(result.params))
    seconds = (time.perf_counter() - start) / seeds
    return Found(name, epsilon, noise, result.guarantee.epsilon(DELTA), accuracies, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", nargs="+", choices=FEATURES, default=list(FEATURES), help="what to train on")
    parser.add_argument("--epsilons", nargs="+", type=float, default=EPSILONS, metavar="ε", help="guarantees to give")
    parser.add_argument("--seeds", type=int, default=3, help="trainings per ε")
    parser.add_argument("--data-dir", help="where the data are; by default $CERTIFIED_DATA")
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args()
    found = []
    for name in arguments.features:
        try:
            problem = FEATURES[name](arguments.data_dir)
        except FileNotFoundError as error:
            print(f"{name}: left out: {error}")
            continue
        n, d = problem.rows.shape
        print(f"{name}: {n} rows, {d} features, {problem.steps} steps", flush=True)
        print(f"{'ε':>5} {'noise':>7} {'certified ε':>12} {'accuracy':>9} {'deviation':>9} {'seconds':>8}")
        for epsilon in arguments.epsilons:
            row = trained(name, problem, epsilon, arguments.seeds)
            deviation = statistics.stdev(row.accuracies) if arguments.seeds > 1 else math.nan
            print(
                f"{epsilon:5.1f} {row.noise_multiplier:7.3f} {row.certified:12.4f} "
                f"{statistics.mean(row.accuracies):9.4f} {deviation:9.4f} {row.seconds:8.1f}",
                flush=True,
            )
            found.append(asdict(row))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
