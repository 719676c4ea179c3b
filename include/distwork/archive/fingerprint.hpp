#pragma once

#include <cstdint>
#include <type_traits>

#include "../base/separate.hpp"
#include "fingerprint_archive.hpp"
#include "shape.hpp"
#include "wire_archive.hpp"

namespace distwork::detail {

/// Computes the shape of the type that `describe` describes. Throws std::bad_alloc when memory is short.
///
/// The first std::bad_alloc may come from a class that asks for far too much memory when it reads zeros. The second try
/// tells: if 64 KiB can be allocated, a class that throws std::bad_alloc again is opaque.
DISTWORK_DECL TypeShape describe_shape(void (*describe)(FingerprintArchive& archive));

template <class T>
const TypeShape& shape_of() {
    if constexpr (fingerprint_override<T> != 0) {
        static const TypeShape shape{fingerprint_override<T>, {}, {}};
        return shape;
    } else {
        static const TypeShape shape = describe_shape([](FingerprintArchive& archive) { archive.describe<T>(); });
        return shape;
    }
}

}  // namespace distwork::detail

namespace distwork {

/// A hash of the serialized shape of T. It is equal wherever T serializes in the same way, whichever compiler was used.
///
/// - The hash follows types, not values: the elements of an empty container count.
/// - A class is described by running its own `serialize` or `load` on a default-constructed object, or its
///   `load_and_construct`. The archive gives it zeros, empty containers, null pointers and the current class version.
/// - The order, number and types of the values that it reads count, and class versions. Names do not.
/// - What only data decides is not seen. A class that branches on its members is described by the branch for zeros; if
///   its function throws, by what it had read before.
/// - Classes that cannot be constructed are opaque: all of them have the same shape.
/// - Objects behind pointers to polymorphic classes are not part of the hash. Peers compare their classes by name.
///
/// *Thread-safety*: safe from any thread. The hash is computed once.
template <class T>
std::uint64_t fingerprint() {
    return detail::shape_of<std::remove_cvref_t<T>>().fingerprint;
}

}  // namespace distwork

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/fingerprint.ipp"
#endif
