#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>

#include "base/type_name.hpp"

namespace distwork {

/// How one work of a group or of a broadcast ended: with a value, or with an error.
struct AnyOutcome {
    std::size_t index = 0;              ///< its number in the group, in the order of addition; or in the broadcast
    std::uint64_t socket = 0;           ///< SocketInformation::id of the slave that it was sent to last; 0: it was not
    std::string slave;                  ///< SlaveOptions::name of that slave
    unsigned attempt = 0;               ///< how many attempts it had; 0: it was not sent
    std::chrono::nanoseconds waited{};  ///< from its submission until it was sent first; zero: it was not
    std::chrono::nanoseconds executed{};  ///< the time of its last execution, as the slave measured it; zero: unknown
    bool is_kept = false;                 ///< its value is of an earlier run, from a Journal: it was not executed now
    std::exception_ptr error;             ///< null if it succeeded

    /// The text of its error; empty if it succeeded. *Errors*: throws std::bad_alloc.
    std::string what() const { return error ? detail::what_of(error) : std::string{}; }

    /// Whether it has a value.
    explicit operator bool() const noexcept { return !error; }

protected:
    /// Throws the error, if there is one.
    void check() const {
        if (error) std::rethrow_exception(error);
    }
};

/// The outcome of a work that returns an R.
template <class R>
struct Outcome : AnyOutcome {
    R result{};  ///< what the work returned; default-constructed if it failed

    /// What the work returned. Throws the error if it failed.
    ///@{
    R& value() & {
        check();
        return result;
    }
    const R& value() const& {
        check();
        return result;
    }
    R&& value() && {
        check();
        return std::move(result);
    }
    ///@}
};

/// The outcome of a work that returns nothing.
template <>
struct Outcome<void> : AnyOutcome {
    /// Throws the error if it failed.
    void value() const { check(); }
};

}  // namespace distwork
