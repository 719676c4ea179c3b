#pragma once

#include <cstdint>
#include <type_traits>

#include "archive.hpp"
#include "detail/fingerprint_archive.hpp"
#include "detail/shape.hpp"

namespace distwork {

template <class T>
const TypeShape& shape_of() {
    static const TypeShape shape = [] {
        if constexpr (fingerprint_override<T> != 0) {
            return TypeShape{fingerprint_override<T>, {}, {}};
        } else {
            detail::FingerprintArchive archive;
            archive.describe<T>();
            return archive.result();
        }
    }();
    return shape;
}

/// A hash of T's serialized shape, equal wherever T serializes alike, whichever compiler built it.
///
/// Types are followed, not values: the elements of an empty container count. A class is described by running its own
/// serialize, or load, on a default-constructed object, with an archive that reads zeros, empty containers, null
/// pointers and the current class version; one with a load_and_construct by that. Order, number and types of what it
/// takes from the archive count, and class versions; names do not. What only data decides is not seen: a class that
/// branches on its members is described by the branch that zeros take, and by what it read until then where that throws.
/// Opaque, all alike, are classes that cannot be constructed. What is behind pointers to polymorphic classes is not part
/// of the hash: peers compare those by name.
///
/// *Thread-safety*: yes; computed once.
template <class T>
std::uint64_t fingerprint() {
    return shape_of<std::remove_cvref_t<T>>().fingerprint;
}

}  // namespace distwork
