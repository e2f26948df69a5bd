"""Every registered bound against 50 digits, on every kind of scalar, and its errors."""

from __future__ import annotations

import doctest
import math
import random
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from flint import arb, ctx

import certified.bounds.published as package
from certified.bounds.published import PUBLISHED, guo_single, neel_distance, pnsgd_distance, sekhari_noise_std
from tests.bounds.published.oracle import ORACLE

NAMES = list(PUBLISHED)
ROOT = Path(__file__).resolve().parents[3]
SETS = 500
"""Random parameter sets per bound: 22 bounds make 11,000."""

RISING = {
    *("gradient_bound", "curvature_lipschitz", "third_derivative", "feature_norm", "perturbation_norm"),
    *("training_residual", "spectral_norm", "step_norm", "product_norm", "squared_product_norm", "residual"),
    *("lipschitz", "hessian_lipschitz", "removed", "dimension"),
}
FALLING = {"n", "epsilon", "strength", "noise_scale", "distance", "delta", "epochs"}


def parameters(name: str, rng: random.Random) -> dict[str, float]:
    """Draw arguments in the domain of a bound, over many orders of magnitude."""
    smoothness = 10.0 ** rng.uniform(-2, 2)
    batches = rng.randint(1, 40)
    batch = rng.randint(1, 50)
    n = float(batches * batch + (batches * batch == 1))
    values = {
        "n": n,
        "batch_size": float(batch) if batches * batch > 1 else 1.0,
        "removed": float(rng.randint(1, int(n) - 1)),
        "iterations": float(rng.randint(1, 200)),
        "epochs": float(rng.randint(1, 20)),
        "dimension": float(rng.randint(1, 10000)),
        "smoothness": smoothness,
        "strong_convexity": smoothness * rng.uniform(1e-3, 0.99),
        "step_size": rng.uniform(0.01, 0.99) / smoothness,
        "epsilon": rng.uniform(1e-3, 0.999),
        "delta": 10.0 ** rng.uniform(-12, -0.5),
        "order": 1.0 + 10.0 ** rng.uniform(-2, 3),
    }
    arguments = PUBLISHED[name].arguments
    return {key: values.get(key, 10.0 ** rng.uniform(-4, 3)) for key in arguments}


def exactly(point: dict[str, float]) -> dict[str, mpmath.mpf]:
    return {key: mpmath.mpf(value) for key, value in point.items()}


def draws(name: str, count: int) -> list[dict[str, float]]:
    rng = random.Random(name)
    return [parameters(name, rng) for _ in range(count)]


def test_the_oracle_covers_the_registry() -> None:
    assert set(ORACLE) == set(PUBLISHED)
    assert SETS * len(PUBLISHED) >= 10_000


@pytest.mark.parametrize("name", NAMES)
def test_a_float_is_the_real_value_rounded_up(name: str) -> None:
    for point in draws(name, SETS):
        bound = PUBLISHED[name].calculate(**point)
        value = ORACLE[name](exactly(point))
        assert type(bound) is float
        assert value <= mpmath.mpf(bound) * (1 + mpmath.mpf(10) ** -45)
        below = mpmath.mpf(math.nextafter(bound, -math.inf))
        assert below <= value * (1 + mpmath.mpf(10) ** -45) if value >= 0 else below <= value


@pytest.mark.parametrize("name", NAMES)
def test_a_ball_encloses(name: str) -> None:
    for point in draws(name, 20):
        balls = {key: arb(value) for key, value in point.items()}
        wide = {key: ball if ball == ball.floor() else ball * arb(1, 1e-9) for key, ball in balls.items()}
        value = arb(mpmath.nstr(ORACLE[name](exactly(point)), 50))
        with ctx.workprec(150):
            assert PUBLISHED[name].calculate(**balls).overlaps(value)
            enclosure = PUBLISHED[name].calculate(
                **(wide | {"step_size": balls["step_size"]} if "step_size" in point else wide)
            )
            assert enclosure.overlaps(value) and enclosure.rad() > 0


@pytest.mark.parametrize("name", NAMES)
def test_jax_differentiates(name: str) -> None:
    with jax.enable_x64(True):
        for point in draws(name, 3):
            traced = {key: jnp.asarray(value) for key, value in point.items()}
            value = PUBLISHED[name].calculate(**traced)
            assert isinstance(value, jax.Array)
            assert float(value) == pytest.approx(PUBLISHED[name].calculate(**point), rel=1e-9)
            slopes = jax.grad(lambda arguments: PUBLISHED[name].calculate(**arguments))(traced)
            for key, at in point.items():
                exact = exactly(point)
                step = exact[key] * mpmath.mpf(10) ** -20
                up, down = (oracle_beside(name, exact, key, exact[key] + sign * step) for sign in (1, -1))
                if up is None or down is None:
                    continue
                slope = float((up - down) / (2 * step))
                scale = abs(float(value) / at) + abs(slope)
                assert float(slopes[key]) == pytest.approx(slope, rel=1e-6, abs=1e-9 * scale), key


def oracle_beside(name: str, point: dict[str, mpmath.mpf], key: str, value: mpmath.mpf) -> mpmath.mpf | None:
    """The formula beside the point; none where the oracle takes whole numbers only."""
    if key == "iterations" and name.startswith("neel"):
        return None
    return ORACLE[name](point | {key: value})


def test_a_jax_scalar_among_floats() -> None:
    with jax.enable_x64(True):
        slope = jax.grad(lambda n: guo_single(n=n, strength=0.5, gradient_bound=1, curvature_lipschitz=0.25))(101.0)
    assert float(slope) == pytest.approx(-0.04 / 100)


