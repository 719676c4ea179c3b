#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "../base/separate.hpp"

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
    std::byte* take(std::size_t& bytes);
    void give(std::byte* data, std::size_t bytes) noexcept;

private:
    struct Block {
        std::unique_ptr<std::byte[]> data;
        std::size_t bytes;
    };
    static constexpr std::size_t most_blocks = 16;
    static constexpr std::size_t most_bytes = 16 * 1024 * 1024;

    SpareBlocks();

    std::mutex mutex_;
    // guarded by mutex_
    std::vector<Block> blocks_;
    std::size_t bytes_ = 0;
};

/// At least `bytes` bytes, not initialized. Sets `bytes` to their number. Free them with `free_bytes`.
DISTWORK_DECL std::byte* allocate_bytes(std::size_t& bytes);

DISTWORK_DECL void free_bytes(std::byte* data, std::size_t bytes) noexcept;

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

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/large_blocks.ipp"
#endif
