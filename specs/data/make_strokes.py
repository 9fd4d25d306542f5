"""Writes strokes.npz: movements of a pen that draws one of five figures, for gru_classifier.rnn.

X (800, 40, 2): the movement of the pen at each step, 0 behind the end of a stroke; length (800,): from 20 to 40 steps;
label (800,): which figure it is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FIGURES = ("circle", "eight", "zigzag", "spiral", "wave")
STROKES, LONGEST = 800, 40


def figure(name: str, s: np.ndarray) -> np.ndarray:
    """The points of a figure at the places s, from 0 (its start) to 1 (its end)."""
    turn = 2 * np.pi * s
    x, y = {
        "circle": (np.cos(turn), np.sin(turn)),
        "eight": (np.sin(turn), np.sin(2 * turn) / 2),
        "zigzag": (2 * s, np.abs((4 * s) % 2 - 1)),
        "spiral": (s * np.cos(2 * turn), s * np.sin(2 * turn)),
        "wave": (2 * s, np.sin(2 * turn) / 2),
    }[name]
    return np.stack([x, y], axis=1)


def stroke(rng: np.random.Generator, name: str, length: int) -> np.ndarray:
    """The movements of one stroke: turned, stretched, drawn with a shaking hand, and sometimes begun late."""
    start = rng.uniform(0, 0.3)
    points = figure(name, np.linspace(start, 1, length + 1))
    angle = rng.uniform(-0.5, 0.5)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = points @ rotation * rng.uniform(0.7, 1.3, 2) + rng.normal(0, 0.03, points.shape)
    return np.diff(points, axis=0) * 10


def main() -> None:
    """Write the file beside this one; the same bytes on every run."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, len(FIGURES), STROKES)
    length = rng.integers(20, LONGEST + 1, STROKES)
    X = np.zeros((STROKES, LONGEST, 2), np.float16)
    for row in range(STROKES):
        X[row, : length[row]] = stroke(rng, FIGURES[label[row]], int(length[row]))
    np.savez_compressed(Path(__file__).with_name("strokes.npz"), X=X, length=length, label=label)


if __name__ == "__main__":
    main()
