#pragma once

#include <concepts>
#include <utility>

#include "../base/asio.hpp"

namespace distwork::detail {

/// The constructor argument that says where a role runs: any executor, or an execution context such as an
/// asio::io_context.
class RoleExecutor {
public:
    template <std::convertible_to<asio::any_io_executor> Executor>
    RoleExecutor(Executor executor) : executor_{std::move(executor)} {}
    template <std::derived_from<asio::execution_context> ExecutionContext>
    RoleExecutor(ExecutionContext& context) : executor_{context.get_executor()} {}

    asio::any_io_executor take() && { return std::move(executor_); }

private:
    asio::any_io_executor executor_;
};

}  // namespace distwork::detail
