#pragma once

#include <string_view>
#include <type_traits>
#include <utility>

#include "../error.hpp"
#include "../log.hpp"

namespace distwork::detail {

/// The log of a role; it may be empty.
///
/// *Thread-safety*: all functions.
class RoleLog {
public:
    explicit RoleLog(Log log) : log_{std::move(log)} {}

    void operator()(LogLevel level, std::string_view line) const {
        if (log_) log_(level, line);
    }

    /// `text()` returns the line. On allocation failure only the line is lost.
    template <class Text>
    requires std::is_invocable_v<Text>
    void operator()(LogLevel level, Text text) const noexcept {
        static_cast<void>(exception_of([&] { (*this)(level, std::string_view{text()}); }));
    }

private:
    const Log log_;
};

}  // namespace distwork::detail
