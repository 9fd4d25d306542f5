// Fibers: functions with a stack of their own, of which one runs at a time until it gives way.

#pragma once

#include <ucontext.h>

#include <cstddef>
#include <memory>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace rs {

constexpr std::size_t STACK_BYTES = 256 * 1024;

// A point of the program to go on from, on whichever stack that is.  swapcontext could do the same, but asks the operating
// system for the signal mask at each switch, which takes a hundred times as long as the switch.
struct Point {
    void* registers[5];
};

[[noreturn, gnu::noinline]] inline void go_to(Point& point) { __builtin_longjmp(point.registers, 1); }

[[gnu::noinline]] inline void switch_points(Point& from, Point& to) {
    if (!__builtin_setjmp(from.registers)) go_to(to);
}

// A fiber that runs `serve`, which must never return.
class Fiber {
public:
    explicit Fiber(void (*serve)()) : stack_(new char[STACK_BYTES]) {
        getcontext(&beginning_);
        beginning_.uc_stack.ss_sp = stack_.get();
        beginning_.uc_stack.ss_size = STACK_BYTES;
        makecontext(&beginning_, serve, 0);
    }

    // Lets the fiber run; returns when it gives way.
    void resume() {
        before_switch(home_stack(), stack_.get(), STACK_BYTES);
        if (begun_) {
            switch_points(home(), point_);
        } else {
            begun_ = true;
            if (!__builtin_setjmp(home().registers)) begin();
        }
        after_switch(home_stack(), nullptr, nullptr);
    }

    // Called by the fiber itself, once before anything else.
    void arrived() { after_switch(nullptr, &home_bottom_, &home_size_); }

    // Called by the fiber itself: lets whoever resumed it go on.
    void give_way() {
        before_switch(sanitizer_stack_, home_bottom_, home_size_);
        switch_points(point_, home());
        after_switch(sanitizer_stack_, &home_bottom_, &home_size_);
    }

private:
    static Point& home() {
        static Point point;
        return point;
    }
    static void*& home_stack() {
        static void* stack;
        return stack;
    }

    [[noreturn, gnu::noinline]] void begin() {
        setcontext(&beginning_);
        __builtin_unreachable();
    }

#if defined(__SANITIZE_ADDRESS__)
    // The sanitizer wants to know which stack is in use.
    static void before_switch(void*& mine, const void* bottom, std::size_t size) {
        __sanitizer_start_switch_fiber(&mine, bottom, size);
    }
    static void after_switch(void* mine, const void** bottom, std::size_t* size) {
        __sanitizer_finish_switch_fiber(mine, bottom, size);
    }
#else
    static void before_switch(void*&, const void*, std::size_t) {}
    static void after_switch(void*, const void**, std::size_t*) {}
#endif

    std::unique_ptr<char[]> stack_;
    ucontext_t beginning_;
    bool begun_ = false;
    Point point_;
    void* sanitizer_stack_ = nullptr;
    const void* home_bottom_ = nullptr;
    std::size_t home_size_ = 0;
};

}  // namespace rs
