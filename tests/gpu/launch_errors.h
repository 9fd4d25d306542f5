// How a launch is stopped: an exception in the thread that went wrong.

#pragma once

#include <stdexcept>
#include <string>

#include "threads.h"

namespace rs {

struct KernelError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline std::string place(const Thread& thread) {
    return "block " + std::to_string(thread.block->index.x) + ", thread " + std::to_string(thread.index.x);
}

[[noreturn]] inline void fail(int line, const std::string& what) {
    throw KernelError("line " + std::to_string(line) + ": " + what + " (" + place(*current) + ")");
}

// Forgets who touched what in the launch before.
void forget_accesses();

}  // namespace rs
