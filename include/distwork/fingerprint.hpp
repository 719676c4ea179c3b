#pragma once

#include <cstdint>
#include <type_traits>

#include "detail/fingerprint_archive.hpp"

namespace distwork {

/// A hash of T's serialized shape, equal wherever T serializes alike, whichever compiler built it.
///
/// Types are followed, not values: the elements of an empty container count. A class is described by running its own
/// serialize, or save, on a default-constructed object. Order, number and types of what it gives to the archive count,
/// and class versions; names do not. What only data decides is not seen: a class that branches on its members is
/// described by the branch that a default-constructed object takes, and is opaque where that throws. Opaque too, all
/// alike, are classes that are not default-constructible and those behind pointers to polymorphic classes.
///
/// *Thread-safety*: yes; computed once.
template <class T>
std::uint64_t fingerprint() {
    using Plain = std::remove_cvref_t<T>;
    if constexpr (fingerprint_override<Plain> != 0) {
        return fingerprint_override<Plain>;
    } else {
        static const std::uint64_t value = [] {
            detail::FingerprintArchive archive;
            archive.describe<Plain>();
            return archive.result();
        }();
        return value;
    }
}

}  // namespace distwork
