"""How loops are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compiles `function` at its first call; it holds no GIL. The result is kept on disk where there is a place for it.

    Divisions by zero give infinity or NaN, as numpy's do.
    The place is `NUMBA_CACHE_DIR`, the folder of the module, or the user's cache folder, whichever can be written.
    """
    try:
        compiled: Any = numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no place
        compiled = numba.njit(nogil=True, error_model="numpy")(function)
    return cast(Kernel, compiled)
