"""Steps per second of DP-SGD beside jax-privacy and Opacus, on the same work.

    python -m benchmarks.dp_sgd [--peer-python PATH] [--seconds S] [--quick] [--json FILE]

Logistic regression with 784 and 2,048 features, softmax and a network 784-256-10 with ten classes; 20,000 rows,
expected batches of 512 and 4,096. A step is: draw a Poisson batch, gather its rows, clip the gradient of each to norm 1
(float32), add noise, update by SGD. Every library has a process of its own, one after the other, with all cores. This
library runs the compiled steps of `dp_sgd`. jax-privacy: ``clipped_grad`` and ``gaussian_privatizer`` in one compiled
step on a padded batch of about as many slots. Opacus: ``GradSampleModule`` and ``DPOptimizer`` on the batch
itself. Both get their batches by NumPy and one vectorised gather, not from a data loader, which would be slower. Peers
that ``--peer-python`` lacks are left out by name.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

ROWS = 20_000
CASES = [
    (model, features, batch)
    for model, features in (("logistic", 784), ("logistic", 2_048), ("softmax", 784), ("network", 784))
    for batch in (512, 4_096)
]
CHUNK, CALLS = 16, 4
"""Steps that the library takes per call, and calls one after the other; peers are timed step by step for as long."""


def data(model: str, features: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(ROWS, features)) / np.sqrt(features)).astype(np.float32)
    return rows, rng.integers(0, 2 if model == "logistic" else 10, ROWS)


def timed(step: Callable[[], Any], seconds: float) -> float:
    """Steps per second of calls, best of three stretches after a first call."""
    step()
    rates = []
    for _ in range(3):
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < seconds / 3 or count == 0:
            step()
            count += 1
        rates.append(count / (time.perf_counter() - start))
    return max(rates)


def certified(model: str, features: int, batch: int, seconds: float) -> float:
    import jax
    import jax.numpy as jnp
    import optax
    from flax import linen as nn

    from certified.dp import DenseGradient, LinearGradient, SGDPlan
    from certified.dp.poisson import PoissonSampler
    from certified.dp.sgd import _run, _Step
    from certified.dp.tiles import in_tiles
    from certified.losses import LOGISTIC, SOFTMAX

    rows, labels = data(model, features)
    with jax.enable_x64(True):
        if model == "network":
            net = nn.Sequential([nn.Dense(256), nn.relu, nn.Dense(10)])
            params = net.init(jax.random.key(0), jnp.ones((1, features), jnp.float32))["params"]
            gradient: Any = DenseGradient(net, optax.softmax_cross_entropy_with_integer_labels)
            prepared = gradient.prepare((rows, labels))
        else:
            outputs = 1 if model == "logistic" else 10
            targets = 2.0 * labels[:, None] - 1.0 if model == "logistic" else np.eye(10)[labels]
            params = jnp.zeros((features + 1, outputs), jnp.float32)
            gradient = LinearGradient(LOGISTIC if model == "logistic" else SOFTMAX, fit_intercept=True)
            prepared = gradient.prepare((rows, targets))
        plan = SGDPlan(clip_norm=1.0, noise_multiplier=1.0, expected_batch=float(batch), public_rows=ROWS, steps=1_000)
        optimizer = optax.sgd(0.1)
        step = _Step(gradient, optimizer, 1.0, float(batch), False)
        sampler = PoissonSampler(ROWS, plan.sampling_rate)
        carry = [(params, optimizer.init(params), step.noise().init(params))]

        def steps() -> None:
            # As in dp_sgd, without loading the data again: sampling overlaps with the steps before.
            slots = in_tiles(sampler.slots(CHUNK, plan.slots), prepared, params)
            carry[0] = _run(step, carry[0], prepared, slots, 1.0)

        def chunk() -> None:
            for _ in range(CALLS):
                steps()
            jax.block_until_ready(carry[0])

        return CALLS * CHUNK * timed(chunk, seconds)


def jax_privacy(model: str, features: int, batch: int, seconds: float) -> float:
    import jax
    import jax.numpy as jnp
    import optax
    from jax_privacy import clipped_grad, noise_addition

    rows, labels = data(model, features)
    rng = np.random.default_rng(1)
    keys = jax.random.split(jax.random.key(0), 2)
    if model == "network":
        params = {
            "w1": jax.random.normal(keys[0], (features, 256)) / 28.0, "b1": jnp.zeros(256),
            "w2": jax.random.normal(keys[1], (256, 10)) / 16.0, "b2": jnp.zeros(10),
        }  # fmt: skip
    else:
        outputs = 1 if model == "logistic" else 10
        params = {"w": jnp.zeros((features, outputs)), "b": jnp.zeros(outputs)}

    def loss(params: Any, row: Any, label: Any) -> Any:
        if model == "network":
            z = jax.nn.relu(row @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"]
        else:
            z = row @ params["w"] + params["b"]
        if model == "logistic":
            return optax.sigmoid_binary_cross_entropy(z[0], label)
        return optax.softmax_cross_entropy_with_integer_labels(z, label)

    # All gradients of a network's large batch at once need gigabytes: the largest microbatch that fits is faster.
    micro = 512 if model == "network" and batch > 512 else None
    gradient = clipped_grad(loss, l2_clip_norm=1.0, batch_argnums=(1, 2), keep_batch_dim=False, microbatch_size=micro)
    privatizer = noise_addition.gaussian_privatizer(stddev=1.0, prng_key=jax.random.key(0))
    optimizer = optax.sgd(0.1)
    slots = -(-int(batch + 8 * batch**0.5) // 512) * 512 if micro else int(batch + 8 * batch**0.5)

    @jax.jit
    def step(params: Any, noise: Any, state: Any, row: Any, label: Any, padding: Any) -> Any:
        total = gradient(params, row, label, is_padding_example=padding)
        noisy, noise = privatizer.update(total, noise, params)
        updates, state = optimizer.update(jax.tree.map(lambda leaf: leaf / batch, noisy), state, params)
        return optax.apply_updates(params, updates), noise, state

    carry = [(params, privatizer.init(params), optimizer.init(params))]

    def one() -> None:
        index = np.flatnonzero(rng.random(ROWS) < batch / ROWS)[:slots]
        padded = np.zeros(slots, np.int64)
        padded[: len(index)] = index
        carry[0] = step(*carry[0], rows[padded], labels[padded], np.arange(slots) >= len(index))
        jax.block_until_ready(carry[0])

    return timed(one, seconds)


def opacus(model: str, features: int, batch: int, seconds: float) -> float:
    import torch
    from opacus import GradSampleModule
    from opacus.optimizers import DPOptimizer
    from torch import nn

    rows, labels = data(model, features)
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rows)
    y = torch.from_numpy(labels.astype(np.float32)[:, None] if model == "logistic" else labels)
    layers: Any = {
        "logistic": lambda: nn.Linear(features, 1),
        "softmax": lambda: nn.Linear(features, 10),
        "network": lambda: nn.Sequential(nn.Linear(features, 256), nn.ReLU(), nn.Linear(256, 10)),
    }
    net = GradSampleModule(layers[model]())
    loss = nn.BCEWithLogitsLoss() if model == "logistic" else nn.CrossEntropyLoss()
    optimizer = DPOptimizer(
        torch.optim.SGD(net.parameters(), lr=0.1), noise_multiplier=1.0, max_grad_norm=1.0, expected_batch_size=batch
    )

    def one() -> None:
        index = torch.from_numpy(np.flatnonzero(rng.random(ROWS) < batch / ROWS))
        optimizer.zero_grad()
        loss(net(x[index]), y[index]).backward()
        optimizer.step()

    return timed(one, seconds)


LIBRARIES = {"certified": certified, "jax-privacy": jax_privacy, "opacus": opacus}


def measure(library: str, python: str, case: tuple[str, int, int], seconds: float) -> float | str:
    """Steps per second in a fresh process, or why there are none."""
    command = [python, __file__, "--worker", library, json.dumps(case), "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return float(done.stdout.split()[-1])
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return f"left out: {last[:80]}"


def results(peer: str, seconds: float, quick: bool) -> Iterator[dict[str, Any]]:
    for case in CASES[:1] if quick else CASES:
        rates = {
            library: measure(library, sys.executable if library == "certified" else peer, case, seconds)
            for library in LIBRARIES
        }
        yield {"model": case[0], "features": case[1], "batch": case[2], "steps_per_second": rates}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has jax-privacy and opacus")
    parser.add_argument("--seconds", type=float, default=3.0, help="time per library and case")
    parser.add_argument("--quick", action="store_true", help="the first case only")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        library, case = arguments.worker[0], json.loads(arguments.worker[1])
        print(LIBRARIES[library](*case, arguments.seconds))
        return
    found = []
    print(f"{'model':>9} {'d':>5} {'batch':>5}   " + "   ".join(f"{name:>18}" for name in LIBRARIES))
    for result in results(arguments.peer_python, arguments.seconds, arguments.quick):
        found.append(result)
        rates = result["steps_per_second"]
        own = rates["certified"]
        cells = []
        for rate in rates.values():
            known = isinstance(rate, float) and isinstance(own, float)
            cells.append(f"{rate:8.1f}/s {own / rate:6.1f}×" if known else str(rate))
        print(f"{result['model']:>9} {result['features']:>5} {result['batch']:>5}   " + "   ".join(cells), flush=True)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=2)


if __name__ == "__main__":
    main()
