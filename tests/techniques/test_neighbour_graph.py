"""The graph of nearest neighbours: what is spread over it, against the closed form of dense matrices."""

import numpy as np
import pytest

from ssgan.techniques import label_spreading
from ssgan.techniques.neighbour_graph import NeighbourGraph

EVEN = np.full(3, 1 / 3)


def clouds(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows [60, 2] in three clouds that touch, labels with -1 for all but two of each, and the labels as given."""
    random, kinds = np.random.default_rng(seed), np.arange(60) % 3
    rows = np.array([[0, 0], [3, 0], [0, 3]])[kinds] + random.normal(size=(60, 2))
    labels = np.where(np.arange(60) < 6, kinds, -1)
    return rows, labels, said(labels)


def said(labels: np.ndarray) -> np.ndarray:
    return (labels[:, None] == np.arange(3)).astype(float)


def of_graph(rows: np.ndarray, given: np.ndarray, alpha: float) -> np.ndarray:
    """What is spread over the graph of these rows, each of sum 1, before the classes are weighed."""
    distance = np.linalg.norm(rows[:, None] - rows[None], axis=2) + np.diag(np.full(len(rows), np.inf))
    near = np.zeros((len(rows), len(rows)))
    np.put_along_axis(near, distance.argsort(1)[:, :5], 1, 1)
    near += near.T
    scale = 1 / np.sqrt(near.sum(1))
    normalised = scale[:, None] * near * scale
    shares = np.linalg.solve(np.eye(len(rows)) - alpha * normalised, given)  # Zhou et al. 2004, eq. 4
    return shares / shares.sum(1, keepdims=True)


def weighed(shares: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    shares = shares * wanted / shares.mean(0)  # Zhu et al. 2003, eq. 9
    return shares / shares.sum(1, keepdims=True)


@pytest.mark.parametrize("wanted", [EVEN, np.array([7 / 15, 4 / 15, 4 / 15])], ids=["even", "uneven"])
@pytest.mark.parametrize("alpha", [0.5, 0.98, 0.99])
@pytest.mark.parametrize("of_all", [False, True], ids=["labels", "probabilities of all"])
def test_answers_are_those_of_the_closed_form(wanted, alpha, of_all):
    rows, labels, given = clouds()
    if of_all:
        given = np.random.default_rng(1).dirichlet(EVEN, 60)
    found = NeighbourGraph(rows, labels, 5, 0).spread(given, wanted, alpha)
    np.testing.assert_allclose(found, weighed(of_graph(rows, given, alpha), wanted), atol=1e-6)


def test_a_wrong_answer_is_led_back_by_its_neighbours():
    rows, labels, _ = clouds()
    kinds = np.arange(60) % 3
    given = np.where((np.arange(60) % 7 == 3)[:, None], said((kinds + 1) % 3), said(kinds))
    found = NeighbourGraph(rows, labels, 5, 0).spread(given, EVEN, 0.98).argmax(1)
    assert (found == kinds).mean() > 0.9 > (given.argmax(1) == kinds).mean()


def test_what_is_not_in_the_graph_is_answered_by_its_neighbours_in_it(monkeypatch):
    rows, labels, given = clouds()
    whole = NeighbourGraph(rows, labels, 5, 0).spread(given, EVEN, 0.99)
    monkeypatch.setattr(label_spreading, "LARGEST_POOL", 30)
    graph = NeighbourGraph(rows, labels, 5, 0)
    part = graph.spread(given, EVEN, 0.99)
    assert len(graph.among) == 36 and len(graph.outside) == 24 and set(np.flatnonzero(labels >= 0)) <= {*graph.among}
    assert (part.argmax(1) == whole.argmax(1)).mean() > 0.85
    expected = np.zeros((60, 3))
    expected[graph.among] = of_graph(rows[graph.among], given[graph.among], 0.99)
    for row in graph.outside:
        near = graph.among[np.linalg.norm(rows[graph.among] - rows[row], axis=1).argsort()[:5]]
        expected[row] = expected[near].mean(0)
    np.testing.assert_allclose(part, weighed(expected, EVEN), atol=1e-6)


def test_what_nothing_reaches_is_even_and_a_class_without_a_word_has_no_share():
    apart = [np.random.default_rng(turn).normal(size=(20, 2)) + 900 * turn for turn in (0, 1)]
    labels = np.array([0, 1, 0, 1] + [-1] * 36)
    found = NeighbourGraph(np.concatenate(apart), labels, 3, 0).spread(said(labels), EVEN, 0.99)
    assert (found[:20, 2] == 0).all() and (found[20:] == 1 / 3).all() and (found[4:20].max(1) > 0.5).any()
    np.testing.assert_allclose(found.sum(1), 1)


def test_two_rows_are_a_graph():
    rows, labels = np.array([[0.0, 0], [1, 0]]), np.array([0, -1])
    assert NeighbourGraph(rows, labels, 15, 0).spread(np.array([[1.0], [0]]), np.ones(1), 0.99).tolist() == [[1], [1]]


def test_a_solution_that_is_not_found_is_told(monkeypatch):
    rows, labels, given = clouds()
    monkeypatch.setattr("scipy.sparse.linalg.cg", lambda system, column, rtol: (column, 7))
    with pytest.raises(ArithmeticError, match="has not converged"):
        NeighbourGraph(rows, labels, 5, 0).spread(given, EVEN, 0.99)
