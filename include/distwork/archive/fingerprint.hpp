#pragma once

#include <cstdint>
#include <new>
#include <type_traits>

#include "fingerprint_archive.hpp"
#include "shape.hpp"
#include "wire_archive.hpp"

namespace distwork::detail {

/// Throws std::bad_alloc where there is no memory.
template <class T>
TypeShape describe_shape() {
    try {
        FingerprintArchive archive;
        archive.describe<T>();
        return archive.result();
    } catch (const std::bad_alloc&) {
        ::operator delete(::operator new(64 * 1024));  // no new expression: a compiler may leave those out
        FingerprintArchive archive{true};
        archive.describe<T>();
        return archive.result();
    }
}

template <class T>
const TypeShape& shape_of() {
    static const TypeShape shape = [] {
        if constexpr (fingerprint_override<T> != 0) {
            return TypeShape{fingerprint_override<T>, {}, {}};
        } else {
            return describe_shape<T>();
        }
    }();
    return shape;
}

}  // namespace distwork::detail

namespace distwork {

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
    return detail::shape_of<std::remove_cvref_t<T>>().fingerprint;
}

}  // namespace distwork
