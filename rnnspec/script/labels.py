"""What a script knows about sequences of labels: how they stand between blanks, as CTC reads them.

Labels are (position, batch), 0 after the last one of a sequence.  With blanks around them there are 2 * positions + 1 rows.
"""

from __future__ import annotations

from rnnspec.ir.ops import LOG_0

WRITTEN = f"{LOG_0:.0e}".replace("+", "")  # `-1e30`

HELPERS = {
    "label_rows": '''def label_rows(labels, n):
    """1 at the class of each row, for the rows blank, label, blank, label .. blank: (rows, n, batch)."""
    between = np.zeros((2 * len(labels) + 1, labels.shape[1]), int)
    between[1::2] = labels
    return (between[:, None] == np.arange(n)[:, None]) * 1.0''',
    "label_skips": f'''def label_skips(labels):
    """0 where a path may skip the blank before a label, because that differs from the label before, else log(0)."""
    skips = np.full((2 * len(labels) + 1, labels.shape[1]), {WRITTEN})
    skips[3::2] = np.where(labels[1:] != labels[:-1], 0, {WRITTEN})
    return skips''',
    "label_ends": f'''def label_ends(labels):
    """0 at the last label of each sequence and at the blank after it, where a path may end, else log(0)."""
    last, row = 2 * (labels > 0).sum(0), np.arange(2 * len(labels) + 1)[:, None]
    return np.where((row == last) | (row == last - 1), 0, {WRITTEN})''',
}
"""Functions of a script, each in one that needs it; WRITTEN stands for the logarithm of 0."""
