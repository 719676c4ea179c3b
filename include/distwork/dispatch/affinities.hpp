#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>
#include <utility>

#include "../base/requirements.hpp"

namespace distwork::detail {

/// Which slave had a work with which key last: see SubmitOptions::affinity. Of too many keys, the one that was not used
/// for longest is forgotten. Guarded by the container's lock.
class Affinities {
public:
    static constexpr std::size_t most_keys = 65'536;

    /// The id of the slave's socket; 0: the key is not known. A slave that left may be named.
    std::uint64_t slave_of(std::uint64_t key) const {
        const auto at = by_key_.find(key);
        return at == by_key_.end() ? 0 : at->second->second;
    }

    /// A work with this key was sent to this slave. Not remembered when memory is short.
    void note(std::uint64_t key, std::uint64_t slave) noexcept {
        try {
            remember(key, slave);
        } catch (...) {
        }
    }

private:
    void remember(std::uint64_t key, std::uint64_t slave) {
        if (const auto at = by_key_.find(key); at != by_key_.end()) {
            at->second->second = slave;
            return latest_first_.splice(latest_first_.begin(), latest_first_, at->second);
        }
        if (by_key_.size() == most_keys) {
            by_key_.erase(latest_first_.back().first);
            latest_first_.pop_back();
        }
        latest_first_.emplace_front(key, slave);
        try {
            by_key_.emplace(key, latest_first_.begin());
        } catch (...) {
            latest_first_.pop_front();
            throw;
        }
    }

    using Keys = std::list<std::pair<std::uint64_t, std::uint64_t>>;
    Keys latest_first_;
    std::unordered_map<std::uint64_t, Keys::iterator> by_key_;
};

}  // namespace distwork::detail
