#pragma once

#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../base/asio.hpp"

namespace distwork::sim {

/// A function for a host to run. Tasks that are left when the simulation ends are destroyed without being run.
class Task {
public:
    Task() = default;
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    virtual ~Task() = default;

    /// Runs the function. `self` is destroyed first, so that its memory is free while the function runs.
    virtual void run(std::unique_ptr<Task> self) = 0;
};

template <class Function>
class FunctionTask final : public Task {
public:
    explicit FunctionTask(Function function) : function_{std::move(function)} {}

    void run(std::unique_ptr<Task> self) override {
        Function function{std::move(function_)};
        self.reset();
        std::move(function)();
    }

private:
    Function function_;
};

/// An asynchronous operation: a handler that waits for its arguments. When they are set, the operation is pushed as a
/// task, which calls the handler on its associated executor.
template <class... Values>
class Operation : public Task {
public:
    void set(Values... values) { values_ = {std::move(values)...}; }

protected:
    std::tuple<Values...> values_;
};

template <class Handler, class... Values>
class HandlerOperation final : public Operation<Values...> {
public:
    HandlerOperation(Handler handler, const asio::any_io_executor& fallback)
        : handler_{std::move(handler)}, executor_{asio::get_associated_executor(handler_, fallback)} {}

    void run(std::unique_ptr<Task> self) override {
        if (auto slot = asio::get_associated_cancellation_slot(handler_); slot.is_connected()) slot.clear();
        const auto executor = std::move(executor_);
        auto call = [handler = std::move(handler_), values = std::move(this->values_)]() mutable {
            std::apply(std::move(handler), std::move(values));
        };
        self.reset();
        if constexpr (requires { executor.execute(std::move(call)); }) executor.execute(std::move(call));
        else asio::dispatch(executor, std::move(call));
    }

private:
    Handler handler_;
    asio::associated_executor_t<Handler, asio::any_io_executor> executor_;
};

/// Starts an operation. `begin(operation)` takes it and returns its number. When the handler's cancellation slot is
/// emitted, `cancel(number)` is called, which must ignore numbers of operations that are complete.
template <class... Values, class Handler, class Begin, class Cancel>
void start(Handler handler, const asio::any_io_executor& fallback, Begin begin, Cancel cancel) {
    const auto slot = asio::get_associated_cancellation_slot(handler);
    const auto number = begin(
        std::unique_ptr<Operation<Values...>>{new HandlerOperation<Handler, Values...>{std::move(handler), fallback}});
    if (!slot.is_connected()) return;
    auto connected = slot;
    connected.assign([cancel, number](asio::cancellation_type type) {
        if (type != asio::cancellation_type::none) cancel(number);
    });
}

}  // namespace distwork::sim
