#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "../link/session.hpp"

namespace distwork::detail {

/// The sessions of a master, each until it has ended; also those of peers that have not introduced themselves yet.
///
/// *Thread-safety*: all functions.
template <class Transport>
class SessionSet {
public:
    using SessionPtr = std::shared_ptr<Session<Transport>>;

    /// False: `take` was called.
    bool add(const SessionPtr& session) {
        const std::lock_guard lock{mutex_};
        if (ended_) return false;
        session->index = sessions_.size();
        sessions_.push_back(session);
        return true;
    }

    void remove(const Session<Transport>& session) {
        const std::lock_guard lock{mutex_};
        const std::size_t index = session.index;
        if (index >= sessions_.size() || sessions_[index].get() != &session) return;
        sessions_[index] = std::move(sessions_.back());
        sessions_[index]->index = index;
        sessions_.pop_back();
    }

    std::vector<SessionPtr> all() const {
        const std::lock_guard lock{mutex_};
        return sessions_;
    }

    /// Removes and returns all sessions. From now on none is added.
    std::vector<SessionPtr> take() {
        const std::lock_guard lock{mutex_};
        ended_ = true;
        return std::exchange(sessions_, {});
    }

private:
    mutable std::mutex mutex_;
    // guarded by mutex_
    std::vector<SessionPtr> sessions_;
    bool ended_ = false;
};

}  // namespace distwork::detail
