// CUDA C on a machine without a GPU: the words of the language, so that a kernel can be compiled by a host compiler.
//
// It stands before the text of the kernels.  What a host compiler cannot read as it is, cuda_source.py rewrites: pointers
// become checked ones, and `__shared__` arrays become arrays of the current block.

#pragma once

#include <math.h>

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "checked_memory.h"
#include "threads.h"

#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

#define threadIdx (rs::current->index)
#define blockIdx (rs::current->block->index)
#define blockDim (rs::launch_size(rs::launch->block))
#define gridDim (rs::launch_size(rs::launch->grid))

#define __syncthreads() rs::wait(rs::Barrier::block, __LINE__)
#define __syncwarp(...) rs::wait(rs::Barrier::warp, __LINE__)
#define RS_GRID_SYNC() rs::wait(rs::Barrier::grid, __LINE__)

#define __shfl_sync(mask, value, source) rs::shuffle(value, source, __LINE__)
#define __shfl_xor_sync(mask, value, lanes) rs::shuffle(value, rs::current->lane() ^ (lanes), __LINE__)
#define __shfl_down_sync(mask, value, lanes) rs::shuffle(value, rs::current->lane() + (lanes), __LINE__)
#define __shfl_up_sync(mask, value, lanes) rs::shuffle(value, rs::current->lane() - (lanes), __LINE__)

// `__shared__ T name[n]` as cuda_source.py writes it: `declaration` tells the arrays of a module apart.
// RS_DYN_SMEM is memory of a block whose size is an argument of the launch.
#if defined(RS_SANITIZED)
#define RS_SHARED(type, name, size, declaration) auto& name = *rs::shared_memory_of<type size>(declaration, sizeof(type size))
#define RS_DYN_SMEM(type, name) type* name = rs::shared_memory_of<type>(rs::DYNAMIC, rs::launch->shared_bytes)
#else
#define RS_SHARED(type, name, size, declaration) rs::Shared<type size> name = rs::shared_array<type size>(declaration, #name)
#define RS_DYN_SMEM(type, name) rs::Pointer<type> name = rs::dynamic_array<type>(#name)
#endif

namespace rs {

inline Index launch_size(const unsigned size[3]) { return {size[0], size[1], size[2]}; }

// The value of another lane of the warp; outside the warp one's own, from a lane that has ended nothing that is a number.
template <class T> T shuffle(T value, unsigned source, int line) {
    static_assert(sizeof(T) <= sizeof(Thread::offered), "a shuffle moves up to 8 bytes");
    Thread* me = current;
    std::memcpy(&me->offered, &value, sizeof(T));
    wait(Barrier::shuffle, line);
    if (source < WARP) {
        const Thread& other = (me - me->lane())[source];
        const bool there = me->number / WARP * WARP + source < threads_of_a_block() && !other.ended;
        if (there)
            std::memcpy(&value, &other.offered, sizeof(T));
        else
            std::memset(&value, 0xFF, sizeof(T));
    }
    wait(Barrier::shuffle, line);  // nobody offers the next value before this one is read
    return value;
}

template <class T> T* shared_memory_of(int declaration, std::size_t bytes) {
    return reinterpret_cast<T*>(shared_memory(declaration, bytes));
}

template <class T> Shared<T> shared_array(int declaration, const char* name) {
    return Shared<T>(shared_memory_of<T>(declaration, sizeof(T)), {name});
}

template <class T> Pointer<T> dynamic_array(const char* name) {
    T* first = shared_memory_of<T>(DYNAMIC, launch->shared_bytes);
    return Pointer<T>(first, {first, first + launch->shared_bytes / sizeof(T), {name}});
}

// ------------------------------------------------------------------ launching from Python

// One argument; the same layout in host_kernels.py.  A number lies at `address`, as do the elements of an array.
struct Argument {
    const char* name;
    void* address;
    std::int64_t size;
    int restricted;
};

template <class T> struct Unpacked {
    static T from(const Argument& argument) { return *static_cast<T*>(argument.address); }
};
template <class T> struct Unpacked<T*> {
    static T* from(const Argument& argument) { return static_cast<T*>(argument.address); }
};
template <class T> struct Unpacked<Pointer<T>> {
    static Pointer<T> from(const Argument& argument) {
        T* first = static_cast<T*>(argument.address);
        return Pointer<T>(first, {first, first + argument.size, {argument.name, argument.restricted != 0}});
    }
};

template <class... Parameters, std::size_t... Places>
void call(void (*kernel)(Parameters...), const Argument* arguments, std::index_sequence<Places...>) {
    kernel(Unpacked<Parameters>::from(arguments[Places])...);
}

template <class... Parameters>
bool run_kernel(void (*kernel)(Parameters...), const Launch& wanted, const Argument* arguments, char* report,
                std::size_t size) {
    auto thread = [&] { call(kernel, arguments, std::index_sequence_for<Parameters...>()); };
    return run(wanted, [](void* data) { (*static_cast<decltype(thread)*>(data))(); }, &thread, report, size);
}

}  // namespace rs

#define RS_EXPORT(kernel)                                                                            \
    extern "C" __attribute__((visibility("default"))) int rs_launch_##kernel(                         \
        const rs::Launch* launch, const rs::Argument* arguments, char* report, std::size_t size) {   \
        return rs::run_kernel(kernel, *launch, arguments, report, size);                                    \
    }
