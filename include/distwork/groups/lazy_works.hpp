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
#include "../error.hpp"
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

/// The elements of a range.
template <class View>
class RangeElements {
public:
    explicit RangeElements(View view) : view_{std::move(view)} {}

    /// Calls `take(element)` with the next element. Returns false if there is none. Throws what the range throws.
    template <class Take>
    bool next(Take take) {
        if (!at_) at_.emplace(std::ranges::begin(view_));
        else ++*at_;
        if (*at_ == std::ranges::end(view_)) return false;
        take(**at_);
        return true;
    }

    /// The number of elements; 0 if it is not known before the end.
    std::size_t size() {
        if constexpr (std::ranges::sized_range<View>) return static_cast<std::size_t>(std::ranges::size(view_));
        else return 0;
    }

private:
    View view_;
    std::optional<std::ranges::iterator_t<View>> at_;
};

/// What `generate` returns until it returns nothing.
template <class Generate>
class GeneratorElements {
public:
    explicit GeneratorElements(Generate generate) : generate_{std::move(generate)} {}

    /// As RangeElements::next.
    template <class Take>
    bool next(Take take) {
        auto element = generate_();
        if (!element) return false;
        take(std::move(*element));
        return true;
    }

    std::size_t size() const noexcept { return 0; }

private:
    Generate generate_;
};

template <class T>
concept generator = requires(T& generate) {
    static_cast<bool>(generate());
    *generate();
};

/// The elements of a range or of a generator.
template <class Source>
auto elements_of(Source&& source) {
    if constexpr (std::ranges::input_range<Source>) {
        return RangeElements<std::views::all_t<Source>>{std::views::all(std::forward<Source>(source))};
    } else {
        static_assert(generator<std::remove_cvref_t<Source>>,
                      "distwork: this takes a range, or a function that returns a std::optional until it is empty");
        return GeneratorElements<std::remove_cvref_t<Source>>{std::forward<Source>(source)};
    }
}

/// Throws Error (bad_option) if there is a key: all works of a range would be one.
inline void check_no_key(const SubmitOptions& options) {
    if (!options.key().empty())
        throw Error::with_text(Errc::bad_option,
                               "SubmitOptions::key is of one work: a range has many. Add works with keys by async_add");
}

/// Works of a group with results R.
template <class R, class Elements>
class LazyElements final : public LazyWorks {
public:
    LazyElements(std::weak_ptr<GroupCore<R>> core, Elements elements, SubmitOptions options)
        : core_{std::move(core)}, elements_{std::move(elements)}, options_{std::move(options)} {}

    bool add_next() override {
        const auto core = core_.lock();
        return core && elements_.next([&](auto&& element) {
            using Kept = kept_t<decltype(element)>;
            check_result<R, Kept>();
            require_registered(element);
            core->submit(Kept(std::forward<decltype(element)>(element)), options_);
        });
    }

private:
    const std::weak_ptr<GroupCore<R>> core_;  // which owns this object
    Elements elements_;
    const SubmitOptions options_;
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
