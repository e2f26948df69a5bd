from __future__ import annotations

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from certified.numerics.precision import in_float64


@in_float64
def third() -> jax.Array:
    """One third."""
    return jnp.ones(()) / 3


@in_float64
def fail() -> None:
    raise RuntimeError("inside")


def test_computes_in_float64_while_the_caller_stays_in_float32() -> None:
    assert (jnp.ones(()) / 3).dtype == jnp.float32
    value = third()
    assert value.dtype == jnp.float64
    assert float(value) == 1 / 3
    assert (jnp.ones(()) / 3).dtype == jnp.float32


def test_restores_the_configuration_after_an_error() -> None:
    before = jax.config.jax_enable_x64
    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert jax.config.jax_enable_x64 == before


def test_keeps_a_caller_in_float64() -> None:
    with jax.enable_x64(True):
        third()
        assert jax.config.jax_enable_x64
        assert jnp.ones(()).dtype == jnp.float64


def test_compiled_functions_do_not_mix_precisions() -> None:
    compiled = jax.jit(lambda x: x / 3)
    single = compiled(jnp.ones(()))
    double = in_float64(lambda: compiled(jnp.asarray(np.ones(()))))()
    assert (single.dtype, double.dtype) == (jnp.float32, jnp.float64)
    assert compiled(jnp.ones(())).dtype == jnp.float32


def test_other_threads_are_not_affected() -> None:
    inside, seen = threading.Event(), []

    def look() -> None:
        inside.wait(10)
        seen.append(jnp.ones(()).dtype)
        done.set()

    done = threading.Event()
    other = threading.Thread(target=look)
    other.start()

    @in_float64
    def compute() -> None:
        inside.set()
        assert done.wait(10)

    compute()
    other.join()
    assert seen == [jnp.float32]


def test_keeps_name_and_documentation() -> None:
    assert (third.__name__, third.__doc__) == ("third", "One third.")
