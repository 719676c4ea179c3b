#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "base/type_name.hpp"
#include "calls/call_check.hpp"
#include "calls/locals.hpp"
#include "context.hpp"
#include "error.hpp"
#include "master.hpp"
#include "register.hpp"
#include "types/function_traits.hpp"
#include "types/registry.hpp"
#include "work.hpp"

namespace distwork {

/// A call of the function F that a slave makes before it executes works: what F returns stays there, for
/// Context::local. Made by `on_start<F>`; registered by DISTWORK_REGISTER_START.
template <auto F>
class StartWork final : public RpcWork<void> {
    using Traits = detail::traits_of<F>;
    using Object = typename Traits::Result;

public:
    using Arguments = typename Traits::Arguments;  ///< as they are sent: a tuple of values

    StartWork() = default;
    /// A call with these arguments.
    explicit StartWork(Arguments arguments) : arguments_{std::move(arguments)} {}

    /// Calls the function, and keeps what it returns.
    void execute_work(Context& peer) override { call(peer, std::make_index_sequence<Traits::arity>{}); }

    /// Serializes the arguments, for cereal.
    template <class Archive>
    void serialize(Archive& archive) {
        archive(arguments_);
    }

private:
    template <std::size_t... I>
    void call(Context& peer, std::index_sequence<I...>) {
        using Parameters = typename Traits::Parameters;
        const auto made = [&]() -> Object {
            if constexpr (Traits::takes_context)
                return F(peer, detail::pass<std::tuple_element_t<I, Parameters>>(std::get<I>(arguments_))...);
            else return F(detail::pass<std::tuple_element_t<I, Parameters>>(std::get<I>(arguments_))...);
        };
        if constexpr (std::is_void_v<Object>) {
            made();
        } else {
            auto* const all = detail::LocalsOf::of(peer);
            if (!all) throw Error::with_text(Errc::not_accepted, "on_start functions run on slaves");
            const std::shared_ptr<Object> object{new Object(made())};
            if (!all->add(typeid(Object), object))
                throw Error::with_text(Errc::bad_option, "two on_start functions return a " +
                                                             detail::type_name(typeid(Object)) +
                                                             ": a slave keeps one object of a type");
        }
    }

    Arguments arguments_;
};

namespace detail {

/// Checks a function that is registered with DISTWORK_REGISTER_START.
template <auto F>
struct CheckedStart {
    using Traits = traits_of<F>;
    static_assert(Traits::is_function,
                  "distwork: DISTWORK_REGISTER_START takes a plain function: write one and name it "
                  "(see CheckedStart<what was given>)");
    static_assert(!Traits::is_coroutine,
                  "distwork: an on_start function is no coroutine (see CheckedStart<the function>)");
    template <std::size_t... I>
    static constexpr bool check(std::index_sequence<I...>) {
        return (ParameterOf<F, I + 1, std::tuple_element_t<I, typename Traits::Parameters>>::is_right && ... && true);
    }
    static constexpr bool is_right() { return check(std::make_index_sequence<Traits::arity>{}); }
};

template <auto F, class Tuple, std::size_t... I>
std::shared_ptr<StartWork<F>> make_start_work(Tuple&& given, std::index_sequence<I...>) {
    using Parameters = typename traits_of<F>::Parameters;
    using Arguments = typename StartWork<F>::Arguments;
    return std::make_shared<StartWork<F>>(
        Arguments(own<std::tuple_element_t<I, Parameters>>(std::get<I>(std::forward<Tuple>(given)))...));
}

}  // namespace detail

/// Has each slave of a master call a function before it executes anything else, those that connect later, too, and again
/// when they connect again. What the function returns stays at the slave: its works get it by `context.local<T>()`. It
/// is not sent, so it may be anything: a loaded model, an open file. A slave with several slots has one object for all.
/// Functions are called in the order in which they were added; works that were sent before are not waited for.
///
/// A slave on which the function throws is told to leave, and the log says why. *Errors*: throws Error
/// (unregistered_type, foreign_type, too_large, shared_pointer), and what the serialization of the arguments throws.
template <auto F, class Selector, class Transport, class... Arguments>
void on_start(Master<Selector, Transport>& master, Arguments&&... arguments) {
    using Traits = detail::traits_of<F>;
    static_assert(sizeof...(Arguments) == Traits::arity,
                  "distwork: on_start takes as many arguments as the function does");
    if (!detail::Registry::instance().find(typeid(StartWork<F>)))
        throw detail::unregistered("DISTWORK_REGISTER_START", std::string{detail::function_name<F>()});
    detail::PartsOf::core(master)->on_start(detail::make_start_work<F>(
        std::forward_as_tuple(std::forward<Arguments>(arguments)...), std::make_index_sequence<Traits::arity>{}));
}

}  // namespace distwork

/// Registers a plain function for `on_start<function>(master, arguments…)`. Use it at global scope, in the programs of
/// master and slaves. What the function returns need not be serializable.
#define DISTWORK_REGISTER_START(...)                                                              \
    DISTWORK_DETAIL_CHECK_SCOPE("DISTWORK_REGISTER_START", #__VA_ARGS__)                          \
    static_assert(::distwork::detail::CheckedStart<&__VA_ARGS__>::is_right() || true);            \
    DISTWORK_DETAIL_REGISTER("on_start " #__VA_ARGS__, DISTWORK_DETAIL_BIND_TO_WIRE, __COUNTER__, \
                             ::distwork::StartWork<&__VA_ARGS__>)
