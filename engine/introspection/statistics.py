"""Statistics of one parameter, streamed over blocks with bounded memory. Pure but for reading.

Moments are merged in float64.

Source: Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
Variances", 1979, for the merging of two parts.
"""

import math
from collections.abc import Iterable

import msgspec
import numpy as np

from engine.introspection.safetensors import Floats


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the finite values seen so far; the identity of merging when empty."""

    n_values: int = 0
    n_not_finite: int = 0
    n_zeros: int = 0
    mean: float = 0.0
    squares_about_mean: float = 0.0
    absolute: float = 0.0
    """Sum of the absolute values."""
    smallest: float = math.inf
    largest: float = -math.inf

    @property
    def std(self) -> float:
        """Population standard deviation."""
        return math.sqrt(self.squares_about_mean / self.n_values) if self.n_values else 0.0

    @property
    def l2_norm(self) -> float:
        """Root of the sum of squares."""
        return math.sqrt(self.squares_about_mean + self.n_values * self.mean**2)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """How two parameters of the same shape differ, value by value."""

    cosine: float
    l2_distance: float
    largest: float
    """Largest absolute difference; NaN where one has no number."""


def moments(blocks: Iterable[Floats]) -> Moments:
    """Return the moments over all blocks."""
    total = Moments()
    for block in blocks:
        total = _merged(total, _of_block(block))
    return total


def difference(pairs: Iterable[tuple[Floats, Floats]]) -> Difference:
    """Return how the two sides of `pairs` of blocks differ."""
    dot = first_squared = second_squared = distance_squared = largest = 0.0
    for left, right in pairs:
        gap = left - right
        dot += _dot(left, right)
        first_squared += _dot(left, left)
        second_squared += _dot(right, right)
        distance_squared += _dot(gap, gap)
        # Unlike max(), it passes NaN on.
        largest = float(np.maximum(largest, np.abs(gap).max(initial=0.0)))
    norms = math.sqrt(first_squared * second_squared)
    return Difference(
        cosine=dot / norms if norms else 0.0,
        l2_distance=math.sqrt(distance_squared),
        largest=largest,
    )


def rounded(value: float) -> float | None:
    """Return `value` with 6 significant digits; None for what is not finite."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _dot(left: Floats, right: Floats) -> float:
    """Return the scalar product, summed in float64 on this thread alone."""
    return float(np.multiply(left, right, dtype=np.float64).sum())


def _of_block(block: Floats) -> Moments:
    is_whole = math.isfinite(float(block.sum(dtype=np.float64)))
    finite = block if is_whole else block[np.isfinite(block)]
    if not finite.size:
        return Moments(n_not_finite=block.size)
    about_mean = finite.astype(np.float64)
    mean = float(about_mean.mean())
    about_mean -= mean
    return Moments(
        n_values=finite.size,
        n_not_finite=block.size - finite.size,
        n_zeros=int(finite.size - np.count_nonzero(finite)),
        mean=mean,
        squares_about_mean=float(np.square(about_mean, out=about_mean).sum()),
        absolute=float(np.abs(finite).sum(dtype=np.float64)),
        smallest=float(finite.min()),
        largest=float(finite.max()),
    )


def _merged(first: Moments, second: Moments) -> Moments:
    n_values = first.n_values + second.n_values
    n_not_finite = first.n_not_finite + second.n_not_finite
    if not n_values:
        return Moments(n_not_finite=n_not_finite)
    gap = second.mean - first.mean
    share = second.n_values / n_values
    return Moments(
        n_values=n_values,
        n_not_finite=n_not_finite,
        n_zeros=first.n_zeros + second.n_zeros,
        mean=first.mean + gap * share,
        squares_about_mean=first.squares_about_mean
        + second.squares_about_mean
        + gap * gap * first.n_values * share,
        absolute=first.absolute + second.absolute,
        smallest=min(first.smallest, second.smallest),
        largest=max(first.largest, second.largest),
    )
