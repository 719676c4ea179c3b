#pragma once

#include "../base/requirements.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace distwork::detail {

/// The parts of a text between its commas, without the empty ones.
inline std::vector<std::string> comma_list(const std::string& text) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        if (end != at) parts.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

}  // namespace distwork::detail
