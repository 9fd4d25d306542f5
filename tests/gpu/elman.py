"""An Elman network on the device, written by hand in the manner of a generated script: its forward and backward pass.

h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h)
y[t] = W_hy @ h[t] + b_y
loss = mean((y[t] - target[t]) ** 2)
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from types import SimpleNamespace

import cupy as cp
import numpy as np

I, H, O = 5, 7, 3  # noqa: E741
DTYPE = "float64"
SHAPES = {"W_xh": (H, I), "W_hh": (H, H), "b_h": (H,), "W_hy": (O, H), "b_y": (O,)}

KERNELS = r"""
// The sum of one number of each of the 256 threads of a block, for all of them.
__device__ __forceinline__ real block_sum(real value) {
    __shared__ real partial[8];
    for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(0xffffffffu, value, lanes);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
    __syncthreads();
    real sum = 0;
    for (int warp = 0; warp < 8; ++warp) sum += partial[warp];
    return sum;
}

// h[t] = tanh(W_xh @ x[t] + W_hh @ h[t-1] + b_h)
extern "C" __global__ void forward_h(const real* __restrict__ from_x, const real* __restrict__ from_h,
                                     const real* __restrict__ b_h, real* h, int B, int t) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= B * 7) return;
    const int b = i / 7, j = i % 7;
    h[((size_t) (t + 1) * B + b) * 7 + j] = tanh(from_x[((size_t) t * B + b) * 7 + j] + from_h[(size_t) b * 7 + j] + b_h[j]);
}

// y[t] = W_hy @ h[t] + b_y, and the derivative of the loss by it
extern "C" __global__ void forward_y(const real* __restrict__ from_h, const real* __restrict__ b_y,
                                     const real* __restrict__ target, real* y, real* dy, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    y[i] = from_h[i] + b_y[i % 3];
    dy[i] = 2 * (y[i] - target[i]) / n;
}

// loss = mean((y[t] - target[t]) ** 2)
extern "C" __global__ void __launch_bounds__(256) forward_loss(const real* __restrict__ y, const real* __restrict__ target,
                                                               real* loss, int n) {
    real sum = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += (y[i] - target[i]) * (y[i] - target[i]);
    sum = block_sum(sum);
    if (threadIdx.x == 0) loss[0] = sum / n;
}

// the derivative by what tanh is taken of
extern "C" __global__ void backward_h(const real* __restrict__ h, const real* __restrict__ dh_from_y,
                                      const real* __restrict__ dh_last, real* da, int B, int T, int t) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= B * 7) return;
    const real state = h[(size_t) (t + 1) * B * 7 + i];
    const real later = t + 1 < T ? dh_last[i] : 0;
    da[(size_t) t * B * 7 + i] = (dh_from_y[(size_t) t * B * 7 + i] + later) * (1 - state * state);
}

// the sum of every column of a matrix of n rows; one block a column
extern "C" __global__ void __launch_bounds__(256) column_sum(const real* __restrict__ matrix, real* sums, int n) {
    const int columns = gridDim.x;
    real sum = 0;
    for (int row = threadIdx.x; row < n; row += blockDim.x) sum += matrix[(size_t) row * columns + blockIdx.x];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}
