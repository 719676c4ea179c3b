#pragma once

#include "../base/requirements.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace distwork::detail {

class SessionSender;

/// Gathers the sessions whose writers are woken by this thread while this object exists on its stack. Each of them then
/// writes once, instead of once for each of many small causes.
///
/// Its owner must have all sessions of `take()` written: no one else wakes their writers.
class DeferredFlushes {
public:
    DeferredFlushes() noexcept : outer_{std::exchange(current_, this)} {}
    DeferredFlushes(const DeferredFlushes&) = delete;
    DeferredFlushes& operator=(const DeferredFlushes&) = delete;
    ~DeferredFlushes() { current_ = outer_; }

    /// The innermost object of this thread; null if there is none.
    static DeferredFlushes* current() noexcept { return current_; }

    /// False: allocation failure; the session was not added.
    bool add(std::shared_ptr<SessionSender> session) noexcept {
        try {
            sessions_.push_back(std::move(session));
            return true;
        } catch (...) {
            return false;
        }
    }

    /// Removes and returns all gathered sessions.
    std::vector<std::shared_ptr<SessionSender>> take() noexcept { return std::exchange(sessions_, {}); }

private:
    inline static thread_local DeferredFlushes* current_ = nullptr;

    DeferredFlushes* const outer_;
    std::vector<std::shared_ptr<SessionSender>> sessions_;
};

}  // namespace distwork::detail
