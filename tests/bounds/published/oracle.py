"""The published formulas again, in 50 digits, written from the proofs and papers without the library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
from mpmath import mpf

mpmath.mp.dps = 60


def _gamma(m: Any, L: Any) -> Any:
    return (L - m) / (L + m)


def _cycle(p: dict[str, Any]) -> tuple[Any, Any]:
    """c^(n/b) and Z for one row."""
    c = 1 - p["step_size"] * p["strong_convexity"]
    epoch = mpmath.power(c, p["n"] / p["batch_size"])
    return epoch, 2 * p["step_size"] * p["lipschitz"] / (p["batch_size"] * (1 - epoch))


def guo_single(p: dict[str, Any]) -> Any:
    return 4 * p["curvature_lipschitz"] * p["gradient_bound"] ** 2 / p["strength"] ** 2 / (p["n"] - 1)


def guo_batch(p: dict[str, Any]) -> Any:
    return (
        p["curvature_lipschitz"]
        * (2 * p["removed"] * p["gradient_bound"] / p["strength"]) ** 2
        / (p["n"] - p["removed"])
    )


def guo_perturbed(p: dict[str, Any]) -> Any:
    size = (2 * p["gradient_bound"] * p["n"] + p["perturbation_norm"]) / p["n"]
    return p["curvature_lipschitz"] * (size / p["strength"]) ** 2 / (p["n"] - 1)


def guo_corollary(p: dict[str, Any]) -> Any:
    return mpmath.fprod([p["curvature_lipschitz"], p["product_norm"], p["step_norm"], p["spectral_norm"]])


def guo_noise_std(p: dict[str, Any]) -> Any:
    return p["residual"] / p["epsilon"] * mpmath.sqrt(-2 * mpmath.log(p["delta"] / mpf("1.5")))


def newton_worst_case(p: dict[str, Any]) -> Any:
    step = p["removed"] * (2 * p["gradient_bound"] + (p["perturbation_norm"] + p["training_residual"]) / p["n"])
    step /= p["strength"] * (p["n"] - p["removed"])
    remainder = p["third_derivative"] / 2 * p["feature_norm"] ** 3 * (p["n"] - p["removed"]) * step**2
    return p["training_residual"] + remainder


def newton_integral(p: dict[str, Any]) -> Any:
    return p["third_derivative"] / 2 * p["spectral_norm"] * p["product_norm"] * p["feature_norm"] * p["step_norm"]


def newton_rows(p: dict[str, Any]) -> Any:
    return p["third_derivative"] / 2 * p["feature_norm"] * p["product_norm"] ** 2


def newton_elementwise(p: dict[str, Any]) -> Any:
    return p["third_derivative"] / 2 * p["squared_product_norm"] * p["spectral_norm"]


def minimiser_shift(p: dict[str, Any]) -> Any:
    return p["removed"] / p["n"] * p["lipschitz"] / p["strong_convexity"]


def sekhari_distance(p: dict[str, Any]) -> Any:
    return p["hessian_lipschitz"] / (2 * p["strong_convexity"]) * (2 * minimiser_shift(p)) ** 2


def newton_distance(p: dict[str, Any]) -> Any:
    return p["hessian_lipschitz"] / (2 * p["strong_convexity"]) * minimiser_shift(p) ** 2


def sekhari_noise_std(p: dict[str, Any]) -> Any:
    return sekhari_distance(p) / p["epsilon"] * mpmath.sqrt(2 * (mpmath.log(mpf("1.25")) - mpmath.log(p["delta"])))


def jackknife_distance(p: dict[str, Any]) -> Any:
    stale = p["removed"] * p["smoothness"] / (p["strong_convexity"] * (p["n"] - p["removed"])) * minimiser_shift(p)
    return newton_distance(p) + stale


def neel_distance(p: dict[str, Any]) -> Any:
    shrunk = _gamma(p["strong_convexity"], p["smoothness"]) ** int(p["iterations"])
    return p["lipschitz"] / (p["strong_convexity"] * p["n"]) * shrunk / (1 - shrunk)


def neel_iterations(p: dict[str, Any]) -> Any:
    base = 1 + p["lipschitz"] / (p["strong_convexity"] * p["n"] * p["distance"])
    return -mpmath.log(base) / mpmath.log(_gamma(p["strong_convexity"], p["smoothness"]))


def neel_noise_std(p: dict[str, Any]) -> Any:
    tail = mpmath.log(1 / p["delta"])
    return 4 * mpmath.sqrt(2) * neel_distance(p) / (mpmath.sqrt(tail + p["epsilon"]) - mpmath.sqrt(tail))


def neel_state_noise_std(p: dict[str, Any]) -> Any:
    tail = 2 * mpmath.log(2 / p["delta"])
    return 8 * neel_distance(p) / (mpmath.sqrt(tail + 3 * p["epsilon"]) - mpmath.sqrt(tail + 2 * p["epsilon"]))


def neel_state_iterations(p: dict[str, Any]) -> Any:
    gamma = _gamma(p["strong_convexity"], p["smoothness"])
    tail = 2 * mpmath.log(2 / p["delta"])
    ratio = mpmath.sqrt(2 * p["dimension"]) / (1 - gamma) / (mpmath.sqrt(tail + p["epsilon"]) - mpmath.sqrt(tail))
    return mpmath.log(ratio) / mpmath.log(1 / gamma)


def pnsgd_distance(p: dict[str, Any]) -> Any:
    epoch, moved = _cycle(p)
    shrunk = mpmath.power(epoch, p["epochs"])
    return p["removed"] * moved * shrunk / (1 - shrunk)


def pnsgd_renyi(p: dict[str, Any]) -> Any:
    epoch, moved = _cycle(p)
    c = 1 - p["step_size"] * p["strong_convexity"]
    factor = (c**2 - 1) / (1 - mpmath.power(epoch, -2 * p["epochs"]))
    return p["order"] * moved**2 / (2 * p["step_size"] * p["noise_scale"] ** 2) * factor


def langevin_renyi(p: dict[str, Any]) -> Any:
    first = 4 * p["order"] * (p["removed"] * p["lipschitz"]) ** 2
    first /= p["strong_convexity"] * (p["noise_scale"] * p["n"]) ** 2
    return mpmath.exp(-p["step_size"] * p["strong_convexity"] * p["iterations"] / p["order"]) * first


ORACLE: dict[str, Callable[[dict[str, Any]], Any]] = {
    function.__name__: function
    for function in (
        guo_single,
        guo_batch,
        guo_perturbed,
        guo_corollary,
        guo_noise_std,
        newton_worst_case,
        newton_integral,
        newton_rows,
        newton_elementwise,
        minimiser_shift,
        sekhari_distance,
        newton_distance,
        sekhari_noise_std,
        jackknife_distance,
        neel_distance,
        neel_iterations,
        neel_noise_std,
        neel_state_noise_std,
        neel_state_iterations,
        pnsgd_distance,
        pnsgd_renyi,
        langevin_renyi,
    )
}
