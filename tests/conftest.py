"""Settings of every test: property-test profiles, and a guard on the caller's JAX configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator

import jax
import pytest
from hypothesis import settings

settings.register_profile("dev", max_examples=50, deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, database=None)
settings.register_profile("thorough", settings.get_profile("dev"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(autouse=True)
def _jax_configuration_is_left_alone() -> Iterator[None]:
    """The library computes in float64 without changing what its caller sees."""
    before = jax.config.jax_enable_x64
    yield
    assert jax.config.jax_enable_x64 == before, "the library or the test left jax_enable_x64 changed"
