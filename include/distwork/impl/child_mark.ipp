#pragma once

#include <stdlib.h>
#include <optional>

#include "../program/child_mark.hpp"

namespace distwork::detail {

DISTWORK_DECL std::optional<ChildMark> ChildMark::take() {
    const char* const text = std::getenv(variable);
    if (!text) return std::nullopt;
    ChildMark mark{text};
    ::unsetenv(variable);
    return mark;
}

}  // namespace distwork::detail
