#pragma once

#include <atomic>
#include <string>

#include "../error.hpp"

namespace distwork::detail {

/// A role runs once; one that never does is told of.
///
/// *Thread-safety*: all functions.
class RunOnce {
public:
    /// *Errors*: already_running, the second time.
    void begin(const std::string& role) {
        asked_ = true;
        if (begun_.exchange(true))
            throw Error::with_text(Errc::already_running, role + " was started before: a role runs once");
    }

    /// It will begin, where its coroutine does.
    void ask() noexcept { asked_ = true; }
    bool was_asked() const noexcept { return asked_; }

private:
    std::atomic<bool> asked_{false};
    std::atomic<bool> begun_{false};
};

}  // namespace distwork::detail
