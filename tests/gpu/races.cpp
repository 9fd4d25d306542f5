// Who touched which element in this launch, and whether a barrier stands between two who must not touch it at once.
//
// A race is found wherever it could happen, not only under the order of threads in which it shows.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "launch_errors.h"
#include "threads.h"

namespace rs {

namespace {

struct Access {
    const Thread* by = nullptr;
    std::size_t thread = 0, block = 0;
    Passed passed;
    int line = 0;

    // Whether this was over before the current thread went on.
    bool is_over() const {
        if (!by || thread == current->in_grid) return true;
        if (passed.grid < current->passed.grid) return true;
        if (block != current->block->number) return false;
        if (passed.block < current->passed.block) return true;
        return in_block() / WARP == current->number / WARP && passed.warp < current->passed.warp;
    }
    std::size_t in_block() const { return thread - block * threads_of_a_block(); }
};

// The last accesses to one element; of several readers the last two, one of whom is not the next writer.
struct Trace {
    std::uintptr_t address = 0;
    std::uint64_t launch = 0;
    Access writer, readers[2];
    const char *written_by = nullptr, *restricted_to = nullptr;  // arrays that it is an element of
};

// The traces of a launch, by address.  Those of earlier launches count as free places.
class Traces {
public:
    Trace& of(const void* element) {
        if (2 * used_ >= traces_.size()) make_room();
        const auto address = reinterpret_cast<std::uintptr_t>(element);
        Trace& trace = traces_[place_of(address)];
        if (trace.launch != launch_) {
            trace = Trace{address, launch_, {}, {}, nullptr, nullptr};
            ++used_;
        }
        return trace;
    }

    void forget() {
        ++launch_;
        used_ = 0;
    }

private:
    std::size_t place_of(std::uintptr_t address) const {
        std::size_t place = (address >> 2) * 0x9E3779B97F4A7C15u >> 20;
        for (;; ++place) {
            const Trace& trace = traces_[place & (traces_.size() - 1)];
            if (trace.launch != launch_ || trace.address == address) return place & (traces_.size() - 1);
        }
    }

    void make_room() {
        std::vector<Trace> old(2 * traces_.size());
        old.swap(traces_);
        for (const Trace& trace : old)
            if (trace.launch == launch_) traces_[place_of(trace.address)] = trace;
    }

    std::vector<Trace> traces_ = std::vector<Trace>(1 << 12);
    std::uint64_t launch_ = 1;
    std::size_t used_ = 0;
};

Traces traces;

std::string element_name(const Name& array, std::ptrdiff_t index) {
    return std::string(array.text) + "[" + std::to_string(index) + "]";
}

[[noreturn]] void fail_race(const Access& other, const char* did, const char* does, const std::string& element, int line) {
    const std::string thread = "block " + std::to_string(other.block) + ", thread " + std::to_string(other.in_block());
    fail(line, "race: " + element + " is " + does + " here and was " + did + " by " + thread + " at line " +
                   std::to_string(other.line) + ", with no barrier between");
}

// A compiler may read what is restricted to an array once and for all, or from a cache that no write reaches.
void check_restricted(Trace& trace, const Name& array, std::ptrdiff_t index, int line) {
    if (array.restricted) trace.restricted_to = array.text;
    if (trace.written_by && trace.restricted_to && trace.written_by != trace.restricted_to)
        fail(line, element_name(array, index) + " is written as an element of " + trace.written_by + ", but " +
                       trace.restricted_to + " is __restrict__");
}

Access access_at(int line) { return {current, current->in_grid, current->block->number, current->passed, line}; }

}  // namespace

void forget_accesses() { traces.forget(); }

void note_read(const void* element, const Name& array, std::ptrdiff_t index, int line) {
    Trace& trace = traces.of(element);
    if (!trace.writer.is_over()) fail_race(trace.writer, "written", "read", element_name(array, index), line);
    check_restricted(trace, array, index, line);
    if (trace.readers[0].thread != current->in_grid) trace.readers[1] = trace.readers[0];
    trace.readers[0] = access_at(line);
}

void note_write(const void* element, const Name& array, std::ptrdiff_t index, int line) {
    Trace& trace = traces.of(element);
    if (!trace.writer.is_over()) fail_race(trace.writer, "written", "written", element_name(array, index), line);
    for (const Access& reader : trace.readers)
        if (!reader.is_over()) fail_race(reader, "read", "written", element_name(array, index), line);
    trace.written_by = array.text;
    check_restricted(trace, array, index, line);
    trace.writer = access_at(line);
    trace.readers[0] = trace.readers[1] = Access();
}

void fail_outside(const Name& array, std::ptrdiff_t index, std::ptrdiff_t size, int line) {
    fail(line, element_name(array, index) + " is outside its " + std::to_string(size) + " elements");
}

}  // namespace rs
