"""How often the published claim of objective perturbation is false, by what is inserted for its residual bound.

    python -m benchmarks.gap --problems 2000 --json gap.json

Three parts. The counterexamples of proofs/T8, proved in ball arithmetic. A survey of random problems: with one weight
against the exact δ, with more weights against a 99.9 % lower confidence bound on it. A search for the worst problem
under each residual bound. Problems have rows of norm at most 1 and per-sample regularisation, as published; claims with
ε > 1 are left out. "Repaired" is the release with noise of its own (proofs/T9) under the same attack.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from certified.audit import judge, random_problems, refute, smoothed_release, worst_problem
from certified.audit.gap_search import RESIDUALS, Verdict, judge_sampled, random_vector_problems
from certified.audit.smoothing import distances
from tests.audit.gap_cases import CASES


@dataclass(frozen=True)
class Count:
    """Of the claims in one dimension with one residual bound: how many say something (ε ≤ 1), how many are false."""

    dimension: int
    residual: str
    problems: int
    claims: int
    violated: int
    worst_ratio: float


def count(dimension: int, verdicts: Iterable[dict[str, Verdict]]) -> list[Count]:
    """Count by residual bound."""
    listed = list(verdicts)
    counts = []
    for name in RESIDUALS:
        claims = [found[name] for found in listed if found[name].applies]
        ratio = max((verdict.delta / verdict.allowed for verdict in claims), default=0.0)
        counts.append(
            Count(dimension, name, len(listed), len(claims), sum(verdict.violated for verdict in claims), ratio)
        )
    return counts


def survey(problems: int, dimensions: list[int], delta: float, draws: int, seed: int, console: Console) -> list[Count]:
    """Judge random problems, in one dimension exactly and by sampling in the others."""
    counts = []
    for dimension in dimensions:
        rng = np.random.default_rng([seed, dimension])
        if dimension == 1:
            listed = track(random_problems(problems, rng), "1 weight", problems, console=console)
            counts += count(1, (judge(problem, delta) for problem in listed))
        else:
            few = max(1, problems // 20)
            vectors = random_vector_problems(few, dimension, rng)
            watched = track(vectors, f"{dimension} weights", few, console=console)
            counts += count(dimension, (judge_sampled(problem, delta, draws, rng) for problem in watched))
    return counts


def repaired(problems: int, seed: int) -> dict[str, float]:
    """Attack the smoothed release of random problems: the largest exact δ over what is claimed."""
    rng = np.random.default_rng([seed, 99])
    ratios = []
    for problem in random_problems(problems, rng):
        largest = float(np.max(distances(problem, problem.grid(9.0, 1001))))
        epsilon = float(rng.uniform(0.0, 1.0))
        found = smoothed_release(problem, largest / rng.uniform(0.5, 4.0), epsilon, size=1001, cells=600)
        ratios.append(found.exact.worst / found.claimed)
    return {
        "problems": problems,
        "violated": sum(ratio > 1.0 + 1e-9 for ratio in ratios),
        "largest exact / claimed": max(ratios),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--dimensions", type=int, nargs="*", default=[1, 2, 3, 5, 10])
    parser.add_argument("--delta", type=float, default=1e-5, help="δ that is claimed with one weight")
    parser.add_argument("--draws", type=int, default=20_000, help="runs of a mechanism with several weights")
    parser.add_argument("--generations", type=int, default=60, help="length of the search for the worst problem")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write everything to this file")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    started = time.perf_counter()

    proved = {name: refute(case.problem, case.claimed_delta, case.quantity) for name, case in CASES.items()}
    table = Table("counterexample", "ε′", "ε claimed", "δ claimed", "δ proved, at least", "false")
    for name, found in proved.items():
        numbers = (found.residual, found.epsilon, found.claimed_delta, found.delta)
        table.add_row(name, *(f"{number:.4g}" for number in numbers), str(found.holds))

    counts = survey(arguments.problems, arguments.dimensions, arguments.delta, arguments.draws, arguments.seed, console)
    counted = Table("weights", "ε′", "problems", "claims with ε ≤ 1", "false", "largest δ / allowed")
    for row in counts:
        numbers_of_row = (row.problems, row.claims, row.violated)
        counted.add_row(str(row.dimension), row.residual, *map(str, numbers_of_row), f"{row.worst_ratio:.3g}")

    worst = {}
    searched = Table("ε′", "ε claimed", "δ claimed", "largest δ found", "false")
    for name in RESIDUALS:
        rng = np.random.default_rng([arguments.seed, 7])
        problem, verdict = worst_problem(name, arguments.delta, rng, generations=arguments.generations)
        worst[name] = {"problem": asdict(problem), "verdict": asdict(verdict), "violated": verdict.violated}
        claimed = (verdict.claim.epsilon, verdict.claim.delta, verdict.delta)
        searched.add_row(name, *(f"{number:.4g}" for number in claimed), str(verdict.violated))

    smoothed = repaired(max(1, arguments.problems // 10), arguments.seed)
    seconds = time.perf_counter() - started
    Console(width=120).print(table, counted, searched, {"repaired": smoothed}, f"{seconds:.0f} s")
    if arguments.json:
        report = {
            "counterexamples": {name: {**asdict(found), "false": found.holds} for name, found in proved.items()},
            "survey": [asdict(row) for row in counts],
            "search": worst,
            "repaired": smoothed,
            "seconds": round(seconds, 1),
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    sound = all(found.holds for found in proved.values()) and smoothed["violated"] == 0
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
