#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

#include "../wire/large_blocks.hpp"

namespace distwork::detail {

DISTWORK_DECL SpareBlocks::SpareBlocks() {
    blocks_.reserve(most_blocks);
}

DISTWORK_DECL std::byte* SpareBlocks::take(std::size_t& bytes) {
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

DISTWORK_DECL void SpareBlocks::give(std::byte* data, std::size_t bytes) noexcept {
    std::unique_ptr<std::byte[]> block{data};
    const std::lock_guard lock{mutex_};
    if (blocks_.size() == most_blocks || bytes > most_bytes - bytes_) return;
    bytes_ += bytes;
    blocks_.push_back({std::move(block), bytes});  // does not allocate: see the constructor
}

DISTWORK_DECL std::byte* allocate_bytes(std::size_t& bytes) {
    if (bytes >= large_body_bytes)
        if (std::byte* const spare = SpareBlocks::instance().take(bytes)) return spare;
    return new std::byte[bytes];
}

DISTWORK_DECL void free_bytes(std::byte* data, std::size_t bytes) noexcept {
    if (bytes >= large_body_bytes) SpareBlocks::instance().give(data, bytes);
    else delete[] data;
}

}  // namespace distwork::detail
