"""SHARK2: swiped words by the shape and the place of whole templates, as a peer of our own decoder.

After Kristensson and Zhai 2004 ("SHARK2: A Large Vocabulary Shorthand Writing System for Pen-based Computers", UIST),
written anew: templates are pruned by where they begin and end; a shape channel compares path and template point by
point once both are of one size around one middle; a location channel compares them where they are, at no cost as long
as each runs inside a tunnel around the other; both distances are taken as normal, and the word's frequency comes on
top. Left out is the paper's weighting of the channels by the time a path took.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keyboard_lm.swipe.key_trie import KeyTrie, log_frequencies
from keyboard_lm.touch.layout import Layout
from keyboard_lm.touch.path import KEY_ASPECT

Floats = NDArray[np.float32]
NUM_POINTS = 48


@dataclass(frozen=True)
class Shark2Options:
    """What is tuned.

    Attributes:
        radius: how far, in key widths, a template may begin and end from the path's own ends.
        most: templates that are compared, those whose ends are nearest.
        tunnel: its radius in key widths.
        sd_shape: of the distance of shapes.
        sd_place: of the distance of places.
        frequency_weight: of the logarithm of the word's frequency.
    """

    radius: float = 2.2
    most: int = 1000
    tunnel: float = 0.75
    sd_shape: float = 0.06
    sd_place: float = 0.5
    frequency_weight: float = 0.5


class Distances(NamedTuple):
    """Templates that begin and end near a path's ends.

    Attributes:
        nodes: of the trie, (W,).
        shape: distances of shape, (W,).
        place: distances of place, (W,).
        beyond: how far from one another they come, at most, (W,).
    """

    nodes: NDArray[np.intp]
    shape: Floats
    place: Floats
    beyond: Floats


class Shark2:
    """Compares paths with the templates of a lexicon's words.

    Args:
        trie: of the words; words with the same keys have one template.
        layout: of the keys.
        options: what is tuned.
        nats_per_step: what one step of the lexicon's frequency scale is worth.
    """

    def __init__(
        self, trie: KeyTrie, layout: Layout, options: Shark2Options | None = None, nats_per_step: float = 0.14
    ) -> None:
        self.trie = trie
        self.options = options or Shark2Options()
        centres = [layout.centre(key) for key in trie.keys]
        self._places = np.array([(c.x, c.y * KEY_ASPECT) for c in centres if c is not None])
        self.nodes = np.flatnonzero(np.diff(trie.first_word))
        self.templates: Floats = np.stack([self._template(int(node)) for node in self.nodes])  # (W, N, 2)
        self._shapes = _normal(self.templates)
        self._ends = self.templates[:, [0, -1]].reshape(-1, 4)
        self.log_frequency = log_frequencies(trie.lexicon.frequencies[trie.entries], nats_per_step)
        away = np.abs(np.arange(NUM_POINTS) - (NUM_POINTS - 1) / 2) + 1
        self._weights = (away / away.sum()).astype(np.float32)

    def distances(self, points: NDArray[np.float64], radius: float, most: int) -> Distances:
        """Return how far a path is from each template that begins and ends near it.

        Args:
            points: x and y in key widths and heights, (P, 2).
            radius: as `Shark2Options` has it; so `most`.
        """
        path = resampled(points * (1.0, KEY_ASPECT))
        ends = self._ends - path[[0, -1]].reshape(4)
        furthest = np.sqrt(np.maximum(ends[:, 0] ** 2 + ends[:, 1] ** 2, ends[:, 2] ** 2 + ends[:, 3] ** 2))
        near = np.flatnonzero(furthest < radius)
        if len(near) > most:
            near = near[np.argpartition(furthest[near], most)[:most]]
        templates = self.templates[near]
        shape = _apart(self._shapes[near], _normal(path[None])).mean(axis=1)
        pairs = -2 * np.einsum("wnd,md->wnm", templates, path)
        pairs += (templates * templates).sum(axis=2)[:, :, None]
        pairs += (path * path).sum(axis=1)
        beyond = np.maximum(pairs.min(axis=1).max(axis=1, initial=0), pairs.min(axis=2).max(axis=1, initial=0))
        place = _apart(templates, path[None]) @ self._weights
        return Distances(self.nodes[near], shape, place, np.sqrt(np.maximum(beyond, 0)))

    def scores(self, found: Distances, options: Shark2Options | None = None) -> Floats:
        """Return the logarithm of each template's likelihood, (W,)."""
        options = options or self.options
        shape, place = found.shape / options.sd_shape, found.place / options.sd_place
        place = np.where(found.beyond > options.tunnel, place, 0)
        scores: Floats = -(shape * shape + place * place) / 2
        return scores

    def _template(self, node: int) -> Floats:
        return resampled(self._places[self.trie.word_keys(node)])


def resampled(points: NDArray[np.float64]) -> Floats:
    """Return 48 points at even distances along others, (48, 2)."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate(([0.0], np.cumsum(steps)))
    wanted = np.linspace(0, along[-1], NUM_POINTS)
    return np.stack([np.interp(wanted, along, points[:, axis]) for axis in (0, 1)], axis=1).astype(np.float32)


def _normal(paths: Floats) -> Floats:
    # Around the middle of their points, the longer side of the box that holds them 1 long.
    middle = paths - paths.mean(axis=1, keepdims=True)
    sides = (paths.max(axis=1) - paths.min(axis=1)).max(axis=1)
    scaled: Floats = middle / np.maximum(sides, 0.5)[:, None, None]
    return scaled


def _apart(some: Floats, others: Floats) -> Floats:
    apart: Floats = np.sqrt(((some - others) ** 2).sum(axis=2))
    return apart
