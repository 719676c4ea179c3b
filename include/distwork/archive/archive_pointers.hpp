#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include "wire_archive.hpp"

// How the two archives treat what pointers point to: it is charged to the budget, shared objects are refused, and what
// was constructed is destroyed where decoding ends early. Included by archive.hpp.

namespace distwork::detail {

/// The memory that an object on the heap costs.
template <class T>
inline constexpr std::size_t heap_cost = sizeof(T) + 2 * sizeof(void*);

/// A new object of T, not decoded yet.
template <class T, std::enable_if_t<!cereal::traits::has_load_and_construct<T, WireInputArchive>::value, int> = 0>
T* new_object(WireInputArchive&) {
    return cereal::detail::Construct<T, WireInputArchive>::load_andor_construct();
}

/// A new object of T, decoded by its load_and_construct. Cereal's own function for that leaks what the object holds
/// when decoding ends between its construction and the end of its bytes.
template <class T, std::enable_if_t<cereal::traits::has_load_and_construct<T, WireInputArchive>::value, int> = 0>
T* new_object(WireInputArchive& archive) {
    struct alignas(T) Storage {
        std::byte bytes[sizeof(T)];
    };
    auto storage = std::make_unique<Storage>();
    T* const object = reinterpret_cast<T*>(storage.get());
    cereal::memory_detail::LoadAndConstructLoadWrapper<WireInputArchive, T> wrapper{object};
    try {
        archive(wrapper);
        wrapper.construct.ptr();  // throws where load_and_construct constructed nothing
    } catch (...) {
        const auto exception = std::current_exception();
        try {
            wrapper.construct.ptr()->~T();
        } catch (const cereal::Exception&) {
        }
        std::rethrow_exception(exception);
    }
    storage.release();
    return object;
}

template <class Pointer>
void load_pointee(WireInputArchive& archive, Pointer& pointer) {
    using T = std::remove_const_t<typename Pointer::element_type>;
    archive.bounds().charge(heap_cost<T>);
    if constexpr (cereal::traits::has_load_and_construct<T, WireInputArchive>::value) {
        pointer = Pointer{new_object<T>(archive)};
    } else {
        std::unique_ptr<T> object{new_object<T>(archive)};
        T& loaded = *object;
        Pointer owner{object.release()};
        archive(loaded);
        pointer = std::move(owner);
    }
}

// What cereal wraps into a PtrWrapper: the object behind a pointer, after it has found out its dynamic type.

template <class T, class Deleter>
void prologue(WireOutputArchive& archive,
              const cereal::memory_detail::PtrWrapper<const std::unique_ptr<T, Deleter>&>& wrapper) {
    if (wrapper.ptr) archive.bounds().charge(heap_cost<T>);
}
template <class T>
void prologue(WireOutputArchive& archive, const cereal::memory_detail::PtrWrapper<const std::shared_ptr<T>&>& wrapper) {
    if (wrapper.ptr) archive.bounds().charge(heap_cost<T>);
}

/// A byte tells whether there is an object: 0 or 1.
template <class T, class Deleter>
void load(WireInputArchive& archive, cereal::memory_detail::PtrWrapper<std::unique_ptr<T, Deleter>&>& wrapper) {
    if (archive.read_scalar<bool>()) {
        load_pointee(archive, wrapper.ptr);
    } else {
        wrapper.ptr.reset();
    }
}

/// A number tells: 0, or one with the highest bit set. Without that bit it would refer to an object that came before.
template <class T>
void load(WireInputArchive& archive, cereal::memory_detail::PtrWrapper<std::shared_ptr<T>&>& wrapper) {
    const auto id = archive.read_scalar<std::uint32_t>();
    if ((id & cereal::detail::msb_32bit) != 0) {
        load_pointee(archive, wrapper.ptr);
    } else if (id != 0) {
        throw Error{Errc::malformed, "a reference to an object that came before"};
    } else {
        wrapper.ptr.reset();
    }
}

}  // namespace distwork::detail