@pytest.mark.parametrize("name", NAMES)
def test_monotone(name: str) -> None:
    for point in draws(name, 25):
        bound = PUBLISHED[name].calculate(**point)
        for key in PUBLISHED[name].arguments:
            if key not in RISING | FALLING or (key == "n" and "batch_size" in point):
                continue
            larger = point | {key: point[key] + 1 if point[key].is_integer() else point[key] * 1.0009}
            if "removed" in larger and larger["removed"] >= larger["n"]:
                continue
            other = PUBLISHED[name].calculate(**larger)
            assert other >= bound if key in RISING else other <= bound, key


@pytest.mark.parametrize("name", NAMES)
def test_metadata_and_examples(name: str) -> None:
    bound = PUBLISHED[name]
    text = bound.calculate.__doc__ or ""
    assert bound.name == name == bound.calculate.__name__ and getattr(package, name) is bound.calculate
    assert bound.source and 2000 < bound.year < 2100
    assert (bound.status == "published") == (bound.claim == "")
    assert bound.claim in text
    if bound.status == "published":
        assert re.search("not proved here", text, re.IGNORECASE)
    test = doctest.DocTestParser().get_doctest(text, dict(vars(package)), name, None, 0)
    assert test.examples
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0


def test_the_guide_lists_the_registry() -> None:
    """docs/published-bounds.md has one row per bound, with its quantity, scaling, status and claim."""
    guide = (ROOT / "docs/published-bounds.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|", guide, re.MULTILINE)
    listed = [(name, *(cell.strip() for cell in cells)) for name, *cells in rows]
    expected = [
        (b.name, b.quantity, b.scaling, b.status, re.sub(r"\[(\w+)\].*", r"\1", b.claim) or "–")
        for b in PUBLISHED.values()
    ]
    plain = [(*row[:4], re.sub(r"\[(\w+)\]\([^)]*\)", r"\1", row[4])) for row in listed]
    assert plain == expected


VALID = {"n": 100.0, "strength": 0.5, "gradient_bound": 1.0, "curvature_lipschitz": 0.25}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n": 1.0}, ValueError, r"^n must be at least 2"),
        ({"n": 0.0}, ValueError, r"^n must be a whole number of at least 1, got 0\.0; pass such a value"),
        ({"n": 2.5}, ValueError, r"^n must be a whole number"),
        ({"strength": 0.0}, ValueError, r"^strength must be positive, got 0\.0"),
        ({"strength": math.nan}, ValueError, r"^strength must be positive, got nan"),
        ({"strength": math.inf}, ValueError, r"^strength must be positive, got inf"),
        ({"strength": Fraction(1, 3)}, ValueError, r"^strength must be a float64 number"),
        ({"strength": 10**400}, ValueError, r"^strength exceeds every float64 number"),
        ({"strength": "1"}, TypeError, r"^strength must be a real number, got str; pass a float, ball or JAX scalar"),
        ({"strength": arb(0, 1)}, ValueError, r"^strength must be positive for all numbers in the ball"),
        ({"strength": jnp.ones(2)}, ValueError, r"^strength must be a scalar, got shape \(2,\)"),
        ({"gradient_bound": -1.0}, ValueError, r"^gradient_bound must be at least 0, got -1\.0"),
        ({"lambda": 1.0}, TypeError, r"^guo_single has no lambda; its keyword arguments are n, strength"),
    ],
)
def test_bad_arguments_are_named(change: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        guo_single(**(VALID | change))


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(TypeError, match=r"^guo_single lacks strength; its keyword arguments are"):
        guo_single(n=2, gradient_bound=1.0, curvature_lipschitz=1.0)


def test_a_ball_beside_a_jax_scalar_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^strength must be a real number or JAX scalar"):
        guo_single(**(VALID | {"n": jnp.asarray(3.0), "strength": arb(1)}))


def test_conditions_between_arguments() -> None:
    with pytest.raises(
        ValueError, match=r"^smoothness must exceed strong_convexity; see the arguments of neel_distance"
    ):
        neel_distance(n=10, iterations=1, strong_convexity=1.0, smoothness=1.0, lipschitz=1.0)
    point = dict(n=10, removed=1, epochs=1, strong_convexity=0.1, smoothness=1.0, lipschitz=1.0)
    with pytest.raises(ValueError, match=r"^batch_size must divide n"):
        pnsgd_distance(**point, batch_size=3, step_size=1.0)
    with pytest.raises(ValueError, match=r"^step_size must be at most 1/smoothness"):
        pnsgd_distance(**point, batch_size=5, step_size=math.nextafter(1.0, 2.0))
    with pytest.raises(ValueError, match=r"^epsilon must be below 1"):
        sekhari_noise_std(
            n=10, removed=1, strong_convexity=1.0, lipschitz=1.0, hessian_lipschitz=1.0, epsilon=1.0, delta=1e-5
        )


def test_numpy_scalars_and_integers_are_accepted() -> None:
    point = {"n": np.int64(101), "strength": np.float32(0.5), "gradient_bound": 1, "curvature_lipschitz": 0.25}
    assert guo_single(**point) == guo_single(**(VALID | {"n": 101.0}))


def test_an_overflow_is_infinity_and_no_smaller_number() -> None:
    assert guo_single(n=2, strength=1e-300, gradient_bound=1e300, curvature_lipschitz=1.0) == math.inf


def test_the_calculators_load_no_jax() -> None:
    code = "import sys, certified.bounds.published, certified.bounds.capacity; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
