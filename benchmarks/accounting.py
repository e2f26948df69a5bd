"""Certified accounting of DP-SGD beside closed forms, dp-accounting and Rényi accounting, with times.

python -m benchmarks.accounting [--largest 20] [--json FILE]

Exit status 1 if a bound falls below the closed form of Gaussian composition.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism
from rich.console import Console
from rich.table import Table

from certified.accounting import (
    Relation,
    SubsampledGaussian,
    dp_epsilon,
    dp_noise_multiplier,
    dp_sampling_rate,
    dp_steps,
    generic_group_epsilon,
)
from certified.accounting.accountant import Target, _composition, _smallest_epsilon
from certified.accounting.events import other_accountants
from certified.accounting.mechanisms import Difference
from certified.privacy import gaussian_delta, gaussian_epsilon

RELATION = Relation.add_or_remove
STEPS = (SubsampledGaussian(1.0, 0.0171, 600),)
TRAININGS = (
    (SubsampledGaussian(1.0, 0.0171, 600),),
    (SubsampledGaussian(1.1, 256 / 60_000, 14_063),),
    (SubsampledGaussian(0.7, 0.001, 10_000),),
    (SubsampledGaussian(4.0, 0.2, 2_000),),
    (SubsampledGaussian(1.0, 0.01, 1_000), SubsampledGaussian(2.0, 0.05, 500)),
)


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    value = action()
    return value, time.perf_counter() - start


def gaussians() -> list[dict[str, Any]]:
    """Compositions of Gaussians at μ = 1 in all through the transform, which the closed form judges."""
    found = []
    for steps in (1, 100, 10_000, 100_000):
        for delta in (1e-5, 1e-10, 1e-14):
            phases = (SubsampledGaussian(math.sqrt(steps), 1.0, steps),)
            mu = math.sqrt(steps) / math.sqrt(steps)
            exact = gaussian_epsilon(delta, mu, 1.0)
            composition, seconds = timed(lambda p=phases, d=delta: _composition(p, Difference(1, 0), Target(0.0, d)))
            bound = composition.delta(exact)
            other = from_gaussian_mechanism(math.sqrt(steps), value_discretization_interval=1e-4).self_compose(steps)
            found.append(
                {
                    "steps": steps,
                    "delta": delta,
                    "epsilon_exact": exact,
                    "epsilon": _smallest_epsilon(composition, delta),
                    "delta_over_exact": bound / gaussian_delta(exact, mu, 1.0),
                    "pld_over_exact": other.get_delta_for_epsilon(exact) / gaussian_delta(exact, mu, 1.0),
                    "seconds": seconds,
                }
            )
    return found


def trainings() -> list[dict[str, Any]]:
    found = []
    for phases in TRAININGS:
        epsilon, seconds = timed(lambda p=phases: dp_epsilon(1e-5, p, relation=RELATION))
        others, other_seconds = timed(lambda p=phases: other_accountants(1e-5, p, RELATION))
        replaced = dp_epsilon(1e-5, phases, relation=Relation.replace)
        words = " + ".join(f"{p.noise_multiplier:g}:{p.sampling_rate:.4g}:{p.steps}" for p in phases)
        found.append({"phases": words, "epsilon": epsilon, "replace": replaced, "seconds": seconds, **others})
        found[-1]["others_seconds"] = other_seconds
    return found


def groups(largest: int) -> list[dict[str, Any]]:
    found = []
    for size in range(1, largest + 1):
        epsilon, seconds = timed(lambda k=size: dp_epsilon(1e-5, STEPS, relation=RELATION, rows=k))
        row = {"rows": size, "epsilon": epsilon, "seconds": seconds}
        if size in (1, 2, 5, 10):
            row["generic"] = generic_group_epsilon(1e-5, STEPS, size, relation=RELATION)
        found.append(row)
    return found


def calibrations() -> list[dict[str, Any]]:
    target = (1.0, 1e-5)
    actions: dict[str, Callable[[], float]] = {
        "noise multiplier (q = 0.01, T = 1000)": lambda: dp_noise_multiplier(
            *target, sampling_rate=0.01, steps=1000, relation=RELATION
        ),
        "sampling rate (σ = 1, T = 1000)": lambda: dp_sampling_rate(
            *target, noise_multiplier=1.0, steps=1000, relation=RELATION
        ),
        "steps (σ = 1, q = 0.01)": lambda: dp_steps(
            *target, noise_multiplier=1.0, sampling_rate=0.01, relation=RELATION
        ),
    }
    return [
        dict(zip(("what", "value", "seconds"), (name, *timed(action)), strict=True)) for name, action in actions.items()
    ]


def show(title: str, rows: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*(name.replace("_", " ") for name in names), title=title)
    for row in rows:
        table.add_row(*(f"{row[n]:.7g}" if isinstance(row.get(n), float) else str(row.get(n, "")) for n in names))
    Console(width=130).print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=20, help="largest group")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results into this file")
    arguments = parser.parse_args()
    results = {
        "Gaussian composition, μ = 1, against the closed form": gaussians(),
        "training, δ = 1e-5": trainings(),
        "groups, noise 1, q = 0.0171, 600 steps, δ = 1e-5": groups(arguments.largest),
        "calibration for (1, 1e-5)": calibrations(),
    }
    for title, rows in results.items():
        show(title, rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2, ensure_ascii=False), encoding="utf-8")
    exact = next(iter(results.values()))
    return int(any(row["delta_over_exact"] < 1.0 or row["epsilon"] < row["epsilon_exact"] for row in exact))


if __name__ == "__main__":
    sys.exit(main())
