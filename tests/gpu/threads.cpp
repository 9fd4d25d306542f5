// The threads of a kernel launch as fibers of one thread of the operating system.
//
// A thread runs until it ends or waits at a barrier; the order is shuffled by a seed, so that a kernel which relies on an
// order gives other results under another seed.  All threads of a kernel without barriers share one fiber, which makes them
// a plain loop.  Blocks run together in groups, because on a device they do.

#include "threads.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "fibers.h"
#include "launch_errors.h"

namespace rs {

Thread* current = nullptr;
const Launch* launch = nullptr;

namespace {

constexpr std::size_t THREADS_OF_A_GROUP = 2048;  // so many threads run together, if the blocks are small enough

// Runs the threads of one launch.
class Scheduler {
public:
    void run(const Launch& wanted, void (*body)(void*), void* data) {
        launch = &wanted;
        shared_.clear();
        forget_accesses();
        body_ = body;
        body_data_ = data;
        random_.seed(wanted.seed);
        try {
            run_groups();
        } catch (...) {
            idle_.clear();  // the stacks of threads that will never end go too
            fibers_.clear();
            throw;
        }
    }

    void wait(Barrier barrier, int line) {
        Thread* me = current;
        me->waits = barrier;
        me->line = line;
        me->fiber->give_way();
        current = me;
    }

    unsigned char* shared(int declaration, std::size_t bytes) {
        auto& memory = shared_[{current->block->number, declaration}];  // no address is used twice in a launch
        if (!memory) {
            memory.reset(new unsigned char[bytes]);
            std::memset(memory.get(), 0xFF, bytes);
        }
        return memory.get();
    }

private:
    void run_groups() {
        const std::size_t blocks = product(launch->grid);
        std::vector<std::size_t> order(blocks);
        for (std::size_t i = 0; i < blocks; ++i) order[i] = i;
        shuffle(order);
        const std::size_t at_once = std::max<std::size_t>(1, THREADS_OF_A_GROUP / threads_of_a_block());
        const std::size_t together = launch->cooperative ? blocks : at_once;
        for (std::size_t first = 0; first < blocks; first += together) {
            const std::size_t last = std::min(blocks, first + together);
            run_group(std::vector<std::size_t>(order.begin() + first, order.begin() + last));
        }
    }

    void run_group(const std::vector<std::size_t>& numbers) {
        const std::size_t size = threads_of_a_block();
        blocks_.clear();
        blocks_.resize(numbers.size());
        threads_.assign(numbers.size() * size, Thread());
        order_.clear();
        for (std::size_t b = 0; b < numbers.size(); ++b) {
            Block& block = blocks_[b];
            block.number = numbers[b];
            block.index = split(numbers[b], launch->grid);
            block.threads = &threads_[b * size];
            for (std::size_t t = 0; t < size; ++t) {
                Thread& thread = block.threads[t];
                thread.index = split(t, launch->block);
                thread.block = &block;
                thread.number = unsigned(t);
                thread.in_grid = numbers[b] * size + t;
                order_.push_back(&thread);
            }
        }
        do {
            shuffle(order_);
            for (next_ = 0; next_ < order_.size();) {
                Thread* thread = order_[next_++];
                if (thread->waits == Barrier::none && !thread->ended) resume(thread);
            }
        } while (open_barriers());
    }

    // Lets those go on for whom everybody has arrived; false when all threads have ended.
    bool open_barriers() {
        std::size_t ended = 0, at_grid = 0;
        bool opened = false;
        for (Block& block : blocks_) {
            Thread *first = block.threads, *last = first + threads_of_a_block();
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
            if (thread->waits != Barrier::warp && thread->waits != Barrier::shuffle) return false;
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
        for (; first < last; ++first) {
            first->passed.warp += first->waits == Barrier::warp;
            first->passed.block += first->waits == Barrier::block;
            first->passed.grid += first->waits == Barrier::grid;
            first->waits = Barrier::none;
        }
    }

    static Index split(std::size_t number, const unsigned size[3]) {
        return {unsigned(number % size[0]), unsigned(number / size[0] % size[1]), unsigned(number / size[0] / size[1])};
    }

    // ---------------------------------------------------------------- fibers

    void resume(Thread* thread) {
        if (!thread->fiber) thread->fiber = idle_fiber();
        current = thread;
        thread->fiber->resume();
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }

    Fiber* idle_fiber() {
        if (idle_.empty()) {
            fibers_.push_back(std::make_unique<Fiber>(&Scheduler::serve));
            return fibers_.back().get();
        }
        Fiber* fiber = idle_.back();
        idle_.pop_back();
        return fiber;
    }

    // A fiber runs its thread, then those that have not started, as long as it is their turn.
    [[noreturn]] static void serve();

    void run_threads(Fiber* me) {
        do {
            try {
                body_(body_data_);
            } catch (...) {
                error_ = std::current_exception();
            }
            current->ended = true;
        } while (!error_ && start_next(me));
        idle_.push_back(me);
    }

    bool start_next(Fiber* me) {
        if (next_ >= order_.size() || order_[next_]->fiber) return false;
        current = order_[next_++];
        current->fiber = me;
        return true;
    }

    template <class Item> void shuffle(std::vector<Item>& items) {
        if (launch->seed) std::shuffle(items.begin(), items.end(), random_);
    }

    void (*body_)(void*) = nullptr;
    void* body_data_ = nullptr;
    std::mt19937_64 random_;
    std::vector<Block> blocks_;
    std::map<std::pair<std::size_t, int>, std::unique_ptr<unsigned char[]>> shared_;
    std::vector<Thread> threads_;
    std::vector<Thread*> order_;
    std::size_t next_ = 0;  // place in `order_`
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::vector<Fiber*> idle_;
    std::exception_ptr error_;
};

Scheduler scheduler;

void Scheduler::serve() {
    Fiber* me = current->fiber;
    me->arrived();
    for (;;) {
        scheduler.run_threads(me);
        me->give_way();
    }
}

}  // namespace

bool run(const Launch& wanted, void (*body)(void*), void* data, char* report, std::size_t size) {
    try {
        scheduler.run(wanted, body, data);
    } catch (const KernelError& error) {
        std::snprintf(report, size, "%s", error.what());
        return false;
    }
    return true;
}

void wait(Barrier barrier, int line) { scheduler.wait(barrier, line); }

unsigned char* shared_memory(int declaration, std::size_t bytes) { return scheduler.shared(declaration, bytes); }

}  // namespace rs
