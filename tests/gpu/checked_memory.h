// Memory that knows who may touch it.
//
// A kernel written for the device says `const real* x`, and reads x[i] wherever i leads.  On the host its pointers are of
// the types below: each access is checked against the array that the script handed over (a view of a longer array counts as
// the view alone), and against what other threads do to the same element.  The line of the kernel is known when it was wrong.

#pragma once

#include <cstddef>
#include <type_traits>

#include "threads.h"

namespace rs {

// An index with the line it stands on: the compiler fills in the line where a number is turned into a subscript.
struct Subscript {
    std::ptrdiff_t at;
    int line;

    template <class Number, class = std::enable_if_t<std::is_convertible_v<Number, std::ptrdiff_t>>>
    Subscript(Number at, int line = __builtin_LINE()) : at(static_cast<std::ptrdiff_t>(at)), line(line) {}
};

// An array that begins at `first` and ends before `last`.
template <class T> struct Range {
    T *first, *last;
    Name name;
};

// A pointer into an array.
template <class T> class Pointer {
public:
    Pointer(T* at, const Range<T>& array) : at_(at), array_(array) {}

    // The number that lies there: x[i] where it is read.
    std::remove_const_t<T> operator[](Subscript subscript) const {
        T* element = place(subscript);
        note_read(element, array_.name, element - array_.first, subscript.line);
        return *element;
    }
    // The place: x[i] where something is assigned to it.
    T& written(Subscript subscript) const {
        T* element = place(subscript);
        note_write(element, array_.name, element - array_.first, subscript.line);
        return *element;
    }

    Pointer operator+(std::ptrdiff_t steps) const { return Pointer(at_ + steps, array_); }
    Pointer operator-(std::ptrdiff_t steps) const { return *this + -steps; }
    Pointer& operator+=(std::ptrdiff_t steps) { return *this = *this + steps; }
    operator Pointer<const T>() const { return Pointer<const T>(at_, {array_.first, array_.last, array_.name}); }

private:
    T* place(Subscript subscript) const {
        T* element = at_ + subscript.at;
        if (element < array_.first || element >= array_.last)
            fail_outside(array_.name, element - array_.first, array_.last - array_.first, subscript.line);
        return element;
    }

    T* at_;
    Range<T> array_;
};

// A `__shared__` array of a block; T is an array type, such as float[32] or float[8][33].
template <class T> class Shared {
    using Inner = std::remove_extent_t<T>;

public:
    Shared(T* array, const Name& name) : array_(array), name_(name) {}

    auto operator[](Subscript subscript) const {
        Inner& element = place(subscript);
        if constexpr (std::rank_v<T> > 1) {
            return Shared<Inner>(&element, name_);
        } else {
            note_read(&element, name_, subscript.at, subscript.line);
            return element;
        }
    }
    Inner& written(Subscript subscript) const {
        Inner& element = place(subscript);
        note_write(&element, name_, subscript.at, subscript.line);
        return element;
    }

private:
    Inner& place(Subscript subscript) const {
        constexpr std::ptrdiff_t size = std::extent_v<T>;
        if (subscript.at < 0 || subscript.at >= size) fail_outside(name_, subscript.at, size, subscript.line);
        return (*array_)[subscript.at];
    }

    T* array_;
    Name name_;
};

// `x[i] = ...` as cuda_source.py writes it; an array that a thread has for itself is nobody else's concern.
template <class Array> auto& write(const Array& array, Subscript subscript) { return array.written(subscript); }
template <class T, std::size_t SIZE> T& write(T (&array)[SIZE], Subscript subscript) {
    if (std::size_t(subscript.at) >= SIZE) fail_outside({"a local array"}, subscript.at, SIZE, subscript.line);
    return array[subscript.at];
}

}  // namespace rs
