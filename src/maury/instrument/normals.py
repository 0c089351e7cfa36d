"""Standard normal numbers, faster than they are drawn one by one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maury.instrument.exposure_kernels import BLOCK, LANES, Room, normals

__all__ = ["NormalSource"]


class NormalSource:
    """Normal numbers that a seed fixes, from xoshiro128++'s bits; see `normals`.

    Parameters
    ----------
    seed : int
        Not negative. Same seed, same numbers.

    Attributes
    ----------
    state : uint32[4, lanes]
        Of the generators.
    room : tuple
        Memory for the compiled loops.

    Examples
    --------
    >>> normal = NormalSource(seed=1).draw(1000)
    >>> normal.size, bool(abs(normal.mean()) < 0.1)
    (1000, True)
    """

    def __init__(self, seed: int) -> None:
        words = np.random.SeedSequence(seed).generate_state(4 * LANES, np.uint32)
        self.state = words.astype(np.uint32).reshape(4, LANES)
        uniform = np.empty(BLOCK // 2, dtype=np.float32)
        self.room: Room = np.empty(BLOCK, dtype=np.int32), uniform, uniform.view(np.int32)

    def draw(self, size: int) -> NDArray[np.float32]:
        """So many numbers."""
        out = np.empty(-(-size // BLOCK) * BLOCK, dtype=np.float32)
        normals(self.state, self.room, out)
        return out[:size]
