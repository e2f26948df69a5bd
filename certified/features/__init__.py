"""Linear heads on frozen features: extraction, where the features come from, flax heads in place (claim T11)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from certified.certificates.provenance import Provenance as Provenance

if TYPE_CHECKING:
    from certified.features.backbone import parameter_digest as parameter_digest
    from certified.features.cache import FeatureCache as FeatureCache
    from certified.features.extract import extract_features as extract_features
    from certified.features.head import DenseHead as DenseHead
    from certified.features.linear import LinearHead as LinearHead

# Loaded on first use: only they need JAX, and only flax models need flax.
_HOMES = {
    "DenseHead": "certified.features.head",
    "FeatureCache": "certified.features.cache",
    "LinearHead": "certified.features.linear",
    "extract_features": "certified.features.extract",
    "parameter_digest": "certified.features.backbone",
}

__all__ = [*_HOMES, "Provenance"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'certified.features' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
