#pragma once

#include "../base/requirements.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace distwork::detail {

class SessionSender;

/// The sessions whose writers were woken while this object stood on its thread's stack: they write together, later and
/// once, what would else leave in one write for each of many small causes.
///
/// Whoever made it must have all of `take()` written: a session in it waits for nobody else.
class DeferredFlushes {
public:
    DeferredFlushes() noexcept : outer_{std::exchange(current_, this)} {}
    DeferredFlushes(const DeferredFlushes&) = delete;
    DeferredFlushes& operator=(const DeferredFlushes&) = delete;
    ~DeferredFlushes() { current_ = outer_; }

    /// This thread's; null if it gathers none.
    static DeferredFlushes* current() noexcept { return current_; }

    /// False: there is no memory for it.
    bool add(std::shared_ptr<SessionSender> session) noexcept {
        try {
            sessions_.push_back(std::move(session));
            return true;
        } catch (...) {
            return false;
        }
    }

    std::vector<std::shared_ptr<SessionSender>> take() noexcept { return std::exchange(sessions_, {}); }

private:
    inline static thread_local DeferredFlushes* current_ = nullptr;

    DeferredFlushes* const outer_;
    std::vector<std::shared_ptr<SessionSender>> sessions_;
};

}  // namespace distwork::detail
