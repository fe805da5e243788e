"""The Fréchet distance between two sets of features, each modelled as a normal distribution (Heusel et al. 2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.floating[Any]]


def frechet_distance(first: Features, second: Features) -> float:
    """Return |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), from the means m and covariances C of the sets.

    The trace of the root is the sum of the square roots of the eigenvalues of C1^(1/2) C2 C1^(1/2), which is symmetric
    and has those of C1 C2. Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local
    Nash Equilibrium", NeurIPS 2017, section 5. It is biased
    upwards for few images: compare values only for sets of the same size and the same features.

    Args:
        first: (N, D), at least two rows.
        second: (M, D), at least two rows.

    Raises:
        ValueError: fewer than two rows, or different widths.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise ValueError(f"features of shapes {first.shape} and {second.shape}: expected (N, D) and (M, D), N, M > 1")
    difference = first.mean(0) - second.mean(0)
    first_cov, second_cov = (_covariance(features) for features in (first, second))
    root = _sqrt(first_cov)
    values = np.linalg.eigvalsh(root @ second_cov @ root)
    trace = float(np.trace(first_cov) + np.trace(second_cov) - 2 * np.sqrt(np.clip(values, 0, None)).sum())
    return max(0.0, float(difference @ difference) + trace)  # rounding must not leave -1e-12 between equal sets


def _covariance(features: Features) -> npt.NDArray[np.float64]:
    covariance: npt.NDArray[np.float64] = np.atleast_2d(np.cov(features, rowvar=False))
    return covariance


def _sqrt(symmetric: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    values, vectors = np.linalg.eigh(symmetric)
    root: npt.NDArray[np.float64] = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root
