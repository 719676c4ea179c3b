#pragma once

#include "../base/requirements.hpp"

#include <atomic>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

namespace distwork::detail {

/// The bytes of works that one peer sent and that wait here, and, through it, of the works of all peers.
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
    /// Adds only what there is room for. One work of each peer always has room, and a 64th of what it may have, whatever
    /// others have.
    bool try_add(std::size_t bytes) noexcept {
        const std::size_t before = bytes_.fetch_add(bytes, std::memory_order_relaxed);
        const std::size_t before_of_all = all_ ? all_->bytes_.fetch_add(bytes, std::memory_order_relaxed) : 0;
        const bool all_have_too_much = all_ && before_of_all + bytes > all_->most_;
        if (before == 0 || before + bytes <= (all_have_too_much ? most_ / 64 : most_)) return true;
        remove(bytes);
        return false;
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

/// Bytes that were added, until this is destroyed.
class CountedBytes {
public:
    CountedBytes() noexcept = default;
    CountedBytes(CountedBytes&&) noexcept = default;
    CountedBytes& operator=(CountedBytes&&) = delete;
    ~CountedBytes() {
        if (in_) in_->remove(bytes_);
    }

    /// None: there is no room for them.
    static std::optional<CountedBytes> try_add(std::shared_ptr<ReceivedBytes> in, std::size_t bytes) noexcept {
        std::optional<CountedBytes> counted;
        if (in && !in->try_add(bytes)) return counted;
        counted.emplace();
        counted->in_ = std::move(in);
        counted->bytes_ = bytes;
        return counted;
    }

private:
    std::shared_ptr<ReceivedBytes> in_;  // null: nothing is counted
    std::size_t bytes_ = 0;
};

}  // namespace distwork::detail
