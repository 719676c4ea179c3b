#pragma once

#include "../base/requirements.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace distwork::detail {

/// A body of at least this many bytes passes through neither the outbox's nor the reader's buffer.
inline constexpr std::size_t large_body_bytes = 64 * 1024;

/// Large blocks that were given back, at most 16 of them and 16 MiB: the allocator would return each to the system, and
/// a body of 1 MiB then costs more page faults than copies.
///
/// *Thread-safety*: all functions.
class SpareBlocks {
public:
    static SpareBlocks& instance() {
        static SpareBlocks& spare = *new SpareBlocks;  // never destroyed: objects of static duration may use it last
        return spare;
    }

    /// Null if none fits; `bytes` is set to what it has.
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
        blocks_.push_back({std::move(block), bytes});  // there is room: see the constructor
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

/// At least `bytes` bytes, not initialized; `bytes` is set to how many. To be given to `free_bytes`.
inline std::byte* allocate_bytes(std::size_t& bytes) {
    if (bytes >= large_body_bytes)
        if (std::byte* const spare = SpareBlocks::instance().take(bytes)) return spare;
    return new std::byte[bytes];
}

inline void free_bytes(std::byte* data, std::size_t bytes) noexcept {
    if (bytes >= large_body_bytes) SpareBlocks::instance().give(data, bytes);
    else delete[] data;
}

/// A large body's own memory.
struct FreeBytes {
    std::size_t bytes = 0;
    void operator()(std::byte* data) const noexcept { free_bytes(data, bytes); }
};
using LargeBytes = std::unique_ptr<std::byte[], FreeBytes>;

/// At least `bytes` bytes, not initialized; how many is in its deleter.
inline LargeBytes make_large_bytes(std::size_t bytes) {
    std::byte* const data = allocate_bytes(bytes);
    return LargeBytes{data, FreeBytes{bytes}};
}

}  // namespace distwork::detail
