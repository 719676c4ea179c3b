#pragma once

#include <concepts>
#include <memory>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "../archive/shape.hpp"
#include "../error.hpp"
#include "../types/registry.hpp"
#include "../wire/byte_buffer.hpp"
#include "../work.hpp"
#include "call.hpp"

namespace distwork::detail {

/// The arguments that are accepted as a work: an object of a work class, or an owning pointer to one.
template <class W>
concept work_argument =
    std::derived_from<std::remove_cvref_t<W>, IWork> || std::convertible_to<W, std::unique_ptr<IWork>>;

/// How a call keeps a work: as the object itself, or as a std::unique_ptr, whose object may be of a derived class. The
/// class that the pointer names decides the type of the result.
template <class W>
struct Kept {
    using type = std::unique_ptr<IWork>;
};
template <std::derived_from<IWork> Work>
struct Kept<Work> {
    using type = Work;
};
template <std::derived_from<IWork> Work>
struct Kept<std::unique_ptr<Work>> {
    using type = std::unique_ptr<Work>;
};
template <class W>
using kept_t = typename Kept<std::remove_cvref_t<W>>::type;

template <class Kept>
inline constexpr bool is_pointer = is_unique_pointer<Kept>;

/// Whether the work is kept as a std::unique_ptr<IWork>. Its class is not known at compile time, so it completes
/// without a value.
template <class Kept>
inline constexpr bool is_erased = std::same_as<Kept, std::unique_ptr<IWork>>;

/// The class of the work, as far as it is known at compile time.
template <class Kept>
struct KnownClass {
    using type = Kept;
};
template <class Work>
struct KnownClass<std::unique_ptr<Work>> {
    using type = Work;
};
template <class Kept>
using known_class_t = typename KnownClass<Kept>::type;

template <class Kept>
using kept_result_t = result_of_t<known_class_t<Kept>>;

/// Throws Error (null_work, unregistered_type, foreign_type). It is called first, so that the call itself throws,
/// before a coroutine is suspended for the outcome.
template <class W>
void require_registered(const W& work) {
    if constexpr (std::derived_from<W, IWork>) {
        static_cast<void>(work_type<W>());
    } else {
        if (!work) throw Error{Errc::null_work};
        static_cast<void>(work_type_of(typeid(*work)));
    }
}

/// Storage for the result of a call; empty for void.
template <class R>
struct Value {
    R value{};
};
template <>
struct Value<void> {};

/// The part of a call whose construction may throw: its work and its result, whose classes are the user's. It is
/// constructed before the handler is moved, so that the handler can still be called with the exception.
template <class Base, class Work, class Delivered>
class KeptWork : public Base {
protected:
    explicit KeptWork(Work&& work) : Base{type_of(work)}, work_{std::move(work)} {}

    Work work_;
    [[no_unique_address]] std::conditional_t<is_erased<Work>, ByteBuffer, Value<Delivered>> value_;

private:
    static const WorkType& type_of(const Work& work) {
        if constexpr (is_pointer<Work>) return work_type_of(typeid(*work));
        else return work_type<Work>();
    }
};

}  // namespace distwork::detail
