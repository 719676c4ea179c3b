#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <distwork.hpp>
#include <exception>
#include <string>
#include <utility>

#include "support/catch.hpp"

namespace support {

/// Whether a call ended as it may when slaves are lost under it: only what may be begun but once is lost with them.
inline bool settled_well(const std::exception_ptr& error, const distwork::SubmitOptions& options) {
    if (!error) return true;
    try {
        std::rethrow_exception(error);
    } catch (const distwork::Error& failure) {
        return failure.code() == distwork::Errc::lost && options.max_attempts() == 1;
    } catch (...) {
        return false;
    }
}

/// How calls ended: each once, and those that gave a value gave the right one.
///
/// Not movable: the handlers of its calls refer to it. One thread.
class Tally {
public:
    Tally() = default;
    Tally(const Tally&) = delete;
    Tally& operator=(const Tally&) = delete;

    template <class Master, class Work, class Value>
    void call(Master& master, Work work, Value expected, distwork::SubmitOptions options = {}) {
        completions_.push_back(0);
        auto note = [this, &count = completions_.back(), expected = std::move(expected), options](
                        const std::exception_ptr& error, const Value& value) {
            if (++count > 1) ++again_;
            else ++ended_;
            if (!error) ++(value == expected ? right_ : wrong_);
            else if (settled_well(error, options)) ++lost_;
            else if (failed_++ == 0) first_failure_ = distwork::detail::describe(error).text;
        };
        master.async_call(std::move(work), options, std::move(note));
    }

    std::size_t begun() const noexcept { return completions_.size(); }
    std::size_t pending() const noexcept { return begun() - ended_; }
    std::size_t right() const noexcept { return right_; }
    std::size_t lost() const noexcept { return lost_; }

    /// To be called when the master has ended: nothing completes any more.
    void check() const {
        CHECK(pending() == 0);
        CHECK(again_ == 0);
        CHECK(wrong_ == 0);
        CHECK(failed_ == 0);
        CHECK(first_failure_ == "");
        CHECK(right_ + lost_ == begun());
    }

private:
    std::deque<int> completions_;  // of each call
    std::size_t ended_ = 0;
    std::size_t again_ = 0;
    std::size_t right_ = 0;
    std::size_t wrong_ = 0;
    std::size_t lost_ = 0;
    std::size_t failed_ = 0;
    std::string first_failure_;
};

}  // namespace support
