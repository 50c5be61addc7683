"""Label vectors by cluster: the numeric work of sleep, run in a process of its own.

Only the child process calls ``label``; scikit-learn is imported there and nowhere else, so that the daemon's
memory and tail latency do not feel it.

Sources: HDBSCAN (Campello, Moulavi and Sander 2013); k-means (Lloyd 1982; mini-batches, Sculley 2010).
"""

from __future__ import annotations

import os
from typing import Any

KMEANS_ABOVE = 20_000
"""HDBSCAN grows with the square of the number of vectors; above this k-means is used."""
KMEANS_SIZE = 12
"""Vectors per k-means cluster, on average: a lesson reads about a dozen notes."""


def yield_to_others() -> None:
    """Lower this process's priority: nobody waits for sleep."""
    os.nice(10)


def label(vectors: Any, size_min: int) -> list[int]:
    """Return a label for each row of *vectors* (float32, unit length); -1 for one that belongs nowhere."""
    count = len(vectors)
    if count > KMEANS_ABOVE:
        from sklearn.cluster import MiniBatchKMeans  # noqa: PLC0415 - child process only, see above

        means = MiniBatchKMeans(n_clusters=count // KMEANS_SIZE, random_state=0, n_init=1)
        return [int(number) for number in means.fit_predict(vectors)]
    from sklearn.cluster import HDBSCAN  # noqa: PLC0415 - child process only, see above

    # Leaves, not excess of mass: many small themes of one person, and not one theme called "the person".
    # Euclid on unit vectors orders as cosine does.
    density = HDBSCAN(min_cluster_size=size_min, min_samples=2, cluster_selection_method="leaf", copy=True)
    return [int(number) for number in density.fit_predict(vectors)]
