#pragma once

#include <asio/experimental/awaitable_operators.hpp>
#include <cstdint>
#include <distwork.hpp>
#include <exception>
#include <utility>

namespace storm {

/// A work that has two smaller ones distributed and waits for them, one after the other or both at once.
class Tree : public distwork::CoroutineWork<std::uint64_t> {
public:
    Tree() = default;
    Tree(std::uint32_t depth, bool at_once, bool forgets) : depth_{depth}, at_once_{at_once}, forgets_{forgets} {}

    static std::uint64_t leaves(std::uint32_t depth) { return depth == 0 ? 1 : 2 * leaves(depth - 1); }

    asio::awaitable<std::uint64_t> execute_work(distwork::Context& peer) override {
        if (depth_ == 0) co_return 1;
        const Tree child{depth_ - 1, at_once_, forgets_};
        // One that nobody waits for ends with its parent.
        if (forgets_) peer.async_submit(child, [](const std::exception_ptr&, std::uint64_t) {});
        if (!at_once_) {
            const std::uint64_t first = co_await peer.async_submit(child);
            co_return first + co_await peer.async_submit(child);
        }
        using namespace asio::experimental::awaitable_operators;
        auto first = peer.async_submit(child);
        auto second = peer.async_submit(child);
        auto both = std::move(first) && std::move(second);
        const auto [one, other] = co_await std::move(both);
        co_return one + other;
    }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(depth_, at_once_, forgets_);
    }

private:
    std::uint32_t depth_ = 0;
    bool at_once_ = false;
    bool forgets_ = false;
};

}  // namespace storm

DISTWORK_REGISTER_WORK(storm::Tree)
