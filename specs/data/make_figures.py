"""Writes figures.npz: a pen draws two to four figures one after another, for ctc_figures.rnn.

X (600, 64, 2): the movement of the pen at each step, 0 after the end; length (600,): how many steps; labels (600, 4): which
figures, from 1, and 0 after the last one. Where one figure ends and the next begins is not said.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from make_strokes import FIGURES, stroke

SEQUENCES, MOST, LONGEST = 600, 4, 16


def main() -> None:
    """Write the file beside this one; the same bytes on every run."""
    rng = np.random.default_rng(0)
    X = np.zeros((SEQUENCES, MOST * LONGEST, 2), np.float16)
    length, labels = np.zeros(SEQUENCES, np.int64), np.zeros((SEQUENCES, MOST), np.int64)
    for row in range(SEQUENCES):
        figures = rng.integers(0, len(FIGURES), rng.integers(2, MOST + 1))
        strokes = [stroke(rng, FIGURES[k], int(rng.integers(10, LONGEST + 1))) for k in figures]
        moves = np.concatenate(strokes)
        X[row, : len(moves)], length[row] = moves, len(moves)
        labels[row, : len(figures)] = figures + 1
    np.savez_compressed(Path(__file__).with_name("figures.npz"), X=X, length=length, labels=labels)


if __name__ == "__main__":
    main()
