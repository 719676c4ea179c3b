#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <typeindex>
#include <utility>

#include "../archive/wire_archive.hpp"
#include "archive_bounds.ipp"

namespace distwork::detail {

DISTWORK_DECL std::uint32_t WireOutputArchive::note_shared(const void* object, std::type_index type,
                                                           std::shared_ptr<const void> owner) {
    if (!shared_) shared_ = std::make_unique<Shared>();
    if (!shared_->try_emplace({object, type}, std::move(owner)).second)
        throw Error{Errc::shared_pointer, "the object was encoded already through another std::shared_ptr"};
    return static_cast<std::uint32_t>(shared_->size()) | cereal::detail::msb_32bit;
}

DISTWORK_DECL void WireOutputArchive::note_open_count(std::uint64_t count) {
    if (count > bounds_.limits().max_bytes) bounds_.check_elements(count);
    counts_.add(size(), count);
    bounds_.charge_elements(count);
}

DISTWORK_DECL void WireInputArchive::take_count_beyond_bytes(std::uint64_t count) {
    if (!bounds_.elements_may_take_none()) throw_short(count);
    bounds_.add_elements(count);
}

[[noreturn]] DISTWORK_DECL void WireInputArchive::throw_short(std::uint64_t count) const {
    throw Error{Errc::malformed, std::to_string(count) + " bytes or elements announced where " +
                                     std::to_string(left()) + " bytes are left"};
}

[[noreturn]] DISTWORK_DECL void WireInputArchive::throw_left() const {
    throw Error{Errc::malformed, std::to_string(left()) + " bytes are left over"};
}

[[noreturn]] DISTWORK_DECL void WireInputArchive::throw_bool() {
    throw Error{Errc::malformed, "a bool that is neither 0 nor 1"};
}

[[noreturn]] DISTWORK_DECL void WireInputArchive::throw_hash_steps() const {
    throw Error{Errc::malformed, "an unordered container whose keys share their hashes, " +
                                     archive_option("max_hash_steps", bounds_.limits().max_hash_steps)};
}

}  // namespace distwork::detail
