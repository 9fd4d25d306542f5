// The threads of a kernel as the kernel sees them.  threads.cpp runs them; races.cpp watches what they touch.

#pragma once

#include <cstddef>
#include <cstdint>

#define RS_API __attribute__((visibility("default")))

namespace rs {

constexpr unsigned WARP = 32;
constexpr int DYNAMIC = -1;  // the shared array whose size is an argument of the launch

struct Index {
    unsigned x, y, z;
};

// What a launch is given; the same layout in host_kernels.py.
struct Launch {
    unsigned grid[3];
    unsigned block[3];
    unsigned shared_bytes;
    int cooperative;
    std::uint64_t seed;  // of the order in which threads run; 0: their natural order
};

// Whom a thread waits for; in a shuffle for its warp, too, but that orders no accesses to memory.
enum class Barrier { none, shuffle, warp, block, grid };

// How many barriers a thread has passed.
struct Passed {
    unsigned warp = 0, block = 0, grid = 0;
};

struct Block;
class Fiber;

struct Thread {
    Index index;
    Block* block;
    unsigned number;      // in its block
    std::size_t in_grid;  // its number in the whole grid
    Passed passed;
    Barrier waits = Barrier::none;
    bool ended = false;
    int line = 0;               // of the barrier
    std::uint64_t offered = 0;  // to the other lanes of the warp in a shuffle
    Fiber* fiber = nullptr;     // none before the thread has started

    unsigned lane() const { return number % WARP; }
};

struct Block {
    std::size_t number;
    Index index;
    Thread* threads;
};

RS_API extern Thread* current;
RS_API extern const Launch* launch;

inline std::size_t product(const unsigned size[3]) { return std::size_t(size[0]) * size[1] * size[2]; }
inline std::size_t threads_of_a_block() { return product(launch->block); }

// Runs `body` once for each thread; false with the reason in `report` if one does what a kernel must not do.
RS_API bool run(const Launch& wanted, void (*body)(void*), void* data, char* report, std::size_t size);

// Stops the current thread until its barrier opens.
RS_API void wait(Barrier barrier, int line);

// Memory of the current block, filled with bytes that are no number; the same for every thread that asks for it.
RS_API unsigned char* shared_memory(int declaration, std::size_t bytes);

// What a kernel knows an array by.
struct Name {
    const char* text;
    bool restricted = false;  // nobody may write by another pointer what is read by this one, or the reverse
};

// Notes that the current thread reads or writes an element, `array[index]`; stops the launch if it must not.
RS_API void note_read(const void* element, const Name& array, std::ptrdiff_t index, int line);
RS_API void note_write(const void* element, const Name& array, std::ptrdiff_t index, int line);

// Stops the launch: `array[index]` does not exist.
[[noreturn]] RS_API void fail_outside(const Name& array, std::ptrdiff_t index, std::ptrdiff_t size, int line);

}  // namespace rs
