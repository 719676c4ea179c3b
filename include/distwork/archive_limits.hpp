#pragma once

#include <cstddef>

#include "base/requirements.hpp"

namespace distwork {

/// Limits on what decoding one body may cost. The sender checks the same limits, so that the sender gets the error: set
/// them equally at both ends. Roles take them as LinkOptions::archive. Values out of range throw Errc::bad_option from
/// the role's constructor.
struct ArchiveLimits {
    std::size_t max_bytes = 64 * 1024 * 1024;    ///< bytes of the encoded body. Leave the default in a role:
                                                 ///< LinkOptions::max_frame_bytes applies
    std::size_t max_name_bytes = 256;            ///< bytes of the name of a polymorphic type; any value
    std::size_t max_depth = 256;                 ///< levels of nested user types, each of which takes stack; positive
    std::size_t budget_base = 64 * 1024 * 1024;  ///< bytes that decoding may allocate for any body; any value
    std::size_t budget_per_byte = 16;            ///< and for each byte of the body so many bytes more; any value
    /// elements that take no bytes in the body, such as objects of empty classes; more than 2^40 counts as 2^40
    std::size_t max_elements = 1024 * 1024;
    /// other keys that a key of an unordered container is compared with when it is decoded, in the mean; beyond it, the
    /// body is malformed: it was made so that decoding takes long, or the hash is poor. Checked by the receiver; any
    /// value
    std::size_t max_hash_steps = 64;
};

}  // namespace distwork
