"""Scattering features of digits, and their components from other, public digits: nothing is fitted to the private rows.

Two layers of Morlet wavelets, two scales and eight angles, moduli, and Gaussian means on a grid of 7 × 7: 81 channels
(Bruna & Mallat 2013, arXiv 1203.1513; Oyallon & Mallat 2015, arXiv 1412.8659), with the wavelets of kymatio's
Scattering2D(J=2, L=8). Tramèr & Boneh 2021 (arXiv 2011.11660) train private linear models on them, after scaling by
statistics of the private rows, for which they pay. Here scale and principal components are those of the 1,797 digits
that scikit-learn brings along (Alpaydin & Kaynak, UCI), written by others and scanned at 8 × 8, enlarged to 28 × 28.
"""

from __future__ import annotations

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from scipy.ndimage import zoom

from certified.data import load_digits

Array = npt.NDArray[np.float32]

SIDE, MARGIN, ANGLES, CELLS = 32, 2, 8, 7
COMPONENTS = 768
BATCH = 500


def digit_features(images: Array) -> Array:
    """Return unit features (n, `COMPONENTS`) of images (n, 28, 28): each depends on its own image and public digits.

    Channels are centred and scaled as on the public digits, turned into the principal components of the public digits,
    and each component is divided by the square root of its singular value there: half of what whitening would do.
    """
    mean, std, centre, components = _public_components()
    blocks = []
    for start in range(0, len(images), BATCH):
        channels = (scattering(images[start : start + BATCH]) - mean) / std
        block = (channels.reshape(len(channels), -1) - centre) @ components
        blocks.append(block / np.linalg.norm(block, axis=1, keepdims=True))
    return np.concatenate(blocks)


def scattering(images: Array) -> Array:
    """Return the 81 channels (n, 81, 7, 7) of images (n, 28, 28) with dark margins."""
    fine, coarse = (np.stack([_wavelet(scale, k * np.pi / ANGLES) for k in range(ANGLES)]) for scale in (1.0, 2.0))
    blocks = []
    for start in range(0, len(images), BATCH):
        block = images[start : start + BATCH]
        padded = np.concatenate([block, np.zeros((BATCH - len(block), *block.shape[1:]), block.dtype)])
        blocks.append(np.asarray(_channels(padded.astype(np.float32), fine, coarse))[: len(block)])
    return np.concatenate(blocks)


@jax.jit
def _channels(images: jax.Array, fine: Array, coarse: Array) -> jax.Array:
    images = jnp.pad(images, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))
    spectrum = jnp.fft.fft2(images)[:, None]
    first = jnp.abs(jnp.fft.ifft2(spectrum * fine))
    first_coarse = jnp.abs(jnp.fft.ifft2(_halved(spectrum * coarse)))
    second = jnp.abs(jnp.fft.ifft2(_halved(jnp.fft.fft2(first)[:, :, None] * coarse)))
    second = second.reshape(len(images), -1, *second.shape[-2:])
    means = partial(jnp.einsum, "iu,ncuv,jv->ncij")
    full, half = _window(1), _window(2)
    return jnp.concatenate(
        [
            means(full, jnp.concatenate([images[:, None], first], axis=1), full),
            means(half, jnp.concatenate([first_coarse, second], axis=1), half),
        ],
        axis=1,
    )


def _halved(spectrum: jax.Array) -> jax.Array:
    """The spectrum of every second sample in both directions."""
    half = SIDE // 2
    return spectrum.reshape(*spectrum.shape[:-2], 2, half, 2, half).mean(axis=(-4, -2))


def _wavelet(scale: float, angle: float) -> Array:
    """The spectrum of a Morlet wavelet: one Gaussian at 3π/4 of the scale, less one at 0, so that it sums to 0."""
    envelope = _gaussian(0.8 * scale, angle, 0.0)
    wave = _gaussian(0.8 * scale, angle, 0.75 * np.pi / scale)
    return np.asarray(wave - wave[0, 0] / envelope[0, 0] * envelope, dtype=np.float32)


def _gaussian(width: float, angle: float, frequency: float) -> npt.NDArray[np.float64]:
    """The spectrum of samples of a Gaussian wave, twice as wide across the angle as along it; periods are summed."""
    periods = np.arange(-2, 3)
    turns = 2 * np.pi * (np.fft.fftfreq(SIDE)[:, None] + periods).ravel()
    x, y = np.meshgrid(turns, turns, indexing="ij")
    along = x * np.cos(angle) + y * np.sin(angle) - frequency
    across = y * np.cos(angle) - x * np.sin(angle)
    values = np.exp(-0.5 * width**2 * (along**2 + (2.0 * across) ** 2))
    return values.reshape(SIDE, len(periods), SIDE, len(periods)).sum(axis=(1, 3))


def _window(step: int) -> Array:
    """Gaussian means around the middles of 7 cells of 4 pixels, from every ``step``-th pixel."""
    middles = MARGIN + 4.0 * np.arange(CELLS) + 1.5
    away = (np.arange(0, SIDE, step) - middles[:, None]) / 1.6
    return (step * np.exp(-0.5 * away**2) / (1.6 * np.sqrt(2 * np.pi))).astype(np.float32)


@cache
def _public_components() -> tuple[Array, Array, Array, Array]:
    """Mean and deviation of the channels, and centre and scaled principal directions after that, of public digits."""
    public = scattering(_public_digits())
    mean, std = public.mean(axis=(0, 2, 3), keepdims=True), public.std(axis=(0, 2, 3), keepdims=True)
    standard = ((public - mean) / std).reshape(len(public), -1)
    centre = standard.mean(axis=0)
    _, values, directions = np.linalg.svd(standard - centre, full_matrices=False)
    return mean, std, centre, (directions[:COMPONENTS] / np.sqrt(values[:COMPONENTS, None])).T


def _public_digits() -> Array:
    """scikit-learn's digits (1797, 28, 28) at the size and place that MNIST's have."""
    digits = load_digits()
    images = np.concatenate([digits.X_train, digits.X_test]).reshape(-1, 8, 8)
    large = np.clip(zoom(images, (1, 2.5, 2.5), order=1), 0.0, 1.0)
    return np.pad(large, ((0, 0), (4, 4), (4, 4))).astype(np.float32)