"""


# ------------------------------------------------------------------ the device

BLAS = ctypes.CDLL("libcublas.so.13")
NAMES = ("forward_h", "forward_y", "forward_loss", "backward_h", "column_sum")


@lru_cache
def kernels(dtype):
    """The kernels for one type of numbers."""
    real = {"float32": "float", "float64": "double"}[dtype]
    module = cp.RawModule(code=KERNELS, options=("-std=c++17", f"-Dreal={real}"))
    return {name: module.get_function(name) for name in NAMES}


def launch(w, name, threads, *arguments):
    """One thread an element, in blocks of 256."""
    launch_blocks(w, name, (threads + 255) // 256, *arguments)


def launch_blocks(w, name, blocks, *arguments):
    """So many blocks of 256 threads."""
    values = tuple(np.int32(value) if isinstance(value, int) else value for value in arguments)
    w.kernels[name]((blocks,), (256,), values)


def gemm(w, left, right, out, rows, columns, inner, left_op, right_op, left_row, right_row):
    """out = op(left) @ op(right) of matrices stored by rows: the other way round for cuBLAS, which stores by columns."""
    kind, compute, scalar = {"float32": (0, 68, ctypes.c_float), "float64": (1, 70, ctypes.c_double)}[str(out.dtype)]
    status = BLAS.cublasGemmEx(
        ctypes.c_void_p(w.handle),
        *(right_op, left_op, columns, rows, inner, ctypes.byref(scalar(1))),
        *(ctypes.c_void_p(right.data.ptr), kind, right_row, ctypes.c_void_p(left.data.ptr), kind, left_row),
        *(ctypes.byref(scalar(0)), ctypes.c_void_p(out.data.ptr), kind, columns, compute, -1),
    )
    if status:
        raise RuntimeError(f"cuBLAS refused a product: status {status}")


def matmul(w, a, b, out):
    """out = a @ b; b may be the transpose of a matrix."""
    inner, columns = b.shape
    transposed = not b.flags.c_contiguous
    gemm(w, a, b, out, a.size // inner, columns, inner, 0, int(transposed), inner, inner if transposed else columns)


def gram(w, a, b, out):
    """out = the sum of a[i]^T b[i] over all leading axes."""
    rows, columns = out.shape
    gemm(w, a, b, out, rows, columns, a.size // rows, 1, 0, rows, columns)


# ------------------------------------------------------------------ forward and backward


def allocate(T, B, dtype=DTYPE):
    """All storage of a step, and what its launches need."""
    w = SimpleNamespace(T=T, B=B, kernels=kernels(dtype), handle=cp.cuda.device.get_cublas_handle())
    shapes = {"x": (T, B, I), "target": (T, B, O), "from_x": (T, B, H), "from_h": (B, H), "y_from_h": (T, B, O), "y": (T, B, O)}
    shapes |= {"dy": (T, B, O), "dh_from_y": (T, B, H), "dh_last": (B, H), "da": (T, B, H), "loss": (1,)}
    for name, shape in shapes.items():
        setattr(w, name, cp.empty(shape, dtype))
    w.h = cp.zeros((T + 1, B, H), dtype)
    w.workspace = cp.empty(32 * 1024, "uint8")
    return w


def on_stream(w, stream):
    """Let cuBLAS work on a stream."""
    BLAS.cublasSetStream_v2(ctypes.c_void_p(w.handle), ctypes.c_void_p(stream.ptr))
    BLAS.cublasSetWorkspace_v2(
        ctypes.c_void_p(w.handle), ctypes.c_void_p(w.workspace.data.ptr), ctypes.c_size_t(w.workspace.nbytes)
    )


def forward(p, w):
    """The loss into w.loss."""
    matmul(w, w.x, p.W_xh.T, w.from_x)
    for t in range(w.T):
        matmul(w, w.h[t], p.W_hh.T, w.from_h)
        launch(w, "forward_h", w.B * H, w.from_x, w.from_h, p.b_h, w.h, w.B, t)
    matmul(w, w.h[1:], p.W_hy.T, w.y_from_h)
    launch(w, "forward_y", w.y.size, w.y_from_h, p.b_y, w.target, w.y, w.dy, w.y.size)
    launch_blocks(w, "forward_loss", 1, w.y, w.target, w.loss, w.y.size)


def backward(p, w, g):
    """The gradients into g."""
    matmul(w, w.dy, p.W_hy, w.dh_from_y)
    for t in reversed(range(w.T)):
        if t + 1 < w.T:
            matmul(w, w.da[t + 1], p.W_hh, w.dh_last)
        launch(w, "backward_h", w.B * H, w.h, w.dh_from_y, w.dh_last, w.da, w.B, w.T, t)
    gram(w, w.da, w.x, g.W_xh)
    gram(w, w.da, w.h[:-1], g.W_hh)
    gram(w, w.dy, w.h[1:], g.W_hy)
    launch_blocks(w, "column_sum", H, w.da, g.b_h, w.T * w.B)
    launch_blocks(w, "column_sum", O, w.dy, g.b_y, w.T * w.B)
