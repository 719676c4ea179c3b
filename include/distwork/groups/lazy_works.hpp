#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../archive/shape.hpp"
#include "../calls/kept_work.hpp"
#include "../function_work.hpp"
#include "../submit_options.hpp"
#include "../types/function_traits.hpp"
#include "group_core.hpp"

namespace distwork::detail {

template <class R, class Work>
constexpr void check_result() {
    static_assert(std::is_same_v<kept_result_t<Work>, R>,
                  "distwork: the result of this work is not the result type of the group");
}

/// Submits a work that was made of an element.
template <class R, class Work>
void submit_made(GroupCore<R>& core, Work work, const SubmitOptions& options) {
    check_result<R, Work>();
    core.submit(std::move(work), options);
}

/// The elements of a range, each of which `make` converts to a work of a group with results R.
template <class R, class View, class Make>
class LazyRange final : public LazyWorks {
public:
    LazyRange(std::weak_ptr<GroupCore<R>> core, View view, Make make, SubmitOptions options)
        : core_{std::move(core)}, view_{std::move(view)}, make_{std::move(make)}, options_{std::move(options)} {}

    bool add_next() override {
        const auto core = core_.lock();
        if (!core) return false;
        if (!at_) at_.emplace(std::ranges::begin(view_));
        else ++*at_;
        if (*at_ == std::ranges::end(view_)) return false;
        submit_made(*core, make_(**at_), options_);
        return true;
    }

private:
    const std::weak_ptr<GroupCore<R>> core_;  // which owns this object
    View view_;
    Make make_;
    const SubmitOptions options_;
    std::optional<std::ranges::iterator_t<View>> at_;
};

/// What `generate` returns until it returns nothing, each converted to a work.
template <class R, class Generate, class Make>
class LazyGenerator final : public LazyWorks {
public:
    LazyGenerator(std::weak_ptr<GroupCore<R>> core, Generate generate, Make make, SubmitOptions options)
        : core_{std::move(core)},
          generate_{std::move(generate)},
          make_{std::move(make)},
          options_{std::move(options)} {}

    bool add_next() override {
        const auto core = core_.lock();
        if (!core) return false;
        auto element = generate_();
        if (!element) return false;
        submit_made(*core, make_(std::move(*element)), options_);
        return true;
    }

private:
    const std::weak_ptr<GroupCore<R>> core_;  // which owns this object
    Generate generate_;
    Make make_;
    const SubmitOptions options_;
};

template <class T>
concept generator = requires(T& generate) {
    static_cast<bool>(generate());
    *generate();
};

/// Converts an element to a work: an element that is a work already.
struct MakeWork {
    template <class Element>
    auto operator()(Element&& element) const {
        require_registered(element);
        return kept_t<Element>(std::forward<Element>(element));
    }
};

/// Converts an element to a call of the function F: to its only argument, or a tuple-like element to its arguments.
template <auto F>
class MakeCall {
    template <class Arguments>
    struct First {
        using type = void;
    };
    template <class A, class... More>
    struct First<std::tuple<A, More...>> {
        using type = A;
    };
    template <class Arguments>
    using first_argument_t = typename First<Arguments>::type;

    template <std::size_t I, class Tuple>
    static decltype(auto) get(Tuple&& tuple) {
        using std::get;
        return get<I>(std::forward<Tuple>(tuple));
    }

public:
    template <class Element>
    FunctionWork<F> operator()(Element&& element) const {
        using Traits = traits_of<F>;
        using Arguments = typename FunctionWork<F>::Arguments;
        using Plain = std::remove_cvref_t<Element>;
        if constexpr (Traits::arity == 1 && std::is_convertible_v<Element, first_argument_t<Arguments>>) {
            return FunctionWork<F>{
                Arguments(own<std::tuple_element_t<0, typename Traits::Parameters>>(std::forward<Element>(element)))};
        } else {
            static_assert(TupleLike<Plain>,
                          "distwork: an element of this range is no argument of the function: it is one argument for "
                          "a function with one parameter, or a std::tuple, std::pair or std::array of its arguments");
            static_assert(std::tuple_size_v<Plain> == Traits::arity,
                          "distwork: an element of this range has not as many members as the function has parameters");
            return [&]<std::size_t... I>(std::index_sequence<I...>) {
                return FunctionWork<F>{Arguments(own<std::tuple_element_t<I, typename Traits::Parameters>>(
                    get<I>(std::forward<Element>(element)))...)};
            }
            (std::make_index_sequence<Traits::arity>{});
        }
    }
};

}  // namespace distwork::detail
