"""How well the cards of a host are linked, and which groups of them are linked best. Pure.

Tensor parallel adds up the cards' results twice in every layer, for every token: it goes at the pace of the
slowest link in the group. NVLink (NV<lanes>) carries several times what PCIe does; a PCIe switch (PIX, PXB)
lets cards write to each other directly; over the host bridge and between sockets (PHB, NODE, SYS) it often
goes through main memory. By layers, a token crosses from card to card once, with some kilobytes: there a link
decides only between groups that are otherwise as good.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from math import comb

Matrix = tuple[tuple[int, ...], ...]  # cost of the link between two cards, by their positions
Group = tuple[int, int, tuple[int, ...]]  # class of its slowest link, sum of costs, positions

NVLINK, SWITCH, BRIDGE = 0, 1, 2  # a cost's class is its hundreds
COSTS = {"PIX": 100, "PXB": 110, "PHB": 200, "NODE": 210, "SYS": 220}
UNKNOWN = 230
EVERY = 300  # so many groups are all looked at; of more, those that grow from each card


def cost(word: str) -> int:
    """Of a word of `nvidia-smi topo -m`; more lanes cost less."""
    if word.startswith("NV") and word[2:].isdecimal():
        return 50 - min(int(word[2:]), 49)
    return COSTS.get(word, UNKNOWN)


def matrix_of(uuids: Sequence[str], links: Sequence[tuple[str, str, str]]) -> Matrix:
    """What is not known of a pair counts as the slowest."""
    known = {frozenset((one, other)): cost(word) for one, other, word in links}
    if not known:
        return unknown(len(uuids))
    return tuple(tuple(known.get(frozenset((one, other)), UNKNOWN) for other in uuids) for one in uuids)


@lru_cache
def unknown(cards: int) -> Matrix:
    return ((UNKNOWN,) * cards,) * cards


def groups(matrix: Matrix, positions: tuple[int, ...], count: int) -> Sequence[Group]:
    """Groups of so many of the cards at these positions, the best linked first: all, unless they are too many."""
    if comb(len(positions), count) <= EVERY:
        return _all(matrix, positions, count)
    return _grown(matrix, positions, count)


@lru_cache(1024)  # hosts of one make have the same matrix
def _all(matrix: Matrix, positions: tuple[int, ...], count: int) -> tuple[Group, ...]:
    return tuple(sorted(_graded(matrix, group) for group in combinations(positions, count)))


@lru_cache(256)
def _grown(matrix: Matrix, positions: tuple[int, ...], count: int) -> tuple[Group, ...]:
    return tuple(sorted({_graded(matrix, _grow(matrix, positions, seed, count)) for seed in positions}))


def _grow(matrix: Matrix, positions: Sequence[int], seed: int, count: int) -> tuple[int, ...]:
    """From one card, always by the one that is linked best with those it has."""
    group = [seed]
    while len(group) < count:
        others = (at for at in positions if at not in group)
        group.append(min(others, key=lambda at: (sum(matrix[at][one] for one in group), at)))
    return tuple(sorted(group))


def _graded(matrix: Matrix, group: tuple[int, ...]) -> Group:
    costs = [matrix[one][other] for one, other in combinations(group, 2)]
    return max(costs, default=0) // 100, sum(costs), group
