#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include "wire_archive.hpp"

// How the two archives treat values that are contiguous bytes in memory: arrays of scalars, and cereal::binary_data.
// Included by wire_archive.hpp.

namespace distwork::detail {

/// The element type of a BinaryData<T>. T is a pointer, or a reference to an array.
template <class T>
using BinaryElement = std::remove_cv_t<std::remove_all_extents_t<std::remove_pointer_t<std::remove_reference_t<T>>>>;

/// Whether objects of type T are copied to and from the wire without conversion.
template <class T>
inline constexpr bool is_copied_whole = !std::is_arithmetic_v<T> || (is_wire_image<T> && !std::is_same_v<T, bool>);

// Arrays of scalars, and cereal::binary_data.
template <class T>
void save(WireOutputArchive& archive, const cereal::BinaryData<T>& binary) {
    using Element = BinaryElement<T>;
    if constexpr (is_copied_whole<Element>) {
        archive.write(binary.data, static_cast<std::size_t>(binary.size));
    } else {
        const std::span elements{static_cast<const Element*>(binary.data),
                                 static_cast<std::size_t>(binary.size) / sizeof(Element)};
        for (const Element& element : elements) save(archive, element);
    }
}
template <class T>
void load(WireInputArchive& archive, cereal::BinaryData<T>& binary) {
    using Element = BinaryElement<T>;
    if constexpr (is_copied_whole<Element>) {
        archive.read(binary.data, static_cast<std::size_t>(binary.size));
    } else {
        const std::span elements{static_cast<Element*>(binary.data),
                                 static_cast<std::size_t>(binary.size) / sizeof(Element)};
        for (Element& element : elements) load(archive, element);
    }
}

// For cereal, std::byte is an ordinary enum: without these functions its arrays would be copied byte by byte.
template <class Allocator>
void save(WireOutputArchive& archive, const std::vector<std::byte, Allocator>& bytes) {
    archive(cereal::make_size_tag(static_cast<cereal::size_type>(bytes.size())));
    archive.write(bytes.data(), bytes.size());
}
template <class Allocator>
void load(WireInputArchive& archive, std::vector<std::byte, Allocator>& bytes) {
    cereal::size_type size;
    archive(cereal::make_size_tag(size));
    const std::byte* const from = archive.take(size);
    bytes.assign(from, from + size);
}
template <std::size_t N>
void save(WireOutputArchive& archive, const std::array<std::byte, N>& bytes) {
    archive.write(bytes.data(), N);
}
template <std::size_t N>
void load(WireInputArchive& archive, std::array<std::byte, N>& bytes) {
    archive.read(bytes.data(), N);
}

// For an empty std::array, cereal would copy sizeof bytes, which is not 0, from an invalid address.
template <class T>
requires std::is_arithmetic_v<T>
void save(WireOutputArchive&, const std::array<T, 0>&) {}
template <class T>
requires std::is_arithmetic_v<T>
void load(WireInputArchive&, std::array<T, 0>&) {}

}  // namespace distwork::detail
