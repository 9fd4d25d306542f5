"""Rows of parameters on a GPU: how their lengths are found and limited, in CUDA C."""

from __future__ import annotations

ROW_FUNCTIONS = """
// The sum of the squares of a row, by a block.
__device__ double squares_of(const real* row, int length) {
    double sum = 0;
    for (int k = threadIdx.x; k < length; k += blockDim.x) sum += double(row[k]) * row[k];
    return block_sum(sum);
}

// Shorten a row by a factor below 1, by a block.
__device__ void shorten(real* row, int length, real factor) {
    for (int k = threadIdx.x; k < length && factor < 1; k += blockDim.x) row[k] *= factor;
}
"""

LIMIT_NORMS = """
// Shorten the rows of a matrix (the weights into one unit), or a vector, to the allowed length: a block each.
extern "C" __global__ void limit_norms(const double* __restrict__ numbers, const int* __restrict__ rows,
                                       const real* __restrict__ limits, real* weights) {
    if (numbers[APPLIES] == 0) return;
    const int* row = rows + 4 * blockIdx.x;
    const double limit = limits[blockIdx.x], norm = sqrt(squares_of(weights + row[0], row[1]));
    shorten(weights + row[0], row[1], limit / norm);
}
"""

LIMITS = """
limits = {limits}
self.limited = rows_of(limits)
limit_of_rows = np.repeat(list(limits.values()), [PLACES[name][1] for name in limits])
self.limits = cp.asarray(limit_of_rows.astype(p.vector.dtype))
"""


def launch_limits(vector: str) -> str:
    """The line that limits the rows of a vector that is laid out like the parameters."""
    return f'launch_blocks(self, "limit_norms", len(self.limited), 64, self.numbers, self.limited, self.limits, {vector})'
