// One call, each kind of completion token: co_await, a callback, a future, an executor of its own, cancellation.

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/post.hpp>
#include <asio/thread_pool.hpp>
#include <chrono>
#include <distwork.hpp>
#include <future>
#include <iostream>
#include <thread>

using namespace std::chrono_literals;

int square(int number) {
    return number * number;
}
DISTWORK_REGISTER_FUNCTION(square)

// Runs until its caller no longer wants it.
class Endless : public distwork::RpcWork<void> {
public:
    void execute_work(distwork::Context& peer) override {
        while (!peer.stop_token().stop_requested()) std::this_thread::sleep_for(1ms);
    }

    template <class Archive>
    void serialize(Archive&) {}
};
DISTWORK_REGISTER_WORK(Endless)

asio::awaitable<void> await_it(distwork::Master<>& master) {
    std::cout << "co_await: " << co_await master.async_call<square>(3) << '\n';
}

int main() {
    asio::thread_pool io{1};
    distwork::Master master{io.get_executor(), 0};
    master.start();
    distwork::Slave slave{io.get_executor(), "127.0.0.1", master.local_endpoint().port()};
    slave.start();

    // asio::use_awaitable is the default token.
    asio::co_spawn(io, await_it(master), asio::use_future).get();

    // What went wrong comes first; the value is then default-constructed.
    std::promise<void> called;
    master.async_call<square>(4, [&](std::exception_ptr error, int value) {
        if (!error) std::cout << "callback: " << value << '\n';
        called.set_value();
    });
    called.get_future().get();

    std::future<int> future = master.async_call<square>(5, asio::use_future);
    std::cout << "future: " << future.get() << '\n';

    // A handler runs on its own executor, where it has one, else on the master's: here in this thread.
    asio::io_context here{1};
    const auto print = [](std::exception_ptr, int value) { std::cout << "bind_executor: " << value << '\n'; };
    master.async_call<square>(6, asio::bind_executor(here, print));
    here.run();

    // Cancelling completes the call at once, and asks the work to stop. A signal is not thread-safe: emit it where the
    // call completes.
    asio::cancellation_signal cancel;
    std::future<void> endless =
        master.async_call(Endless{}, asio::bind_cancellation_slot(cancel.slot(), asio::use_future));
    asio::post(io, [&] { cancel.emit(asio::cancellation_type::terminal); });
    try {
        endless.get();
    } catch (const distwork::Error& error) {
        std::cout << "cancelled: " << error.what() << '\n';
        return error.code() == distwork::Errc::cancelled ? 0 : 1;
    }
}
