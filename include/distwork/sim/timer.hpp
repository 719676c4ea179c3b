#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "../base/asio.hpp"
#include "host.hpp"

namespace distwork::sim {

/// The host of an executor. *Errors*: std::invalid_argument if the executor is not one of a simulated host.
inline Host& host_of(const asio::any_io_executor& executor) {
    // The context is the host, also behind strands and wrappers.
    if (executor) {
        auto& context = asio::query(executor, asio::execution::context);
        if (asio::has_service<HostService>(context)) return asio::use_service<HostService>(context).host();
    }
    throw std::invalid_argument{"not an executor of a simulated host"};
}

/// Like asio::steady_timer, but it follows the clock of a simulated host.
class Timer {
public:
    using executor_type = asio::any_io_executor;

    /// *Errors*: see host_of.
    explicit Timer(asio::any_io_executor executor)
        : executor_{std::move(executor)}, state_{&host_of(executor_).take_timer()} {}
    Timer(Timer&& other) noexcept
        : executor_{std::move(other.executor_)}, state_{std::exchange(other.state_, nullptr)} {}
    Timer& operator=(Timer&&) = delete;

    ~Timer() {
        if (!state_) return;
        state_->cancel();
        state_->host().give_back(*state_);
    }

    const executor_type& get_executor() const noexcept { return executor_; }
    TimePoint expiry() const noexcept { return state_->expiry(); }

    /// Sets the expiry and cancels the pending waits; returns how many there were.
    std::size_t expires_at(TimePoint time) { return state_->expires_at(time); }
    std::size_t expires_after(Duration time) {
        const TimePoint now = state_->host().now();
        return expires_at(time > TimePoint::max() - now ? TimePoint::max() : now + time);
    }
    std::size_t cancel() { return state_->cancel(); }

    /// Waits for the expiry. Signature: `void(std::error_code)`. *Errors*: operation_aborted if the wait was cancelled.
    template <class Token>
    auto async_wait(Token&& token) {
        return asio::async_initiate<Token, void(std::error_code)>(
            [this](auto handler) {
                start<std::error_code>(
                    std::move(handler), executor_, [this](auto wait) { return state_->wait(std::move(wait)); },
                    [state = state_](std::uint64_t number) { state->cancel_one(number); });
            },
            token);
    }

private:
    asio::any_io_executor executor_;
    Host::TimerState* state_;
};

}  // namespace distwork::sim
