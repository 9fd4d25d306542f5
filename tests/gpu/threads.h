// The threads of a kernel launch as fibers of one thread of the operating system.
//
// A thread runs until it ends or waits at a barrier; the order is shuffled by a seed, so that a kernel which relies on an
// order gives other results under another seed.  All threads of a kernel without barriers share one fiber, which makes them
// a plain loop.  Blocks run together in groups, because on a device they do.

#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace rs {

constexpr unsigned WARP = 32;
constexpr std::size_t STACK_BYTES = 256 * 1024;
constexpr std::size_t THREADS_OF_A_GROUP = 2048;  // so many threads run together, if the blocks are small enough

struct Index {
    unsigned x, y, z;
};

enum class Barrier { none, block, warp, grid };

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    void* sanitizer_stack = nullptr;
};

struct SharedArray {
    int declaration;
    std::unique_ptr<unsigned char[]> bytes;
};

struct Thread;

struct Block {
    Index index;
    Thread* threads;
    std::vector<SharedArray> arrays;
    std::unique_ptr<unsigned char[]> dynamic;  // what a launch asks for by shared_mem
};

struct Thread {
    Index index;
    Block* block;
    unsigned number;
    Barrier waits = Barrier::none;
    bool ended = false;
    int line = 0;               // of the barrier
    std::uint64_t offered = 0;  // to the other lanes of the warp in a shuffle
    Fiber* fiber = nullptr;     // none before the thread has started

    bool ready() const { return !ended && waits == Barrier::none; }
    unsigned lane() const { return number % WARP; }
    Thread* warp() const { return block->threads + number / WARP * WARP; }
};

// What a launch is given; the same layout in host_kernels.py.
struct Launch {
    unsigned grid[3];
    unsigned block[3];
    unsigned shared_bytes;
    int cooperative;
    std::uint64_t seed;  // 0: in order
};

struct KernelError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

static Thread* current = nullptr;
static const Launch* launch = nullptr;

inline std::string place(const Thread& thread) {
    return "block " + std::to_string(thread.block->index.x) + ", thread " + std::to_string(thread.index.x);
}

[[noreturn]] inline void fail(int line, const std::string& what) {
    throw KernelError("line " + std::to_string(line) + ": " + what + " (" + place(*current) + ")");
}

// Bytes that are not a number in whichever type they are read.
inline std::unique_ptr<unsigned char[]> poisoned(std::size_t bytes) {
    std::unique_ptr<unsigned char[]> memory(new unsigned char[bytes]);
    std::memset(memory.get(), 0xFF, bytes);
    return memory;
}

// Runs the threads of one launch.
class Scheduler {
public:
    template <class Body> void run(const Launch& wanted, Body&& body) {
        launch = &wanted;
        body_ = [](void* it) { (*static_cast<std::remove_reference_t<Body>*>(it))(); };
        body_data_ = &body;
        random_.seed(wanted.seed);
        try {
            run_groups();
        } catch (...) {
            idle_.clear();  // the stacks of threads that will never end go too
            fibers_.clear();
            throw;
        }
    }

    // Stops the current thread until its barrier opens.
    void wait(Barrier barrier, int line) {
        Thread* me = current;
        me->waits = barrier;
        me->line = line;
        to_scheduler(me->fiber);
        current = me;
    }

private:
    void run_groups() {
        const std::size_t blocks = std::size_t(launch->grid[0]) * launch->grid[1] * launch->grid[2];
        const std::size_t threads = std::size_t(launch->block[0]) * launch->block[1] * launch->block[2];
        std::vector<std::size_t> order(blocks);
        for (std::size_t i = 0; i < blocks; ++i) order[i] = i;
        shuffle(order);
        const std::size_t together = launch->cooperative ? blocks : std::max<std::size_t>(1, THREADS_OF_A_GROUP / threads);
        for (std::size_t first = 0; first < blocks; first += together) {
            const std::size_t last = std::min(blocks, first + together);
            run_group(std::vector<std::size_t>(order.begin() + first, order.begin() + last), threads);
        }
    }

    void run_group(const std::vector<std::size_t>& numbers, std::size_t threads_of_a_block) {
        blocks_.clear();
        blocks_.resize(numbers.size());
        threads_.assign(numbers.size() * threads_of_a_block, Thread());
        order_.clear();
        for (std::size_t b = 0; b < numbers.size(); ++b) {
            Block& block = blocks_[b];
            block.index = split(numbers[b], launch->grid);
            block.threads = &threads_[b * threads_of_a_block];
            block.dynamic = poisoned(launch->shared_bytes);
            for (std::size_t t = 0; t < threads_of_a_block; ++t) {
                Thread& thread = block.threads[t];
                thread.index = split(t, launch->block);
                thread.block = &block;
                thread.number = unsigned(t);
                order_.push_back(&thread);
            }
        }
        do {
            shuffle(order_);
            for (next_ = 0; next_ < order_.size();) {
                Thread* thread = order_[next_++];
                if (thread->ready()) resume(thread);
            }
        } while (open_barriers(threads_of_a_block));
    }

    // Lets those go on for whom everybody has arrived; false when all threads have ended.
    bool open_barriers(std::size_t threads_of_a_block) {
        std::size_t ended = 0, at_grid = 0;
        bool opened = false;
        for (Block& block : blocks_) {
            Thread *first = block.threads, *last = first + threads_of_a_block;
            for (Thread* warp = first; warp < last; warp += WARP) opened |= open_warp(warp, std::min(warp + WARP, last));
            opened |= open_block(first, last);
            ended += std::count_if(first, last, [](const Thread& t) { return t.ended; });
            at_grid += std::count_if(first, last, [](const Thread& t) { return t.waits == Barrier::grid; });
        }
        if (at_grid == threads_.size()) {
            release(&threads_.front(), &threads_.back() + 1);
            opened = true;
        }
        if (ended == threads_.size()) return false;
        if (!opened) fail_stuck(at_grid);
        return true;
    }

