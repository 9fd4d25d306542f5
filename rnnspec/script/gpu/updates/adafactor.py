"""What Adafactor does with rows, columns and whole parameters before a number is changed: kernels in CUDA C.

A block of threads works on one row or column.  Where a parameter is looked at as a whole, all blocks of its rows add up the
same parts in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Whole:
    """Kernels, the lines that launch them, what they need beside the parameters, and what of it is kept.

    GRADIENT in a kernel stands for number `i` of the gradient as the clip leaves it.
    """

    kernels: str
    launches: str
    state: str
    saved: str
    functions: str


KERNELS = """
constexpr real tiny = sizeof(real) == 8 ? 2.220446049250313e-16 : 1.1920928955078125e-07;  // from 1 to the next number

// The running mean squares of each row and each column; a vector is one row, so its columns are single numbers.
extern "C" __global__ void mean_squares(const double* __restrict__ numbers, const real* __restrict__ gradients,
                                        const int* __restrict__ lines, real* means) {
    if (numbers[APPLIES] == 0) return;
    const int* line = lines + 3 * blockIdx.x;
    const int start = line[0], stride = line[1], count = line[2];
    double sum = 0;
    for (int k = threadIdx.x; k < count; k += blockDim.x) {
        const int i = start + k * stride;
        const double gradient = GRADIENT;
        sum += gradient * gradient;
    }
    const double mean = block_sum(sum) / count;
    if (threadIdx.x == 0) means[blockIdx.x] += numbers[FRESH] * (mean - means[blockIdx.x]);
}

// The gradient over the root of its mean square, in place.  The mean square of a number of a matrix is that of its row
// times that of its column over that of all.  For each row, the squares of the result and of the weights are added up.
extern "C" __global__ void over_root(const double* __restrict__ numbers, const int* __restrict__ rows,
                                     const int* __restrict__ columns, const real* __restrict__ means,
                                     const real* __restrict__ weights, real* gradients, double* scaled_squares,
                                     double* weight_squares) {
    if (numbers[APPLIES] == 0) return;
    const int* row = rows + 4 * blockIdx.x;
    const int start = row[0], length = row[1], first = row[2], last = row[3];
    const int column = columns[2 * blockIdx.x], matrix = columns[2 * blockIdx.x + 1];
    double sum = 0;
    for (int r = first + threadIdx.x; r < last; r += blockDim.x) sum += means[r];
    const double mean = block_sum(sum) / (last - first);
    const real share = matrix ? means[blockIdx.x] / fmax(mean, double(tiny)) : 1;
    double scaled_square = 0, weight_square = 0;
    for (int k = threadIdx.x; k < length; k += blockDim.x) {
        const int i = start + k;
        const real scaled = GRADIENT / sqrt(fmax(share * means[column + k], tiny * tiny));
        const double weight = weights[i];
        gradients[i] = scaled;
        scaled_square += double(scaled) * scaled;
        weight_square += weight * weight;
    }
    scaled_square = block_sum(scaled_square);
    weight_square = block_sum(weight_square);
    if (threadIdx.x == 0) {
        scaled_squares[blockIdx.x] = scaled_square;
        weight_squares[blockIdx.x] = weight_square;
    }
}

// What a parameter moves by, in place: in units of its root mean square, and `d` of these units at most.
extern "C" __global__ void in_units_of_size(const double* __restrict__ numbers, const int* __restrict__ rows,
                                            const double* __restrict__ scaled_squares,
                                            const double* __restrict__ weight_squares, real* gradients) {
    if (numbers[APPLIES] == 0) return;
    const int* row = rows + 4 * blockIdx.x;
    const int start = row[0], length = row[1], first = row[2], last = row[3];
    const double count = double(last - first) * length;
    const double size = fmax(double(eps), sqrt(sum_of(weight_squares, first, last) / count));
    const double moved = sqrt(sum_of(scaled_squares, first, last) / count);
    const real factor = size * numbers[PACE] / fmax(1.0, moved / d);
    for (int k = threadIdx.x; k < length; k += blockDim.x) gradients[start + k] *= factor;
}
"""

FUNCTIONS = '''
def lines_of(names):
    """The rows and then the columns of some parameters, on the GPU; a vector is one row.

    int32 (rows + columns, 3): where each begins, how far it is to the next number, how many there are.
    int32 (rows, 2): for each row the line of the first column of the same parameter, and whether that is a matrix.
    """
    rows, columns, firsts = [], [], []
    for name in names:
        start, n, length = PLACES[name]
        firsts += [(len(columns), len(PARAMETERS[name][1]) == 2)] * n
        rows += [(start + k * length, 1, length) for k in range(n)]
        columns += [(start + k, length, n) for k in range(length)]
    firsts = np.array(firsts, np.int32) + (len(rows), 0)
    return cp.asarray(np.array(rows + columns, np.int32)), cp.asarray(firsts.astype(np.int32))
'''

STATE = """
self.lines, self.columns = lines_of(TRAINED)
self.means = cp.zeros(len(self.lines), p.vector.dtype)  # running mean squares of rows and columns
self.scaled_squares, self.weight_squares = cp.zeros(len(self.rows)), cp.zeros(len(self.rows))
"""

SAVED = """
found, row, column = {}, 0, len(self.rows)
for name in TRAINED:
    _, rows, length = PLACES[name]
    means = self.means[column : column + length]
    if len(PARAMETERS[name][1]) == 2:
        found[f"rows/{name}"] = self.means[row : row + rows].reshape(rows, 1)
        found[f"columns/{name}"] = means
    else:
        found[f"v/{name}"] = means.reshape(PARAMETERS[name][1])
    row, column = row + rows, column + length
return found
"""

LAUNCHES = """
launch_blocks(self, "mean_squares", len(self.lines), 64, self.numbers, g.trained, self.lines, self.means)
rows, squares = len(self.rows), (self.scaled_squares, self.weight_squares)
found = self.rows, self.columns, self.means
launch_blocks(self, "over_root", rows, 64, self.numbers, *found, p.trained, g.trained, *squares)
launch_blocks(self, "in_units_of_size", rows, 64, self.numbers, self.rows, *squares, g.trained)
"""

ADAFACTOR = Whole(KERNELS, LAUNCHES, STATE, SAVED, FUNCTIONS)
