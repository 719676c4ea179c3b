#pragma once

#include <cstddef>

#include "distwork/wire/large_blocks.hpp"

namespace support {

/// Takes away what others gave back, of that size or up to twice as much; returns how much it was.
inline std::size_t drain_spare_blocks(std::size_t bytes) {
    std::size_t all = 0;
    for (std::size_t has = bytes; std::byte* const block = distwork::detail::SpareBlocks::instance().take(has);
         has = bytes) {
        all += has;
        delete[] block;
    }
    return all;
}

}  // namespace support
