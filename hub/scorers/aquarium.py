"""Aquarium's score "v1": likeness to microclusters of the seeds in a PCA of background and seeds. Pure.

score(x) = max_j max(1 − ‖x − c_j‖ / (2 r_j), 0): 1 at a centroid c_j, 0.5 on its radius r_j, 0 at twice that. What the
PCA was fitted on, and how microclusters are made, is not published: here on background and seeds, and by k-means.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hub.scorers.clusters import cluster
from hub.scorers.examples import Examples
from hub.types import Fitted, Vectors

COMPONENTS = 64
SEEDS_PER_CLUSTER = 5
MOST_CLUSTERS = 256
NEAR = 0.01
"""A cluster of one seed reaches as far as this share of the background is near it."""


def project(rows: Vectors, mean: NDArray[np.floating], components: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n, p) coordinates of unit rows (n, d) in a PCA with components (p, d)."""
    unit = rows.astype(np.float64)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    return np.asarray((unit - mean) @ components.T.astype(np.float64), np.float64)


def v1_score(
    points: NDArray[np.float64], centroids: NDArray[np.float64], radii: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The score of points (n, p), (n,), and the microcluster each is closest to by it."""
    apart = points[:, None, :] - centroids[None, :, :]
    values = np.maximum(1.0 - np.sqrt((apart * apart).sum(axis=2)) / (2.0 * radii), 0.0)
    best = values.argmax(axis=1)
    return values[np.arange(len(points)), best], best


class AquariumV1:
    """Kept to compare with; text seeds count as points like any other."""

    name: ClassVar[str] = "aquarium-v1"

    def __init__(self, fitted: Fitted, examples: Examples) -> None:
        self._mean, self._components = fitted.arrays["mean"], fitted.arrays["components"]
        self._centroids = fitted.arrays["centroids"].astype(np.float64)
        self._radii = fitted.arrays["radii"].astype(np.float64)

    @staticmethod
    def fit(examples: Examples) -> Fitted:
        """PCA on background and seeds, k-means of the seeds, and the clusters' radii."""
        seeds = np.concatenate([examples.pictures, examples.texts])
        background = examples.background.vectors.reshape(-1, seeds.shape[1])
        known = np.concatenate([background, seeds]).astype(np.float64)
        mean = known.mean(axis=0)
        _, _, axes = np.linalg.svd(known - mean, full_matrices=False)
        components = axes[: min(COMPONENTS, len(known))]
        points = project(seeds, mean, components)
        centroids, member = cluster(points, min(MOST_CLUSTERS, max(1, round(len(points) / SEEDS_PER_CLUSTER))))
        radii = _radii(points, centroids, member, project(background, mean, components))
        return Fitted(
            AquariumV1.name,
            {
                "microclusters": len(centroids),
                "background": len(background),
                "calibrated": False,
                "source": "distance to microclusters of the seeds, Aquarium's version 1",
            },
            {"mean": mean, "components": components, "centroids": centroids, "radii": radii},
        )

    def score(self, rows: Vectors) -> NDArray[np.float32]:
        """(n,) scores."""
        return self.closest(rows)[0].astype(np.float32)

    def closest(self, rows: Vectors) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """(n,) scores and the closest microcluster of each."""
        return v1_score(project(rows, self._mean, self._components), self._centroids, self._radii)


def _radii(
    points: NDArray[np.float64],
    centroids: NDArray[np.float64],
    member: NDArray[np.int64],
    background: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The farthest member's distance; for clusters without extent, how far the nearest of the background are."""
    radii = np.zeros(len(centroids))
    for j, centroid in enumerate(centroids):
        radii[j] = np.linalg.norm(points[member == j] - centroid, axis=1).max()
        if radii[j] < 1e-3:
            apart = np.linalg.norm(background - centroid, axis=1) if len(background) else np.array([0.5])
            radii[j] = max(float(np.quantile(apart, NEAR)), 1e-3)
    return radii
