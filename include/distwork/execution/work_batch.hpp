#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "../calls/peer.hpp"
#include "../types/registry.hpp"
#include "../wire/large_blocks.hpp"
#include "received_bytes.hpp"

namespace distwork::detail {

/// Works that arrived together from one peer, and the memory that holds their bodies.
struct WorkBatch {
    struct Item {
        std::uint64_t id = 0;
        const WorkType* type = nullptr;
        std::span<const std::byte> body;
        bool dropped = false;           // cancelled or recalled before it began
        bool is_chunk = false;          // the body is several works: see wire/chunk.hpp
        std::uint32_t timeout_ms = 0;   // execution timeout in milliseconds; 0: none
        std::uint64_t given_units = 0;  // of indexed resources, one bit each
    };

    std::shared_ptr<Peer> peer;
    std::span<Item> items;
    std::size_t next = 0;  // index of the next item to begin

    WorkBatch() = default;
    WorkBatch(const WorkBatch&) = delete;
    ~WorkBatch() { leave(counted_bytes_); }

    /// Counts the bodies in `bytes`, until their works have begun or the batch is destroyed.
    void count_in(std::shared_ptr<ReceivedBytes> bytes) noexcept {
        if (!bytes) return;
        for (const Item& item : items) counted_bytes_ += item.body.size();
        received_bytes_ = std::move(bytes);
        received_bytes_->add(counted_bytes_);
    }

    /// Takes the next item, which begins.
    const Item& take() noexcept {
        const Item& item = items[next++];
        if (received_bytes_) leave(item.body.size());
        return item;
    }

    /// Makes a batch of works whose bodies are in a read buffer: copies the items and their bodies into one block.
    static std::shared_ptr<WorkBatch> copy(std::shared_ptr<Peer> peer, std::span<const Item> items) {
        std::size_t bytes = items.size_bytes();
        for (const Item& item : items) bytes += item.body.size();
        auto batch = std::make_shared<WorkBatch>();
        batch->peer = std::move(peer);
        batch->block_ = make_large_bytes(bytes);
        Item* const first = reinterpret_cast<Item*>(batch->block_.get());
        std::uninitialized_copy(items.begin(), items.end(), first);
        batch->items = {first, items.size()};
        std::byte* to = batch->block_.get() + items.size_bytes();
        for (Item& item : batch->items) {
            if (!item.body.empty()) std::memcpy(to, item.body.data(), item.body.size());
            item.body = {to, item.body.size()};
            to += item.body.size();
        }
        return batch;
    }

    /// Makes a batch of a single work whose body was read into a buffer of its own.
    static std::shared_ptr<WorkBatch> single(std::shared_ptr<Peer> peer, const Item& item, LargeBytes body) {
        auto batch = std::make_shared<WorkBatch>();
        batch->peer = std::move(peer);
        batch->block_ = std::move(body);
        batch->single_ = item;
        batch->items = {&batch->single_, 1};
        return batch;
    }

private:
    void leave(std::size_t bytes) noexcept {
        counted_bytes_ -= bytes;
        if (received_bytes_) received_bytes_->remove(bytes);
    }

    std::shared_ptr<ReceivedBytes> received_bytes_;  // may be null
    std::size_t counted_bytes_ = 0;
    LargeBytes block_;  // the items first: memory of new[] is aligned for them
    Item single_;
};

static_assert(std::is_trivially_destructible_v<WorkBatch::Item>);

}  // namespace distwork::detail
