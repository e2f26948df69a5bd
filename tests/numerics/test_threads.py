"""BLAS threads around small factorisations."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from threadpoolctl import threadpool_info

from certified.numerics.threads import SMALL, blas_threads_for


def blas_threads() -> set[int]:
    scipy.linalg.cholesky(np.eye(2))
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_small_matrices_get_one_thread_and_the_caller_gets_his_back() -> None:
    before = blas_threads()
    with blas_threads_for(SMALL):
        assert blas_threads() <= {1}
    assert blas_threads() == before


def test_large_matrices_keep_all_threads() -> None:
    before = blas_threads()
    with blas_threads_for(SMALL + 1):
        assert blas_threads() == before
