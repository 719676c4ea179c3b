#pragma once

#include <cstddef>

#include "base/requirements.hpp"

namespace distwork {

/// What one body may cost the process that decodes it. The encoding side checks the same bounds, so that the sender
/// gets the error; both ends should have the same. Roles take them as LinkOptions::archive.
struct ArchiveLimits {
    std::size_t max_bytes = 64 * 1024 * 1024;  ///< of the encoded body; of a role LinkOptions::max_frame_bytes instead
    std::size_t max_name_bytes = 256;          ///< of the name of a polymorphic type
    std::size_t max_depth = 256;               ///< nesting of the users' own types: each level takes stack
    std::size_t budget_base = 64 * 1024 * 1024;  ///< bytes of memory that any body may allocate,
    std::size_t budget_per_byte = 16;            ///< and for each byte of it so many more
    /// of containers whose count exceeds the bytes that follow it, as only elements that take none allow; below 2^40
    std::size_t max_elements = 1024 * 1024;
};

}  // namespace distwork
