#pragma once

#include <cereal/types/tuple.hpp>
#include <tuple>
#include <type_traits>
#include <utility>

#include "rpc_work.hpp"

namespace distwork {

namespace detail {

template <class F>
struct FunctionTraits;

template <class R, class... Arguments>
struct FunctionTraits<R (*)(Arguments...)> {
    static_assert(((!std::is_lvalue_reference_v<Arguments> ||
                    std::is_const_v<std::remove_reference_t<Arguments>>)&&...),
                  "a registered function takes its arguments by value or const reference: they come from afar");
    using Result = std::remove_cvref_t<R>;
    using Tuple = std::tuple<std::remove_cvref_t<Arguments>...>;
    static constexpr std::size_t arity = sizeof...(Arguments);
};
template <class R, class... Arguments>
struct FunctionTraits<R (*)(Arguments...) noexcept> : FunctionTraits<R (*)(Arguments...)> {};

}  // namespace detail

/// A call of the plain function `F` as a work: its arguments travel, its value comes back. Made by `async_call<F>`;
/// registered by DISTWORK_REGISTER_FUNCTION.
template <auto F>
class FunctionWork final : public RpcWork<typename detail::FunctionTraits<decltype(F)>::Result> {
    using Traits = detail::FunctionTraits<decltype(F)>;

public:
    using Arguments = typename Traits::Tuple;

    FunctionWork() = default;
    explicit FunctionWork(Arguments arguments) : arguments_{std::move(arguments)} {}

    typename Traits::Result execute_work(Context&) override { return std::apply(F, std::move(arguments_)); }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(arguments_);
    }

private:
    Arguments arguments_;
};

}  // namespace distwork
