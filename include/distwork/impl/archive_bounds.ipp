#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "../archive/archive_bounds.hpp"
#include "../error.hpp"

namespace distwork::detail {

/// Names the option to change, at both ends.
inline std::string archive_option(const char* name, std::uint64_t value) {
    return std::string{"LinkOptions::archive."} + name + " is " + std::to_string(value);
}

DISTWORK_DECL void ArchiveBounds::check_elements(std::uint64_t count) const {
    constexpr std::uint64_t most = std::uint64_t{1} << 40;
    if (count > std::min<std::uint64_t>(limits_.max_elements, most))
        throw Error::with_text(Errc::too_large, std::to_string(count) + " elements that take no bytes, " +
                                                    archive_option("max_elements", limits_.max_elements));
}

DISTWORK_DECL void ArchiveBounds::check_name(std::uint64_t bytes) const {
    if (bytes > limits_.max_name_bytes)
        throw Error::with_text(Errc::too_large, "the name of a polymorphic type has " + std::to_string(bytes) +
                                                    " bytes, " +
                                                    archive_option("max_name_bytes", limits_.max_name_bytes));
}

[[noreturn]] DISTWORK_DECL void ArchiveBounds::too_long(std::uint64_t bytes) const {
    throw Error::with_text(Errc::too_large, "a body of " + std::to_string(bytes) +
                                                " bytes, LinkOptions::max_frame_bytes allows " +
                                                std::to_string(limits_.max_bytes));
}

[[noreturn]] DISTWORK_DECL void ArchiveBounds::too_deep() const {
    throw Error::with_text(Errc::too_large,
                           "objects nested too deep, " + archive_option("max_depth", limits_.max_depth));
}

[[noreturn]] DISTWORK_DECL void ArchiveBounds::over_budget(std::uint64_t budget) const {
    throw Error::with_text(Errc::too_large,
                           "decoding takes " + std::to_string(charged_) +
                               " bytes of memory, LinkOptions::archive.budget_base and budget_per_byte allow " +
                               std::to_string(budget));
}

}  // namespace distwork::detail
