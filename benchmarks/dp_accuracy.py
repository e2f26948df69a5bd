"""Accuracy of a linear softmax model on MNIST's pixels, trained by DP-SGD at several ε, δ = 1e-5.

    python -m benchmarks.dp_accuracy [--seeds N] [--steps T] [--data-dir DIR] [--json FILE]

Each row of pixels is divided by its norm: no number is fitted to the rows. Noise is the least that the accountant
allows, and the ε printed is that of the finished guarantee. Batch and number of steps are the same for every ε, the
learning rate is 8√ε; they were not tuned by a private method: like published figures, these do not charge for it.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from typing import Any

import numpy as np
import optax

from certified.accounting import Relation, dp_noise_multiplier
from certified.data import load_mnist
from certified.dp import LinearGradient, SGDPlan, dp_sgd
from certified.losses import SOFTMAX

EPSILONS = (0.5, 1.0, 2.0, 4.0, 8.0)
DELTA = 1e-5
BATCH = 4096.0
RATE = 8.0


def unit_rows(pixels: Any) -> Any:
    return (pixels / np.linalg.norm(pixels, axis=1, keepdims=True)).astype(np.float32)


def accuracy(weights: Any, rows: Any, labels: Any) -> float:
    scores = rows @ np.asarray(weights)[:-1] + np.asarray(weights)[-1]
    return float(np.mean(scores.argmax(axis=1) == labels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="trainings per ε")
    parser.add_argument("--steps", type=int, default=400, help="steps of each training")
    parser.add_argument("--data-dir", help="where MNIST is or goes; by default $CERTIFIED_DATA")
    parser.add_argument("--json", help="write the figures to this file")
    arguments = parser.parse_args()
    mnist = load_mnist(data_dir=arguments.data_dir)
    rows, test = unit_rows(mnist.X_train), unit_rows(mnist.X_test)
    targets, n = np.eye(10)[mnist.y_train], len(rows)
    gradient, found = LinearGradient(SOFTMAX, fit_intercept=True), []
    print(f"{'ε':>5} {'noise':>7} {'certified ε':>12} {'accuracy':>9} {'spread':>7} {'seconds':>8}")
    for epsilon in EPSILONS:
        noise = dp_noise_multiplier(
            epsilon, 0.999 * DELTA, sampling_rate=BATCH / n, steps=arguments.steps, relation=Relation.add_or_remove
        )
        plan = SGDPlan(1.0, noise, expected_batch=BATCH, public_rows=n, steps=arguments.steps)
        optimizer = optax.sgd(RATE * math.sqrt(epsilon), momentum=0.9)
        start, scores = time.perf_counter(), []
        for _ in range(arguments.seeds):
            result = dp_sgd(
                gradient, np.zeros((785, 10), np.float32), (rows, targets), plan, optimizer=optimizer, delta=DELTA
            )
            scores.append(accuracy(result.params, test, mnist.y_test))
        seconds = (time.perf_counter() - start) / arguments.seeds
        certified = result.guarantee.epsilon(DELTA)
        mean, spread = statistics.mean(scores), max(scores) - min(scores)
        print(f"{epsilon:5.1f} {noise:7.3f} {certified:12.4f} {mean:9.4f} {spread:7.4f} {seconds:8.1f}", flush=True)
        found.append({"epsilon": epsilon, "noise": noise, "certified": certified, "scores": scores})
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
