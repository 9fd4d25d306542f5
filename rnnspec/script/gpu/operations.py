"""One operation -> one expression of an element in CUDA C: one row an operation.

`{0}`, `{1}` stand for the elements beside it of the operands, and `{k}` for the numbers that the operation holds.
"""

from __future__ import annotations

from rnnspec.script.expressions import ATOM, PRODUCT, SUM, UNARY, Row, compared, infix

ELEMENTS: dict[str, Row] = {
    "sub": infix("-", SUM),
    "div": infix("/", PRODUCT),
    "rms_scale": infix("*", PRODUCT),
    "scale": Row("{k} * {0}", PRODUCT, (UNARY,)),
    "offset": Row("{0} + {k}", SUM, (SUM,)),
    "from_constant": Row("{k} - {0}", SUM, (PRODUCT,)),
    "power": Row("pow({0}, {k})"),
    "exp": Row("exp({0})"),
    "log": Row("log({0})"),
    "sqrt": Row("sqrt({0})"),
    "abs": Row("fabs({0})"),
    "sign": Row("sign({0})", helper="sign"),
    "sin": Row("sin({0})"),
    "cos": Row("cos({0})"),
    "relu": Row("relu({0})", helper="relu"),
    "softplus": Row("softplus({0})", helper="softplus"),
    "elu": Row("elu({0}, {k})", helper="elu"),
    "clip": Row("clip({0}, {k})", helper="clip"),
    "stop_gradient": Row("{0}"),
    "clip_gradient": Row("{0}"),
    "square": Row("square({0})", helper="square"),
    "inv_sqrt": Row("1 / sqrt({0} + {k})", PRODUCT, (SUM,)),
    "minimum": Row("minimum({0}, {1})", helper="minimum"),
    "maximum": Row("maximum({0}, {1})", helper="maximum"),
    "logaddexp": Row("logaddexp({0}, {1})", helper="logaddexp"),
    "select": Row("{0} ? {1} : {2}", -1),
    "less": compared("<"),
    "less_equal": compared("<="),
    "greater": compared(">"),
    "greater_equal": compared(">="),
    "equal": compared("=="),
    "not_equal": compared("!="),
    "and": infix("&&", -1),
    "or": infix("||", -1),
    "not": Row("!{0}", UNARY, (ATOM,)),
    "tanh": Row("tanh({0})"),
    "sigmoid": Row("sigmoid({0})", helper="sigmoid"),
    "copy": Row("{0}"),
    "concat": Row("{0}"),
    "start": Row("{0}"),
}
"""What reads the elements beside its own; sums and products have a term for each operand, a squash one for each kind."""

HELPERS = {
    "sign": """
__device__ __forceinline__ real sign(real a) {
    return real(a > 0) - real(a < 0);
}""",
    "relu": """
__device__ __forceinline__ real relu(real a) {  // not a number stays what it is
    return a < 0 ? real(0) : a;
}""",
    "softplus": """
__device__ __forceinline__ real softplus(real a) {  // log(1 + exp(a)), written so that it cannot overflow
    return (a > 0 ? a : real(0)) + log1p(exp(-fabs(a)));
}""",
    "elu": """
__device__ __forceinline__ real elu(real a, real alpha) {
    return a > 0 ? a : alpha * expm1(a);
}""",
    "clip": """
__device__ __forceinline__ real clip(real a, real low, real high) {
    return a < low ? low : a > high ? high : a;
}""",
    "square": """
__device__ __forceinline__ real square(real a) {
    return a * a;
}""",
    "minimum": """
__device__ __forceinline__ real minimum(real a, real b) {  // not a number wins
    return a < b || a != a ? a : b;
}""",
    "maximum": """
__device__ __forceinline__ real maximum(real a, real b) {  // not a number wins
    return a > b || a != a ? a : b;
}""",
    "logaddexp": """
__device__ __forceinline__ real logaddexp(real a, real b) {  // log(exp(a) + exp(b)), written so that it cannot overflow
    const real high = a > b ? a : b;
    return high + log1p(exp(-fabs(a - b)));
}""",
    "sigmoid": """
__device__ __forceinline__ real sigmoid(real a) {
    return 1 / (1 + exp(-a));
}""",
    "add_up": """
__device__ __forceinline__ real add_up(real a) {  // the sum of a number of every thread of a block, for all of them
    __shared__ real part[32];                     // of each warp
    for (int k = 16; k > 0; k /= 2) a += __shfl_xor_sync(0xffffffff, a, k);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = a;
    __syncthreads();
    a = 0;
    for (unsigned k = 0; k < blockDim.x / 32; k++) a += part[k];
    __syncthreads();  // before a part is written again
    return a;
}""",
    "largest": """
__device__ __forceinline__ real largest(real a) {  // the largest number that a thread of a block has, for all of them
    __shared__ real part[32];                      // of each warp
    for (int k = 16; k > 0; k /= 2) a = maximum(a, __shfl_xor_sync(0xffffffff, a, k));
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = a;
    __syncthreads();
    a = part[0];
    for (unsigned k = 1; k < blockDim.x / 32; k++) a = maximum(a, part[k]);
    __syncthreads();  // before a part is written again
    return a;
}""",
}
"""Functions of a kernel, each in a script that needs it."""

NEEDS = {"largest": ("maximum",)}
"""Functions that others use."""

REDUCTIONS = {
    "total": ("add_up", "0", "{0} += {1};"),
    "weighted_total": ("add_up", "0", "{0} += {1};"),
    "max": ("largest", "log(real(0))", "{0} = maximum({0}, {1});"),
    "min": ("largest", "log(real(0))", "{0} = maximum({0}, -({1}));"),
}
"""How a block reduces: the function, what a thread begins with, and how it takes in an element."""


def literal(number: float) -> str:
    """A number in the precision of the kernel."""
    text = repr(float(number))
    return f"real({text.removesuffix('.0')})"
