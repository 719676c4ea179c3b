#pragma once

#include "detail/requirements.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace distwork {

class SessionPeer;

/// The sessions whose writers were woken while this object stood on its thread's stack: they write together, later and
/// once, what would else leave in one write for each of many small causes.
///
/// Whoever made it must have all of `take()` written: a session in it waits for nobody else.
class WokenWriters {
public:
    WokenWriters() noexcept : outer_{std::exchange(current_, this)} {}
    WokenWriters(const WokenWriters&) = delete;
    WokenWriters& operator=(const WokenWriters&) = delete;
    ~WokenWriters() { current_ = outer_; }

    /// This thread's; null if it gathers none.
    static WokenWriters* current() noexcept { return current_; }

    /// False: there is no memory for it.
    bool add(std::shared_ptr<SessionPeer> session) noexcept {
        try {
            sessions_.push_back(std::move(session));
            return true;
        } catch (...) {
            return false;
        }
    }

    std::vector<std::shared_ptr<SessionPeer>> take() noexcept { return std::exchange(sessions_, {}); }

private:
    inline static thread_local WokenWriters* current_ = nullptr;

    WokenWriters* const outer_;
    std::vector<std::shared_ptr<SessionPeer>> sessions_;
};

}  // namespace distwork
