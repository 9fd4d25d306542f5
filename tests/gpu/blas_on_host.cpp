// The four functions of cuBLAS that scripts call, on a machine without a GPU.
//
// The library carries cuBLAS's name, so that a script which loads "libcublas.so.13" finds this one.  A product is checked as
// cuBLAS checks it, written down as a `Product`, and handed to the stand-in for CuPy, which either lets it run at once or
// keeps it as a node of a graph; `rs_run_product` does the arithmetic.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#define RS_API __attribute__((visibility("default")))

namespace {

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum DataType { FLOAT32 = 0, FLOAT64 = 1 };  // CUDA_R_32F, CUDA_R_64F
enum ComputeType { IN_FLOAT32 = 68, IN_FLOAT64 = 70, FAST_16BF = 75, FAST_TF32 = 77 };
enum Operation { PLAIN = 0, TRANSPOSED = 1 };

}  // namespace

extern "C" {

// One call of cublasGemmStridedBatchedEx, with its numbers; the same layout in host_blas.py.
struct Product {
    int transpose_a, transpose_b;
    int m, n, k;
    double alpha, beta;
    const void* a;
    int lda;
    long long stride_a;
    const void* b;
    int ldb;
    long long stride_b;
    void* c;
    int ldc;
    long long stride_c;
    int batch;
    int data_type, compute_type;
};

// Set by the stand-in for CuPy; all of them give a status.
RS_API int (*rs_submit)(const Product*) = nullptr;
RS_API int (*rs_set_stream)(void* stream) = nullptr;
RS_API int (*rs_set_workspace)(void* workspace, std::size_t bytes) = nullptr;
}

namespace {

bool known(int data_type, int compute_type) {
    if (data_type == FLOAT64) return compute_type == IN_FLOAT64;
    return data_type == FLOAT32 && (compute_type == IN_FLOAT32 || compute_type == FAST_16BF || compute_type == FAST_TF32);
}

// The number with only so many bits of its mantissa, rounded to the nearest, ties to even: what a tensor core is given.
float rounded(float value, int mantissa_bits) {
    if (!std::isfinite(value)) return value;
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const int dropped = 23 - mantissa_bits;
    const std::uint32_t odd = bits >> dropped & 1;
    bits += (1u << (dropped - 1)) - 1 + odd;
    bits &= ~((1u << dropped) - 1);
    std::memcpy(&value, &bits, sizeof bits);
    return value;
}

template <class Real> Real as_operand(Real value, int) { return value; }
template <> float as_operand(float value, int compute_type) {
    if (compute_type == FAST_TF32) return rounded(value, 10);
    if (compute_type == FAST_16BF) return rounded(value, 7);
    return value;
}

// op(matrix), column by column, as the compute type sees its elements.
template <class Real>
std::vector<Real> operand(const Real* matrix, int leading, bool transposed, int rows, int columns, int compute_type) {
    std::vector<Real> made(std::size_t(rows) * columns);
    for (int j = 0; j < columns; ++j)
        for (int i = 0; i < rows; ++i) {
            const Real value = transposed ? matrix[std::size_t(i) * leading + j] : matrix[std::size_t(j) * leading + i];
            made[std::size_t(j) * rows + i] = as_operand(value, compute_type);
        }
    return made;
}

template <class Real> void multiply(const Product& p, int number) {
    const auto a = operand(static_cast<const Real*>(p.a) + number * p.stride_a, p.lda, p.transpose_a, p.m, p.k, p.compute_type);
    const auto b = operand(static_cast<const Real*>(p.b) + number * p.stride_b, p.ldb, p.transpose_b, p.k, p.n, p.compute_type);
    Real* c = static_cast<Real*>(p.c) + number * p.stride_c;
    std::vector<Real> sums(p.m);
    for (int j = 0; j < p.n; ++j) {
        std::fill(sums.begin(), sums.end(), Real(0));
        for (int l = 0; l < p.k; ++l)
            for (int i = 0; i < p.m; ++i) sums[i] += a[std::size_t(l) * p.m + i] * b[std::size_t(j) * p.k + l];
        for (int i = 0; i < p.m; ++i) {
            Real& element = c[std::size_t(j) * p.ldc + i];
            const Real kept = p.beta == 0 ? Real(0) : Real(p.beta) * element;  // beta 0: what was there is not read
            element = Real(p.alpha) * sums[i] + kept;
        }
    }
}

int leading_at_least(bool transposed, int rows, int columns) { return std::max(1, transposed ? columns : rows); }

int check(void* handle, int op_a, int op_b, const Product& p, const void* alpha, const void* beta, int a_type, int b_type) {
    if (!handle) return NOT_INITIALIZED;
    if ((op_a != PLAIN && op_a != TRANSPOSED) || (op_b != PLAIN && op_b != TRANSPOSED)) return INVALID_VALUE;
    if (p.m < 0 || p.n < 0 || p.k < 0 || p.batch < 0 || !alpha || !beta) return INVALID_VALUE;
    if (p.lda < leading_at_least(op_a, p.m, p.k)) return INVALID_VALUE;
    if (p.ldb < leading_at_least(op_b, p.k, p.n)) return INVALID_VALUE;
    if (p.ldc < std::max(1, p.m)) return INVALID_VALUE;
    if (a_type != b_type || a_type != p.data_type || !known(p.data_type, p.compute_type)) return NOT_SUPPORTED;
    return SUCCESS;
}

double number(const void* at, int data_type) {
    return data_type == FLOAT64 ? *static_cast<const double*>(at) : *static_cast<const float*>(at);
}

}  // namespace

