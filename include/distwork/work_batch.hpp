#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "peer.hpp"
#include "registry.hpp"

namespace distwork {

/// Works that arrived together from one peer, and the memory that their bodies lie in.
struct WorkBatch {
    struct Item {
        std::uint64_t id = 0;
        const WorkType* type = nullptr;
        std::span<const std::byte> body;
        bool dropped = false;  // cancelled before it began, and answered so
    };

    std::shared_ptr<Peer> peer;
    std::shared_ptr<const void> block;
    std::vector<Item> items;
    std::size_t next = 0;  // to be begun

    /// Copies the bodies, which lie in a read buffer, into one block of the batch's own.
    static std::shared_ptr<WorkBatch> copy(std::shared_ptr<Peer> peer, std::vector<Item> items) {
        std::size_t bytes = 0;
        for (const Item& item : items) bytes += item.body.size();
        auto block = std::make_shared_for_overwrite<std::byte[]>(bytes);
        std::byte* to = block.get();
        for (Item& item : items) {
            if (!item.body.empty()) std::memcpy(to, item.body.data(), item.body.size());
            item.body = {to, item.body.size()};
            to += item.body.size();
        }
        return std::make_shared<WorkBatch>(WorkBatch{std::move(peer), std::move(block), std::move(items)});
    }

    /// A single work whose body was read into a buffer of its own.
    static std::shared_ptr<WorkBatch> single(std::shared_ptr<Peer> peer, Item item, LargeBytes body) {
        std::shared_ptr<const std::byte[]> block{std::move(body)};
        return std::make_shared<WorkBatch>(WorkBatch{std::move(peer), std::move(block), {item}});
    }
};

}  // namespace distwork
