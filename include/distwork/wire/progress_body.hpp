#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include "../error.hpp"
#include "plain_fields.hpp"

namespace distwork::detail {

/// The body of a progress frame.
///
/// | bytes | field |
/// | --- | --- |
/// | 4 | millionths that are done |
/// | 2 + n | text for people, n ≤ 256 |
struct ProgressBody {
    static constexpr std::uint32_t whole = 1'000'000;

    std::uint32_t millionths = 0;
    std::string_view text{};  ///< decoded: refers to the body
};

inline std::vector<std::byte> encode(const ProgressBody& progress) {
    return PlainWriter{}.put(progress.millionths).text(progress.text).take();
}

inline std::error_code decode(std::span<const std::byte> body, ProgressBody& progress) {
    PlainReader reader{body};
    if (!reader.get(progress.millionths) || !reader.text(progress.text) || !reader.at_end())
        return Errc::protocol_violation;
    progress.millionths = std::min(progress.millionths, ProgressBody::whole);
    return {};
}

}  // namespace distwork::detail
