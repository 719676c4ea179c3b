#pragma once

#include <asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "../base/asio.hpp"
#include "../base/pause.hpp"
#include "../error.hpp"
#include "address_race.hpp"

namespace distwork::detail {

/// Finds the addresses of a host. Blocks. *Errors*: throws std::system_error.
using LookUp = std::function<Endpoints(const std::string& host, std::uint16_t port)>;

/// Asks the system's resolver, which uses files and name servers. Blocks.
inline Endpoints look_up(const std::string& host, std::uint16_t port) {
    asio::io_context context;
    asio::ip::tcp::resolver resolver{context};
    std::error_code error;
    Endpoints found;
    for (const auto& entry : resolver.resolve(host, std::to_string(port), error)) found.push_back(entry.endpoint());
    if (error) throw std::system_error{error};
    return found;
}

/// A look-up on a thread of its own, and the coroutine that waits for it. The system's look-up cannot be cancelled: if
/// the coroutine gives up, the thread continues, and touches nothing but this object.
///
/// *Lifetime*: shared by the thread and the coroutine.
template <class Timer, class Strand>
class Question : public std::enable_shared_from_this<Question<Timer, Strand>> {
public:
    Question(Timer& timer, Strand strand) : timer_{&timer}, strand_{std::move(strand)} {}

    void ask(LookUp look_up, std::string host, std::uint16_t port) {
        std::thread{[self = this->shared_from_this(), look_up = std::move(look_up), host = std::move(host), port] {
            self->answer(look_up, host, port);
        }}.detach();
    }

    // Strand

    /// The coroutine gives up. Must be called before the context of the strand ends.
    void abandon() noexcept {
        const std::lock_guard lock{mutex_};
        timer_ = nullptr;
        strand_.reset();
    }

    bool is_answered() const noexcept { return answered_; }

    /// Leaves nothing, so that the thread, which may let go last, does not end the exception of another thread.
    Endpoints take() {
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
        return std::move(found_);
    }

private:
    void answer(const LookUp& look_up, const std::string& host, std::uint16_t port) noexcept {
        Endpoints found;
        std::exception_ptr error = exception_of([&] { found = look_up(host, port); });
        const std::lock_guard lock{mutex_};
        if (!strand_) return;
        found_ = std::move(found);
        error_ = std::move(error);
        // Out of memory: the coroutine is not woken, but has a time limit.
        static_cast<void>(
            exception_of([&] { asio::post(*strand_, [self = this->shared_from_this()] { self->wake(); }); }));
    }

    void wake() {
        answered_ = true;
        if (timer_) timer_->cancel();
    }

    // strand
    bool answered_ = false;
    Timer* timer_;

    std::mutex mutex_;
    // guarded by mutex_, until it is answered
    std::optional<Strand> strand_;  // none if the coroutine gave up
    Endpoints found_;
    std::exception_ptr error_;
};

/// The addresses of a host. Does not block. Ends at once when it is cancelled or its context is destroyed, even if the
/// look-up continues.
///
/// *Errors*: throws what `look_up` throws.
template <class Timer, class Strand>
asio::awaitable<Endpoints> resolve(Strand strand, LookUp look_up, std::string host, std::uint16_t port) {
    std::error_code no_address;
    const auto address = asio::ip::make_address(host, no_address);
    if (!no_address) {
        Endpoints one;
        one.emplace_back(address, port);
        co_return one;
    }
    using Asked = Question<Timer, Strand>;
    Timer timer{strand};
    const auto question = std::make_shared<Asked>(timer, strand);
    struct Abandoned {
        Asked& question;
        ~Abandoned() { question.abandon(); }
    };
    const Abandoned at_the_end{*question};
    question->ask(std::move(look_up), std::move(host), port);
    // After a cancellation from outside the next wait throws.
    while (!question->is_answered()) co_await detail::pause(timer, std::chrono::hours{24});
    co_return question->take();
}

}  // namespace distwork::detail
