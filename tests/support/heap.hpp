#pragma once

#include <cstddef>

// The heap of this program, if its file heap.cpp is one of it. With a sanitizer nothing is counted.

namespace support {

/// The bytes that are allocated now.
std::size_t heap_bytes() noexcept;

/// The most bytes that were allocated at a time since the last call of `forget_heap_peak`.
std::size_t heap_peak() noexcept;
void forget_heap_peak() noexcept;

}  // namespace support
