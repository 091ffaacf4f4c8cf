"""A graph of nearest neighbours, over which what is said of some images is spread to all."""

import numpy as np

from ssgan.random_streams import numpy_generator
from ssgan.techniques.label_spreading import affordable


class NeighbourGraph:
    """Rows [n, f] with labels [n], -1 where there is none, each joined with so many nearest ones: by a weight of 1
    where one of two is a nearest neighbour of the other, of 2 where each is.

    The graph has 10,000 rows without a label at most, by the seed; others are answered by their neighbours in it.
    """

    def __init__(self, rows: np.ndarray, labels: np.ndarray, neighbours: int, seed: int):
        from scipy import sparse
        from sklearn.neighbors import NearestNeighbors

        self.among = affordable(labels, numpy_generator(seed, "contrastive graph"))
        self.outside = np.setdiff1d(np.arange(len(labels)), self.among)
        nearest = NearestNeighbors(n_neighbors=min(neighbours, len(self.among) - 1)).fit(rows[self.among])
        near = sparse.csr_array(nearest.kneighbors_graph())
        weights = near + near.T
        scale = sparse.diags_array(weights.sum(1) ** -0.5)
        self.normalised = scale @ weights @ scale
        self.links = nearest.kneighbors_graph(rows[self.outside]) if len(self.outside) else None

    def spread(self, given: np.ndarray, wanted: np.ndarray, alpha: float) -> np.ndarray:
        """Probabilities [n, k] where those given [n, k] are spread, all 0 where nothing is said: (1 - alpha S)^-1 given
        (Zhou et al. 2004, eq. 4), S the normalised graph; an answer is by a share alpha that of the neighbours. Even
        ones of what nothing said reaches.

        Where more is spread of a class than its share wanted [k], it counts for less in each answer, and the other way
        round (class mass normalisation, Zhu et al. 2003, section 4). Raises ArithmeticError where the solution is not
        found.
        """
        from scipy import sparse
        from scipy.sparse.linalg import cg

        system = sparse.eye_array(len(self.among)) - alpha * self.normalised
        columns, failed = zip(*(cg(system, column, rtol=1e-8) for column in given[self.among].T))
        if any(failed):
            raise ArithmeticError("what is spread over the graph of neighbours has not converged")
        shares = np.zeros(given.shape)
        shares[self.among] = _of_sum_1(np.stack(columns, axis=1).clip(0))
        if self.links is not None:
            shares[self.outside] = _of_sum_1(self.links @ shares[self.among])
        reached = shares.sum(1) > 0
        mass = shares[reached].mean(0)
        shares *= np.divide(wanted, mass, out=np.zeros(len(mass)), where=mass > 0)
        shares[~reached] = 1
        return _of_sum_1(shares)


def _of_sum_1(shares: np.ndarray) -> np.ndarray:
    """Rows [n, k] divided by their sum, where that is not 0."""
    total = shares.sum(1, keepdims=True)
    return np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
