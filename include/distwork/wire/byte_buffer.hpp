#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <span>

#include "large_blocks.hpp"

namespace distwork::detail {

/// A buffer that grows at the end. The body of one frame is encoded into it.
///
/// Small bodies are stored in the object itself, so that a typical work needs no allocation. New bytes are not zeroed.
/// The class is move-only; a buffer that was moved from is empty.
class ByteBuffer {
public:
    /// The bytes that fit without an allocation. With this number the object has the size of two cache lines.
    static constexpr std::size_t inline_bytes = 104;

    ByteBuffer() noexcept = default;
    ByteBuffer(ByteBuffer&& other) noexcept { take(other); }
    ByteBuffer& operator=(ByteBuffer&& other) noexcept {
        if (this == &other) return *this;
        release();
        take(other);
        return *this;
    }
    ~ByteBuffer() { release(); }

    /// Makes room for `count` more bytes, and returns their address; the caller writes them. *Lifetime*: the pointer is
    /// valid until a call makes the buffer grow, or the buffer is moved.
    std::byte* extend(std::size_t count) {
        if (count > capacity_ - size_) [[unlikely]]
            grow(count);
        std::byte* const to = data_ + size_;
        size_ += count;
        return to;
    }

    void append(const void* from, std::size_t count) {
        if (count != 0) std::memcpy(extend(count), from, count);
    }

    std::byte* data() noexcept { return data_; }
    const std::byte* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    std::size_t capacity() const noexcept { return capacity_; }
    bool empty() const noexcept { return size_ == 0; }
    std::span<const std::byte> view() const noexcept { return {data_, size_}; }

    /// Empties the buffer, and keeps its memory.
    void clear() noexcept { size_ = 0; }

    /// Keeps the first `size` bytes and the memory. `size` must not exceed size().
    void truncate(std::size_t size) noexcept { size_ = size; }

    void reserve(std::size_t capacity) {
        if (capacity > capacity_) reallocate(capacity);
    }

private:
    // A large body is appended as a count, its bytes, and little more. With this slack that does not double the
    // capacity.
    static constexpr std::size_t slack = 64;

    void grow(std::size_t count) {
        if (count > static_cast<std::size_t>(-1) / 4 - size_) throw std::bad_alloc{};
        reallocate(std::max(capacity_ * 2, size_ + count + slack));
    }

    void reallocate(std::size_t capacity) {
        std::byte* const grown = allocate_bytes(capacity);
        std::memcpy(grown, data_, size_);
        release();
        data_ = grown;
        capacity_ = capacity;
    }

    void take(ByteBuffer& other) noexcept {
        size_ = other.size_;
        capacity_ = other.capacity_;
        if (other.data_ == other.inline_) {
            data_ = inline_;
            std::memcpy(inline_, other.inline_, size_);
        } else {
            data_ = other.data_;
        }
        other.data_ = other.inline_;
        other.size_ = 0;
        other.capacity_ = inline_bytes;
    }

    void release() noexcept {
        if (data_ != inline_) free_bytes(data_, capacity_);
    }

    std::byte* data_ = inline_;
    std::size_t size_ = 0;
    std::size_t capacity_ = inline_bytes;
    std::byte inline_[inline_bytes];  // not initialized: the caller of extend writes
};

}  // namespace distwork::detail
