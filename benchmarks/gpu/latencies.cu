// Kernels that do next to nothing, to learn what the device takes for it.

extern "C" __global__ void nothing() {}

// All blocks of the grid meet, so many times; count starts at 0 and only grows.
extern "C" __global__ void __launch_bounds__(256) meet(unsigned* count, int times) {
    for (int time = 1; time <= times; ++time) {
        __syncthreads();
        if (threadIdx.x == 0) {
            __threadfence();
            atomicAdd(count, 1u);
            while (*(volatile unsigned*) count < time * gridDim.x) {}
            __threadfence();
        }
        __syncthreads();
    }
}

#if __CUDA_ARCH__ >= 900
// The blocks of a cluster of 8 meet, so many times.
extern "C" __global__ void __cluster_dims__(8, 1, 1) __launch_bounds__(256) meet_in_cluster(int times) {
    for (int time = 1; time <= times; ++time)
        asm volatile("barrier.cluster.arrive.aligned; barrier.cluster.wait.aligned;" ::: "memory");
}
#endif

// Read n numbers, a power of two, so many times, each time from another place on; with L1 passed by.
extern "C" __global__ void __launch_bounds__(256) read(const float4* __restrict__ data, float* sink, unsigned n, int times) {
    float sum = 0;
    for (int time = 0; time < times; ++time)
        for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
            const float4 four = __ldcg(data + ((i + time * 4096u) & (n - 1)));
            sum += four.x + four.y + four.z + four.w;
        }
    if (sum == 0.25f) *sink = sum;  // never, but the compiler cannot know
}
