"""Settings of every test: property-test profiles, and a guard on the caller's JAX configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Half of the time would go into compiling the same few functions in every worker, subprocess and notebook.
# Set before JAX is imported, which reads them then; what a caller has set himself stays.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import jax
import pytest
from hypothesis import settings

settings.register_profile("dev", max_examples=50, deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("dev"), max_examples=35, derandomize=True, database=None)
settings.register_profile("thorough", settings.get_profile("dev"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(autouse=True)
def _jax_configuration_is_left_alone() -> Iterator[None]:
    """The library computes in float64 without changing what its caller sees."""
    before = jax.config.jax_enable_x64
    yield
    assert jax.config.jax_enable_x64 == before, "the library or the test left jax_enable_x64 changed"
