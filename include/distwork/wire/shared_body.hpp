#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "../base/requirements.hpp"

namespace distwork::detail {

/// A body that is shared by its submission and by the outboxes that send it.
struct SharedBody {
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner;
};

}  // namespace distwork::detail