extern "C" {

RS_API int cublasGemmStridedBatchedEx(void* handle, int op_a, int op_b, int m, int n, int k, const void* alpha,
                                      const void* a, int a_type, int lda, long long stride_a,
                                      const void* b, int b_type, int ldb, long long stride_b, const void* beta,
                                      void* c, int c_type, int ldc, long long stride_c,
                                      int batch, int compute_type, int /* algorithm */) {
    Product product{op_a == TRANSPOSED, op_b == TRANSPOSED, m, n, k, 0, 0, a, lda, stride_a, b, ldb, stride_b,
                    c, ldc, stride_c, batch, c_type, compute_type};
    const int status = check(handle, op_a, op_b, product, alpha, beta, a_type, b_type);
    if (status != SUCCESS) return status;
    if (m == 0 || n == 0 || batch == 0) return SUCCESS;
    product.alpha = number(alpha, c_type);
    product.beta = number(beta, c_type);
    return rs_submit ? rs_submit(&product) : NOT_INITIALIZED;
}

RS_API int cublasGemmEx(void* handle, int op_a, int op_b, int m, int n, int k, const void* alpha,
                        const void* a, int a_type, int lda, const void* b, int b_type, int ldb, const void* beta,
                        void* c, int c_type, int ldc, int compute_type, int algorithm) {
    return cublasGemmStridedBatchedEx(handle, op_a, op_b, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0, beta,
                                      c, c_type, ldc, 0, 1, compute_type, algorithm);
}

RS_API int cublasSetStream_v2(void* handle, void* stream) {
    return handle && rs_set_stream ? rs_set_stream(stream) : NOT_INITIALIZED;
}

RS_API int cublasSetWorkspace_v2(void* handle, void* workspace, std::size_t bytes) {
    if (!handle || !rs_set_workspace) return NOT_INITIALIZED;
    if (bytes > 0 && (!workspace || reinterpret_cast<std::uintptr_t>(workspace) % 256)) return INVALID_VALUE;
    return rs_set_workspace(workspace, bytes);
}

RS_API void rs_run_product(const Product* product) {
    for (int number = 0; number < product->batch; ++number)
        product->data_type == FLOAT64 ? multiply<double>(*product, number) : multiply<float>(*product, number);
}
}