    bool open_warp(Thread* first, Thread* last) {
        const Thread* waiting = nullptr;
        for (Thread* thread = first; thread < last; ++thread) {
            if (thread->ended) continue;
            if (thread->waits != Barrier::warp) return false;
            if (waiting && waiting->line != thread->line)
                throw KernelError("lanes of one warp wait at lines " + lines(*waiting, *thread));
            waiting = thread;
        }
        if (waiting) release(first, last);
        return waiting != nullptr;
    }

    bool open_block(Thread* first, Thread* last) {
        const Thread *waiting = nullptr, *ended = nullptr;
        for (Thread* thread = first; thread < last; ++thread) {
            if (thread->ended) {
                ended = thread;
                continue;
            }
            if (thread->waits != Barrier::block) return false;
            if (waiting && waiting->line != thread->line)
                throw KernelError("threads of one block wait at lines " + lines(*waiting, *thread));
            waiting = thread;
        }
        if (waiting && ended)
            throw KernelError("line " + std::to_string(waiting->line) + ": divergent __syncthreads: " + place(*waiting) +
                              " waits, and thread " + std::to_string(ended->index.x) + " has ended");
        if (waiting) release(first, last);
        return waiting != nullptr;
    }

    [[noreturn]] void fail_stuck(std::size_t at_grid) {
        for (const Thread& thread : threads_)
            if (thread.waits != Barrier::none)
                throw KernelError("line " + std::to_string(thread.line) + ": " + place(thread) +
                                  " waits for ever; " + std::to_string(at_grid) + " of " + std::to_string(threads_.size()) +
                                  " threads wait for the whole grid");
        throw KernelError("no thread can go on");
    }

    static std::string lines(const Thread& a, const Thread& b) {
        return std::to_string(std::min(a.line, b.line)) + " and " + std::to_string(std::max(a.line, b.line)) + ": " + place(a);
    }

    static void release(Thread* first, Thread* last) {
        for (; first < last; ++first) first->waits = Barrier::none;
    }

    static Index split(std::size_t number, const unsigned size[3]) {
        return {unsigned(number % size[0]), unsigned(number / size[0] % size[1]), unsigned(number / size[0] / size[1])};
    }

    // ---------------------------------------------------------------- fibers

    void resume(Thread* thread) {
        if (!thread->fiber) thread->fiber = idle_fiber();
        current = thread;
        to_fiber(thread->fiber);
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }

    Fiber* idle_fiber() {
        if (idle_.empty()) {
            fibers_.push_back(std::make_unique<Fiber>());
            Fiber* fiber = fibers_.back().get();
            fiber->stack.reset(new char[STACK_BYTES]);
            getcontext(&fiber->context);
            fiber->context.uc_stack.ss_sp = fiber->stack.get();
            fiber->context.uc_stack.ss_size = STACK_BYTES;
            makecontext(&fiber->context, &Scheduler::enter, 0);
            return fiber;
        }
        Fiber* fiber = idle_.back();
        idle_.pop_back();
        return fiber;
    }

    static void enter();

    // A fiber runs its thread, then those that have not started, as long as it is their turn.
    [[noreturn]] void serve() {
        arrived_in_fiber(nullptr);
        for (;;) {
            Fiber* me = current->fiber;
            do {
                try {
                    body_(body_data_);
                } catch (...) {
                    error_ = std::current_exception();
                }
                current->ended = true;
            } while (!error_ && start_next(me));
            idle_.push_back(me);
            to_scheduler(me);
        }
    }

    bool start_next(Fiber* me) {
        if (next_ >= order_.size() || order_[next_]->fiber) return false;
        current = order_[next_++];
        current->fiber = me;
        return true;
    }

#if defined(__SANITIZE_ADDRESS__)
    // The sanitizer wants to know which stack is in use.
    void to_fiber(Fiber* fiber) {
        __sanitizer_start_switch_fiber(&home_.sanitizer_stack, fiber->stack.get(), STACK_BYTES);
        swapcontext(&home_.context, &fiber->context);
        __sanitizer_finish_switch_fiber(home_.sanitizer_stack, nullptr, nullptr);
    }
    void to_scheduler(Fiber* fiber) {
        __sanitizer_start_switch_fiber(&fiber->sanitizer_stack, home_bottom_, home_size_);
        swapcontext(&fiber->context, &home_.context);
        arrived_in_fiber(fiber->sanitizer_stack);
    }
    void arrived_in_fiber(void* stack) { __sanitizer_finish_switch_fiber(stack, &home_bottom_, &home_size_); }
#else
    void to_fiber(Fiber* fiber) { swapcontext(&home_.context, &fiber->context); }
    void to_scheduler(Fiber* fiber) { swapcontext(&fiber->context, &home_.context); }
    void arrived_in_fiber(void*) {}
#endif

    template <class Item> void shuffle(std::vector<Item>& items) {
        if (launch->seed) std::shuffle(items.begin(), items.end(), random_);
    }

    void (*body_)(void*) = nullptr;
    void* body_data_ = nullptr;
    std::mt19937_64 random_;
    std::vector<Block> blocks_;
    std::vector<Thread> threads_;
    std::vector<Thread*> order_;
    std::size_t next_ = 0;  // place in `order_`
    Fiber home_;            // of the scheduler
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::vector<Fiber*> idle_;
    std::exception_ptr error_;
    const void* home_bottom_ = nullptr;
    std::size_t home_size_ = 0;
};

static Scheduler scheduler;

inline void Scheduler::enter() { scheduler.serve(); }

}  // namespace rs
