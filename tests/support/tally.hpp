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

/// Whether a call ended as it may when slaves are lost under it: with so many attempts at most it may be lost with them.
inline bool settled_well(const std::exception_ptr& error, const distwork::SubmitOptions& options,
                         unsigned attempts_of_lost = 1) {
    if (!error) return true;
    try {
        std::rethrow_exception(error);
    } catch (const distwork::Error& failure) {
        return failure.code() == distwork::Errc::lost && options.max_attempts() <= attempts_of_lost;
    } catch (...) {
        return false;
    }
}

/// How calls ended: each once, and those that gave a value gave the right one.
///
/// Not movable: the handlers of its calls refer to it. One thread.
class Tally {
public:
    /// Works that may be begun so often at most may be lost.
    explicit Tally(unsigned attempts_of_lost = 1) : attempts_of_lost_{attempts_of_lost} {}
    Tally(const Tally&) = delete;
    Tally& operator=(const Tally&) = delete;

    template <class Master, class Work, class Value>
    void call(Master& master, Work work, Value expected, distwork::SubmitOptions options = {}) {
        calls_.emplace_back();
        auto note = [this, &ended = calls_.back(), expected = std::move(expected), options](
                        const std::exception_ptr& error, const Value& value) {
            if (++ended.completions > 1) ++again_;
            else ++ended_;
            ended.succeeded = !error;
            if (!error) ++(value == expected ? right_ : wrong_);
            else if (settled_well(error, options, attempts_of_lost_)) ++lost_;
            else if (failed_++ == 0) first_failure_ = distwork::detail::describe(error).text;
        };
        master.async_call(std::move(work), options, std::move(note));
    }

    std::size_t begun() const noexcept { return calls_.size(); }
    std::size_t pending() const noexcept { return begun() - ended_; }
    std::size_t right() const noexcept { return right_; }
    std::size_t lost() const noexcept { return lost_; }
    /// Of the calls by their order.
    bool succeeded(std::size_t i) const { return calls_.at(i).succeeded; }

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
    struct Ended {
        int completions = 0;
        bool succeeded = false;
    };

    const unsigned attempts_of_lost_;
    std::deque<Ended> calls_;
    std::size_t ended_ = 0;
    std::size_t again_ = 0;
    std::size_t right_ = 0;
    std::size_t wrong_ = 0;
    std::size_t lost_ = 0;
    std::size_t failed_ = 0;
    std::string first_failure_;
};

}  // namespace support
