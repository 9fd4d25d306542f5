"""Mistakes in scripts for the GPU, planted one at a time, and whether anything sees them.

A mistake is an edit of the text of a generated script: of a kernel, or of a line that launches one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from rnnspec.verify.compare import Array, GradientMismatch, compare
from tests import corpus
from tests.corpus import model_of, place
from tests.gpu.cupy_stand_in import cupy_on_host
from tests.gpu.gpu_scripts import CARRIED, STEP, compiled, through_windows
from tests.hand_written import load
from tests.windowed import windows

TOLERANCE = 1e-10
BATCH = 7
"""No multiple of a warp, and more than one block of threads for a layer."""
SEEN = (GradientMismatch, RuntimeError, TypeError, ValueError)
"""A wrong gradient, or what the stand-in refuses."""


@dataclass(frozen=True)
class Mistake:
    """The first place in the script of a spec where the pattern `old` fits becomes `new`."""

    spec: str
    old: str
    new: str

    def planted(self) -> str:
        """The script with the mistake."""
        text, count = re.subn(self.old, self.new, compiled(self.spec).source, count=1)
        assert count, f"no place in the script of {self.spec} looks like {self.old}"
        return text


GRU, ELMAN, FORECAST, MIN_GRU, CELL = "gru_classifier.rnn", "elman_char.rnn", "forecast.rnn", "min_gru.rnn", "custom_cell.rnn"

MISTAKES = {
    # kernels
    "no barrier before a sum is read": Mistake(GRU, r"(part\[threadIdx\.x / 32\] = a;\n) +__syncthreads\(\);\n", r"\1"),
    "no barrier before a sum is used again": Mistake(CELL, r" +__syncthreads\(\);  // before a part is written again\n", ""),
    "a sum that stops too early": Mistake(GRU, r"k = 16; k > 0", "k = 16; k > 1"),
    "a sum of one warp too few": Mistake(GRU, r"unsigned k = 0; (k < blockDim)", r"unsigned k = 1; \1"),
    "the gate of a neighbour": Mistake(GRU, r"(sigmoid\(\w+\[b \* 144 \+ )j\]", r"\g<1>48 + j]"),
    "the next element": Mistake(GRU, r"(h_c_n\[)j\]", r"\1j + 1]"),
    "a stride that is too small": Mistake(GRU, r"s \* 144", "s * 143"),
    "steps and sequences swapped": Mistake(GRU, r"\(size_t\) t \* B \+ b;", "(size_t) b * 4 + t;"),
    "no guard": Mistake(GRU, r" +if \(i >= B \* 48\) return;\n", ""),
    "a guard that comes one too late": Mistake(GRU, r"if \(i >= B \* 48\)", "if (i > B * 48)"),
    "a guard that comes one too early": Mistake(GRU, r"if \(i >= B \* 48\)", "if (i >= B * 48 - 1)"),
    "a state written one step early": Mistake(GRU, r"h\[\(s \+ B\) \* 48 \+ j\] = t", "h[s * 48 + j] = t"),
    "a state read one step late": Mistake(MIN_GRU, r"(real h_last_t = h\[)b \* 48", r"\1(B + b) * 48"),
    "a state that is not carried on": Mistake(MIN_GRU, r" +h_last_t = h_t;\n", ""),
    "a lag that is one too short": Mistake(FORECAST, r"dh_last\[\(s \+ 2 \* B\)", "dh_last[(s + B)"),
    "a wrong sign": Mistake(ELMAN, r"real\(1\) - square\(", "real(1) + square("),
    "a gradient that is not added": Mistake(GRU, r"(dh_t = dh_part\[[^]]*\]) \+ [^;]*;", r"\1;"),
    "a step behind the end": Mistake(GRU, r"length\[b\] - 1 \+ 1", "length[b] + 1"),
    "no dropout on the way back": Mistake(GRU, r"(= dlast\[[^]]*\]) \* dropout_0\[[^]]*\]", r"\1"),
    "the class beside the right one": Mistake(GRU, r"j == label_t\b", "j == label_t + 1"),
    "a start that is not cleared": Mistake(ELMAN, r"if \(fresh\[0\] && i <", "if (!fresh[0] && i <"),
    "a start that is half cleared": Mistake(ELMAN, r'("begin", w\.B \*) 128', r"\1 64"),
    "the state of another step": Mistake(ELMAN, r"= old\.h\[old\.T : old\.T \+ 1\]", "= old.h[old.T - 1 : old.T]"),
    "a number of single precision": Mistake(GRU, r"return 1 / \(1 \+ exp\(-a\)\)", "return 1 / (1 + exp(-(float) a))"),
    "an integer division": Mistake(GRU, r"return 1 / \(1 \+ exp\(-a\)\)", "return 1 / (int) (1 + exp(-a))"),
    # launches
    "too few threads": Mistake(GRU, r'"forward_h", w\.B \* 48', '"forward_h", w.B * 24'),
    "too few blocks": Mistake(GRU, r'"forward_step_loss", w\.B,', '"forward_step_loss", w.B - 1,'),
    "too many blocks": Mistake(GRU, r'"forward_step_loss", w\.B,', '"forward_step_loss", w.B + 1,'),
    "half a warp": Mistake(GRU, r'"forward_step_loss", w\.B, 32', '"forward_step_loss", w.B, 16'),
    "a backward loop that runs forward": Mistake(ELMAN, r"for t in reversed\(range\(w\.T\)\)", "for t in range(w.T)"),
    "the step before": Mistake(ELMAN, r"matmul\(w\.h\[t\]", "matmul(w.h[t - 1]"),
    "a matrix that is not transposed": Mistake(ELMAN, r"(matmul\(w\.h\[t\], p\.W_hh)\.T", r"\1"),
    "a matrix that is transposed": Mistake(ELMAN, r"(matmul\(w\.dh_sum\[t\], p\.W_hh)", r"\1.T"),
    "swapped operands": Mistake(ELMAN, r"gram\((\S+), (\S+), g\.W_hh\)", r"gram(\2, \1, g.W_hh)"),
    "swapped arguments": Mistake(
        GRU, r"w\.h_rz, p\.h_c_n, w\.h_n_sum, p\.h_b_n, w\.h_n,", "w.h_rz, p.h_b_n, w.h_n_sum, p.h_c_n, w.h_n,"
    ),
    "another lag in a product": Mistake(FORECAST, r"matmul\(w\.h\[:-2\], p\.V_y", "matmul(w.h[1:-1], p.V_y"),
    "a bias without its first step": Mistake(ELMAN, r"gram\((w\.\w+), w\.ones, g", r"gram(\1[1:], w.ones[1:], g"),
    "storage that is a step too short": Mistake(ELMAN, r"(w\.h = cp\.zeros\(\(T) \+ 1", r"\1"),
    "a number of the wrong type": Mistake(GRU, r"(w\.h_rz = cp\.zeros\(\(T, B, 96\)), dtype", r"\1, np.float32"),
}


@cache
def right(spec: str) -> dict[str, Array]:
    """The gradients by the script for the CPU."""
    at = place(spec, batch=BATCH)
    loss, found = corpus.script(spec, 1).loss_and_gradients(at.params, at.batch, step=STEP)
    return {"": np.array(loss), **found}


@cache
def in_windows(spec: str) -> list[dict[str, Array]]:
    """The gradients of windows by the script for the CPU; none for a spec without windows."""
    return through_windows(corpus.script(spec, 1), windows(model_of(spec), seed=5)) if spec in CARRIED else []


def check(spec: str, source: str) -> None:
    """Compare the gradients of a script with the right ones; one of `SEEN` says what is wrong.

    The script is called with another batch first, so that its storage is not as clean as new.
    """
    at, before = place(spec, batch=BATCH), place(spec, seed=1, batch=BATCH)
    with cupy_on_host(schedule=1):
        script = load(source)
        script.loss_and_gradients(before.params, before.batch, step=STEP)
        loss, found = script.loss_and_gradients(at.params, at.batch, step=STEP)
        later = through_windows(script, windows(model_of(spec), seed=5)) if spec in CARRIED else []
    compare({"": np.array(loss), **found}, right(spec), TOLERANCE)
    for got, want in zip(later, in_windows(spec), strict=True):
        compare(got, want, TOLERANCE)
