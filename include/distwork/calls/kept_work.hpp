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

/// What is taken where a work is taken: an object of a work class, or an owning pointer to one.
template <class W>
concept work_argument =
    std::derived_from<std::remove_cvref_t<W>, IWork> || std::convertible_to<W, std::unique_ptr<IWork>>;

/// What it is kept as in a call: the object itself, or a pointer to one whose class may be a derived one; of what class
/// is known at least decides what value comes back.
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

/// A pointer to a work whose class only it knows: it completes without a value.
template <class Kept>
inline constexpr bool is_erased = std::same_as<Kept, std::unique_ptr<IWork>>;

/// The class of what is kept, as far as it is known.
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

/// Throws Error (null_work, unregistered_type): in the call itself, before a coroutine is suspended for its outcome.
template <class W>
void require_registered(const W& work) {
    if constexpr (std::derived_from<W, IWork>) {
        static_cast<void>(work_type<W>());
    } else {
        if (!work) throw Error{Errc::null_work};
        static_cast<void>(work_type_of(typeid(*work)));
    }
}

/// A value that has not come yet; nothing for void.
template <class R>
struct Value {
    R value{};
};
template <>
struct Value<void> {};

/// The part of a call that may throw when it is made: its work and its value, whose classes are the user's. It comes
/// before the handler is taken, so that this can be called with what was thrown.
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
