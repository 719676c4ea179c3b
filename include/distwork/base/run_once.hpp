#pragma once

#include <atomic>
#include <string>

#include "../error.hpp"

namespace distwork::detail {

/// Ensures that a role runs only once, and tells whether it was ever asked to run.
///
/// *Thread-safety*: all functions.
class RunOnce {
public:
    /// *Errors*: throws Error (already_running) at the second call.
    void begin(const std::string& role) {
        asked_ = true;
        if (begun_.exchange(true))
            throw Error::with_text(Errc::already_running, role + " was started before: a role runs once");
    }

    /// Notes that the role is to run. `begin` is called later, in the role's coroutine.
    void ask() noexcept { asked_ = true; }
    bool was_asked() const noexcept { return asked_; }

private:
    std::atomic<bool> asked_{false};
    std::atomic<bool> begun_{false};
};

}  // namespace distwork::detail
