#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "../base/requirements.hpp"

namespace distwork::detail {

/// A body that several may hold: the submission it belongs to, and the outboxes it leaves through.
struct SharedBody {
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner;
};

}  // namespace distwork::detail
