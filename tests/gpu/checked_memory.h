// Pointers that know what they may touch.
//
// A kernel written for the device says `const real* x`, and reads x[i] wherever i leads.  On the host its pointers are of
// the types below: each access is checked against the array that the script handed over (a view of a longer array counts as
// the view alone), and the line of the kernel is known when it was wrong.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <type_traits>

#include "threads.h"

namespace rs {

// An index with the line it stands on: the compiler fills in the line where a number is turned into a subscript.
struct Subscript {
    std::ptrdiff_t at;
    int line;

    template <class Number, class = std::enable_if_t<std::is_integral_v<Number>>>
    Subscript(Number at, int line = __builtin_LINE()) : at(static_cast<std::ptrdiff_t>(at)), line(line) {}
};

[[noreturn]] inline void fail_outside(const char* name, std::ptrdiff_t at, std::ptrdiff_t size, int line) {
    fail(line, std::string(name) + "[" + std::to_string(at) + "] is outside its " + std::to_string(size) + " elements");
}

// A pointer into an array that begins at `first` and ends before `last`.
template <class T> class Pointer {
public:
    Pointer(T* at, T* first, T* last, const char* name) : at_(at), first_(first), last_(last), name_(name) {}

    T& operator[](Subscript subscript) const {
        T* element = at_ + subscript.at;
        if (element < first_ || element >= last_) fail_outside(name_, element - first_, last_ - first_, subscript.line);
        return *element;
    }
    T& operator*() const { return (*this)[0]; }

    Pointer operator+(std::ptrdiff_t steps) const { return Pointer(at_ + steps, first_, last_, name_); }
    Pointer operator-(std::ptrdiff_t steps) const { return *this + -steps; }
    Pointer& operator+=(std::ptrdiff_t steps) { return *this = *this + steps; }
    Pointer& operator++() { return *this += 1; }
    operator Pointer<const T>() const { return Pointer<const T>(at_, first_, last_, name_); }

private:
    T *at_, *first_, *last_;
    const char* name_;
};

// A `__shared__` array of a block; T is an array type, such as float[32].
template <class T> class Shared {
public:
    Shared(T* array, const char* name) : array_(array), name_(name) {}

    decltype(auto) operator[](Subscript subscript) const {
        constexpr std::ptrdiff_t size = std::extent_v<T>;
        if (subscript.at < 0 || subscript.at >= size) fail_outside(name_, subscript.at, size, subscript.line);
        auto& element = (*array_)[subscript.at];
        if constexpr (std::rank_v<T> > 1)
            return Shared<std::remove_extent_t<T>>(&element, name_);
        else
            return static_cast<std::remove_extent_t<T>&>(element);
    }

private:
    T* array_;
    const char* name_;
};

}  // namespace rs
