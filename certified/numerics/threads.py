"""One BLAS thread where more only get in the way of the compiled passes: small factorisations."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

SMALL = 1500
"""Matrices up to this size gain nothing from several threads, and waiting for them can cost a hundredfold."""


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def blas_threads_for(size: int) -> AbstractContextManager[Any]:
    """Limit BLAS to one thread inside the block for (size, size) matrices that are small."""
    if size > SMALL:
        return nullcontext()
    limited: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limited
