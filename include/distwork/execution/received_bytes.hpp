#pragma once

#include "../base/requirements.hpp"

#include <atomic>
#include <cstddef>
#include <limits>
#include <memory>
#include <utility>

namespace distwork::detail {

/// The bytes of works that one peer sent and that have not begun, and, through it, of the works of all peers.
///
/// *Thread-safety*: all functions.
class ReceivedBytes {
public:
    /// `most`: what may be here. `all`: of which this is a part; null: of none.
    explicit ReceivedBytes(std::size_t most, std::shared_ptr<ReceivedBytes> all = nullptr)
        : most_{most}, all_{std::move(all)} {}

    void add(std::size_t bytes) noexcept {
        bytes_.fetch_add(bytes, std::memory_order_relaxed);
        if (all_) all_->add(bytes);
    }
    void remove(std::size_t bytes) noexcept {
        bytes_.fetch_sub(bytes, std::memory_order_relaxed);
        if (all_) all_->remove(bytes);
    }

    /// Whether its peer is to be read no further until some of its works have begun. Never true if none of them waits:
    /// so one work of each peer always passes, and whoever is not read waits for works that begin without it.
    bool is_too_much() const noexcept {
        const std::size_t bytes = bytes_.load(std::memory_order_relaxed);
        return bytes > most_ || (bytes != 0 && all_ && all_->bytes_.load(std::memory_order_relaxed) > all_->most_);
    }

private:
    const std::size_t most_;
    const std::shared_ptr<ReceivedBytes> all_;
    std::atomic<std::size_t> bytes_{0};
};

}  // namespace distwork::detail
