"""A graph of nearest neighbours, over which what is said of some images is spread to all."""

import numpy as np

from ssgan.random_streams import numpy_generator
from ssgan.techniques.label_spreading import affordable


class NeighbourGraph:
    """Rows [n, f] with labels [n], -1 where there is none, each joined with so many nearest ones.

    The graph has 10,000 rows without a label at most, by the seed; others are answered by their neighbours in it.
    """

    def __init__(self, rows: np.ndarray, labels: np.ndarray, neighbours: int, seed: int):
        from scipy import sparse

        self.among = affordable(labels, numpy_generator(seed, "contrastive graph"))
        self.outside = np.setdiff1d(np.arange(len(labels)), self.among)
        x, neighbours = rows[self.among], min(neighbours, len(self.among) - 1)
        graph = sparse.csr_array(joined(x, x, neighbours))
        scale = sparse.diags_array(graph.sum(1) ** -0.5)
        self.near = scale @ graph @ scale
        self.links = joined(x, rows[self.outside], neighbours).T if len(self.outside) else None

    def spread(self, given: np.ndarray, wanted: np.ndarray, alpha: float) -> np.ndarray:
        """Probabilities [n, k] where those given [n, k] are spread, all 0 where nothing is said: (1 - alpha S)^-1 given
        (Zhou et al. 2004, eq. 4), S the normalised graph; an answer is by a share alpha that of the neighbours. Even
        ones of what nothing said reaches.

        Where more is spread of a class than its share wanted [k], it counts for less in each answer, and the other way
        round (class mass normalisation, Zhu et al. 2003, section 4).
        """
        from scipy import sparse
        from scipy.sparse.linalg import cg

        system = sparse.eye_array(len(self.among)) - alpha * self.near
        among = np.stack([cg(system, column, rtol=1e-8)[0] for column in given[self.among].T], axis=1).clip(0)
        shares = np.zeros(given.shape)
        shares[self.among] = _of_sum_1(among)
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


def joined(x: np.ndarray, y: np.ndarray, neighbours: int):
    """The graph as a sparse matrix [n, m]: of rows x among themselves, where y is x, 1 where one of two is a nearest
    neighbour of the other, and 2 where each is; else 1 where a row of x is a nearest one of a row of y.
    """
    from sklearn.neighbors import NearestNeighbors

    among = NearestNeighbors(n_neighbors=neighbours).fit(x)
    if y is not x:
        return among.kneighbors_graph(y).T.tocsr()
    graph = among.kneighbors_graph()
    return (graph + graph.T).tocsr()
