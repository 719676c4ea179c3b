#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include "wire_archive.hpp"

// How the two archives treat objects behind pointers. They are charged to the memory budget, objects that are shared
// are refused, and a constructed object is destroyed when decoding fails. Included by wire_archive.hpp.

namespace distwork::detail {

/// Makes an object of T that is not decoded yet.
template <class T, std::enable_if_t<!cereal::traits::has_load_and_construct<T, WireInputArchive>::value, int> = 0>
T* new_object(WireInputArchive&) {
    return cereal::detail::Construct<T, WireInputArchive>::load_andor_construct();
}

/// Makes an object of T and decodes it with its load_and_construct. Cereal's own function for this leaks what the
/// object holds when decoding fails after the construction.
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
        wrapper.construct.ptr();  // throws if load_and_construct constructed nothing
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

/// Consumes what precedes the object behind a std::shared_ptr. The u32 is 0 (null, for which it returns false), or has
/// its highest bit set (an object follows). Any other number would refer to an earlier object, which is an error.
inline bool begins_shared(WireInputArchive& archive) {
    const auto id = archive.read_scalar<std::uint32_t>();
    if ((id & cereal::detail::msb_32bit) != 0) return true;
    if (id != 0) throw Error{Errc::malformed, "a reference to an earlier object"};
    return false;
}

// PtrWrapper is cereal's wrapper for the object behind a pointer, once its dynamic type is known.

template <class T, class Deleter>
void prologue(WireOutputArchive& archive,
              const cereal::memory_detail::PtrWrapper<const std::unique_ptr<T, Deleter>&>& wrapper) {
    if (wrapper.ptr) archive.bounds().charge(heap_cost<T>);
}
template <class T>
void prologue(WireOutputArchive& archive, const cereal::memory_detail::PtrWrapper<const std::shared_ptr<T>&>& wrapper) {
    if (wrapper.ptr) archive.bounds().charge(heap_cost<T>);
}

/// The first byte tells whether there is an object: 0 or 1.
template <class T, class Deleter>
void load(WireInputArchive& archive, cereal::memory_detail::PtrWrapper<std::unique_ptr<T, Deleter>&>& wrapper) {
    if (archive.read_scalar<bool>()) {
        load_pointee(archive, wrapper.ptr);
    } else {
        wrapper.ptr.reset();
    }
}

template <class T>
void load(WireInputArchive& archive, cereal::memory_detail::PtrWrapper<std::shared_ptr<T>&>& wrapper) {
    if (begins_shared(archive)) {
        load_pointee(archive, wrapper.ptr);
    } else {
        wrapper.ptr.reset();
    }
}

}  // namespace distwork::detail
