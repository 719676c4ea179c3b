#pragma once

#include "../base/requirements.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace distwork::detail {

/// A body of at least this many bytes is not copied into the buffer of the outbox or of the reader.
inline constexpr std::size_t large_body_bytes = 64 * 1024;

/// Caches freed large blocks, at most 16 blocks and 16 MiB. The allocator would return each block to the system, and a
/// body of 1 MiB would then cost more page faults than copies.
///
/// *Thread-safety*: all functions.
class SpareBlocks {
public:
    static SpareBlocks& instance() {
        static SpareBlocks& spare = *new SpareBlocks;  // never destroyed: static objects may use it at exit
        return spare;
    }

    /// A block of at least `bytes` bytes, or null if none fits. Sets `bytes` to its size.
    std::byte* take(std::size_t& bytes) {
        const std::lock_guard lock{mutex_};
        const auto fits = [bytes](const Block& block) { return block.bytes >= bytes && block.bytes / 2 <= bytes; };
        const auto found = std::find_if(blocks_.begin(), blocks_.end(), fits);
        if (found == blocks_.end()) return nullptr;
        std::byte* const data = found->data.release();
        bytes = found->bytes;
        bytes_ -= bytes;
        *found = std::move(blocks_.back());
        blocks_.pop_back();
        return data;
    }

    void give(std::byte* data, std::size_t bytes) noexcept {
        std::unique_ptr<std::byte[]> block{data};
        const std::lock_guard lock{mutex_};
        if (blocks_.size() == most_blocks || bytes > most_bytes - bytes_) return;
        bytes_ += bytes;
        blocks_.push_back({std::move(block), bytes});  // does not allocate: see the constructor
    }

private:
    struct Block {
        std::unique_ptr<std::byte[]> data;
        std::size_t bytes;
    };
    static constexpr std::size_t most_blocks = 16;
    static constexpr std::size_t most_bytes = 16 * 1024 * 1024;

    SpareBlocks() { blocks_.reserve(most_blocks); }

    std::mutex mutex_;
    // guarded by mutex_
    std::vector<Block> blocks_;
    std::size_t bytes_ = 0;
};

/// At least `bytes` bytes, not initialized. Sets `bytes` to their number. Free them with `free_bytes`.
inline std::byte* allocate_bytes(std::size_t& bytes) {
    if (bytes >= large_body_bytes)
        if (std::byte* const spare = SpareBlocks::instance().take(bytes)) return spare;
    return new std::byte[bytes];
}

inline void free_bytes(std::byte* data, std::size_t bytes) noexcept {
    if (bytes >= large_body_bytes) SpareBlocks::instance().give(data, bytes);
    else delete[] data;
}

/// Deletes the memory of a large body.
struct FreeBytes {
    std::size_t bytes = 0;
    void operator()(std::byte* data) const noexcept { free_bytes(data, bytes); }
};
using LargeBytes = std::unique_ptr<std::byte[], FreeBytes>;

/// At least `bytes` bytes, not initialized. Their number is in the deleter.
inline LargeBytes make_large_bytes(std::size_t bytes) {
    std::byte* const data = allocate_bytes(bytes);
    return LargeBytes{data, FreeBytes{bytes}};
}

}  // namespace distwork::detail
