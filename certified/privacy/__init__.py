"""Calculators of differential privacy, rounded to the safe side, and release noise (claims T3, T11, T13, T17a to T17h).

Every calculator with its formula: docs/privacy.md. They need python-flint only; the samplers load NumPy on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from certified.privacy.classical import classical_delta as classical_delta
from certified.privacy.classical import classical_epsilon as classical_epsilon
from certified.privacy.classical import classical_noise_std as classical_noise_std
from certified.privacy.classical import classical_sensitivity as classical_sensitivity
from certified.privacy.composition import compose_advanced as compose_advanced
from certified.privacy.composition import compose_basic as compose_basic
from certified.privacy.composition import compose_gaussian as compose_gaussian
from certified.privacy.composition import compose_optimal_delta as compose_optimal_delta
from certified.privacy.composition import compose_optimal_epsilon as compose_optimal_epsilon
from certified.privacy.composition import compose_renyi as compose_renyi
from certified.privacy.composition import compose_zcdp as compose_zcdp
from certified.privacy.composition import optimal_release_epsilon as optimal_release_epsilon
from certified.privacy.composition import remaining_mu as remaining_mu
from certified.privacy.conversions import gdp_to_renyi as gdp_to_renyi
from certified.privacy.conversions import gdp_to_zcdp as gdp_to_zcdp
from certified.privacy.conversions import pure_to_gdp as pure_to_gdp
from certified.privacy.conversions import pure_to_renyi as pure_to_renyi
from certified.privacy.conversions import pure_to_zcdp as pure_to_zcdp
from certified.privacy.conversions import zcdp_to_renyi as zcdp_to_renyi
from certified.privacy.extractor import feature_delta as feature_delta
from certified.privacy.extractor import feature_epsilon as feature_epsilon
from certified.privacy.extractor import feature_guarantee as feature_guarantee
from certified.privacy.gaussian import gaussian_delta as gaussian_delta
from certified.privacy.gaussian import gaussian_epsilon as gaussian_epsilon
from certified.privacy.gaussian import gaussian_mu as gaussian_mu
from certified.privacy.gaussian import gaussian_noise_std as gaussian_noise_std
from certified.privacy.gaussian import gaussian_sensitivity as gaussian_sensitivity
from certified.privacy.gdp import gaussian_shift_mu as gaussian_shift_mu
from certified.privacy.gdp import gdp_delta as gdp_delta
from certified.privacy.gdp import gdp_epsilon as gdp_epsilon
from certified.privacy.group import group_guarantee as group_guarantee
from certified.privacy.group import group_mu as group_mu
from certified.privacy.group import group_renyi as group_renyi
from certified.privacy.group import group_rho as group_rho
from certified.privacy.group import group_share as group_share
from certified.privacy.laplace import idealized_laplace as idealized_laplace
from certified.privacy.laplace import laplace_delta as laplace_delta
from certified.privacy.laplace import laplace_epsilon as laplace_epsilon
from certified.privacy.laplace import laplace_scale as laplace_scale
from certified.privacy.laplace import laplace_sensitivity as laplace_sensitivity
from certified.privacy.laplace import laplace_trade_off as laplace_trade_off
from certified.privacy.renyi import gaussian_renyi as gaussian_renyi
from certified.privacy.renyi import renyi_delta as renyi_delta
from certified.privacy.renyi import renyi_divergence as renyi_divergence
from certified.privacy.renyi import renyi_epsilon as renyi_epsilon
from certified.privacy.renyi import renyi_noise_std as renyi_noise_std
from certified.privacy.renyi import renyi_sensitivity as renyi_sensitivity
from certified.privacy.tradeoff import approximate_trade_off as approximate_trade_off
from certified.privacy.tradeoff import gaussian_trade_off as gaussian_trade_off
from certified.privacy.tradeoff import profile_trade_off as profile_trade_off
from certified.privacy.tradeoff import trade_off_delta as trade_off_delta
from certified.privacy.zcdp import gaussian_rho as gaussian_rho
from certified.privacy.zcdp import zcdp_delta as zcdp_delta
from certified.privacy.zcdp import zcdp_epsilon as zcdp_epsilon
from certified.privacy.zcdp import zcdp_noise_std as zcdp_noise_std
from certified.privacy.zcdp import zcdp_rho as zcdp_rho
from certified.privacy.zcdp import zcdp_sensitivity as zcdp_sensitivity

if TYPE_CHECKING:
    from certified.privacy.noise import idealized_gaussian as idealized_gaussian
    from certified.privacy.noise import release_gaussian as release_gaussian

_SAMPLERS = ("idealized_gaussian", "release_gaussian")


def __getattr__(name: str) -> Any:
    if name in _SAMPLERS:
        return getattr(import_module("certified.privacy.noise"), name)
    raise AttributeError(f"module 'certified.privacy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SAMPLERS])
