#pragma once

#include "../base/requirements.hpp"

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../base/amounts.hpp"
#include "../base/separate.hpp"
#include "../process_limits.hpp"

namespace distwork::detail {

/// What tells a process that it was started as a slave of its parent: an environment variable, which is erased when it
/// is read. The descriptors stand at fixed numbers.
struct ChildMark {
    static constexpr const char* variable = "DISTWORK_CHILD";
    static constexpr int socket = 3;        ///< its end of the connection to its master
    static constexpr int parent_lives = 4;  ///< the reading end of a pipe that nobody writes; its end is the parent's

    ProcessLimits limits{};
    Amounts amounts{};                   ///< names without commas
    std::vector<std::string> indexed{};  ///< likewise
    std::vector<std::string> labels{};   ///< likewise

    /// `DISTWORK_CHILD=`, then the limits, two numbers of amounts, the amounts and the labels, separated by commas.
    std::string text() const;

    /// The mark of this process; none if it was not started as a slave. The variable is gone afterwards.
    static std::optional<ChildMark> take();
    /// Whether this process has a mark that was not taken.
    static bool is_there() noexcept { return std::getenv(variable) != nullptr; }
};

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/child_mark.ipp"
#endif
