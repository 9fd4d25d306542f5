"""How a gradient is measured and limited on a GPU: one row for each clip of the language.

Kernels in CUDA C add up `squares` of the gradient in parts, and `left_squares` of what is left of it where that does not
follow from its norm.  MAX, RATIO and EPS stand for arguments of the clip.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Clip:
    """Kernels, lines that launch them, lines of one thread that know the `norm`, and what the optimizer reads.

    `once` finds what is `left` of the norm; a step is left out unless `keeps`.
    """

    kernels: str
    launches: str
    once: str = ""
    gradient: str = "gradients[i]"
    keeps: str = ""
    by_row: bool = False  # there are as many parts as rows


MEASURE = """
// The squares of the gradient: each block adds up a part.
extern "C" __global__ void measure(const real* __restrict__ gradients, double* squares) {
    double sum = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < TRAINABLE; i += gridDim.x * blockDim.x) {
        const double gradient = gradients[i];
        sum += gradient * gradient;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}
"""

VALUE = """
// A number of the gradient, cut.
__device__ real cut(real gradient) { return fmin(fmax(gradient, real(-MAX)), real(MAX)); }

// The squares of the gradient before and after its numbers are cut: each block adds up a part.
extern "C" __global__ void measure(const real* __restrict__ gradients, double* squares, double* left_squares) {
    double sum = 0, left = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < TRAINABLE; i += gridDim.x * blockDim.x) {
        const double gradient = gradients[i], kept = cut(gradients[i]);
        sum += gradient * gradient;
        left += kept * kept;
    }
    sum = block_sum(sum);
    left = block_sum(left);
    if (threadIdx.x == 0) {
        squares[blockIdx.x] = sum;
        left_squares[blockIdx.x] = left;
    }
}
"""

PARAMETER_NORM = """
// The squares of the gradient: each block adds up a row.
extern "C" __global__ void measure(const int* __restrict__ rows, const real* __restrict__ gradients, double* squares) {
    const int* row = rows + 4 * blockIdx.x;
    const double sum = squares_of(gradients + row[0], row[1]);
    if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

// Shorten the gradient of each parameter by itself, in place: each block a row.
extern "C" __global__ void clip(const int* __restrict__ rows, const double* __restrict__ squares, real* gradients,
                                double* left_squares) {
    const int* row = rows + 4 * blockIdx.x;
    const double norm = sqrt(sum_of(squares, row[2], row[3]));  // of all rows of the parameter
    const double factor = MAX / fmax(double(MAX), norm);
    shorten(gradients + row[0], row[1], factor);
    if (threadIdx.x == 0) left_squares[blockIdx.x] = squares[blockIdx.x] * factor * factor;
}
"""

ADAPTIVE = """
// Shorten each row of the gradient (the weights into one unit) by itself, in place (Brock et al. 2021); its squares
// before and after are those of a part.
extern "C" __global__ void clip(const int* __restrict__ rows, const real* __restrict__ weights, real* gradients,
                                double* squares, double* left_squares) {
    const int* row = rows + 4 * blockIdx.x;
    const double square = squares_of(gradients + row[0], row[1]);
    const double limit = RATIO * fmax(sqrt(squares_of(weights + row[0], row[1])), double(EPS));
    const double factor = limit / fmax(limit, sqrt(square));
    shorten(gradients + row[0], row[1], factor);
    if (threadIdx.x == 0) {
        squares[blockIdx.x] = square;
        left_squares[blockIdx.x] = square * factor * factor;
    }
}
"""

BY_PART = 'launch_blocks(self, "measure", PARTS, 256, g.trained, self.squares)'
LEFT = "const double left = sqrt(sum_of(left_squares, 0, PARTS));"

CLIPS = {
    "none": Clip(MEASURE, BY_PART, "const double left = norm;"),
    "global_norm": Clip(
        MEASURE,
        BY_PART,
        """
const double shrink = norm > MAX ? MAX / norm : 1;  // shorten the whole gradient, keep its direction
const double left = norm * shrink;
""",
        gradient="gradients[i] * real(numbers[SHRINK])",
    ),
    "parameter_norm": Clip(
        PARAMETER_NORM,
        """
launch_blocks(self, "measure", PARTS, 64, self.rows, g.trained, self.squares)
launch_blocks(self, "clip", PARTS, 64, self.rows, self.squares, g.trained, self.left_squares)
""",
        LEFT,
        by_row=True,
    ),
    "value": Clip(
        VALUE,
        'launch_blocks(self, "measure", PARTS, 256, g.trained, self.squares, self.left_squares)',
        LEFT,
        gradient="cut(gradients[i])",
    ),
    "adaptive": Clip(
        ADAPTIVE,
        'launch_blocks(self, "clip", PARTS, 64, self.rows, p.trained, g.trained, self.squares, self.left_squares)',
        LEFT,
        by_row=True,
    ),
    "skip": Clip(MEASURE, BY_PART, "const double left = norm > MAX ? 0 : norm;", keeps="norm <= MAX"),
}
