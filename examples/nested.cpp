// A work that has parts of itself distributed, and waits for them: it holds no slot meanwhile, so that the tree of works
// may be far deeper than there are slots. Here two slaves of one slot each compute a Fibonacci number of depth 20.

#include <cstdint>
#include <distwork.hpp>
#include <exception>
#include <iostream>
#include <string>

class Fib : public distwork::CoroutineWork<std::uint64_t> {
public:
    Fib() = default;
    explicit Fib(unsigned n) : n_{n} {}

    asio::awaitable<std::uint64_t> execute_work(distwork::Context& peer) override {
        if (n_ < 2) co_return n_;
        // The master gives it to whichever slave has a slot; this one's is free until the answer is there.
        const std::uint64_t one = co_await peer.async_submit(Fib{n_ - 1});
        co_return one + co_await peer.async_submit(Fib{n_ - 2});
    }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(n_);
    }

private:
    unsigned n_ = 0;
};
DISTWORK_REGISTER_WORK(Fib)

asio::awaitable<void> ask(distwork::Master<>& master) {
    const std::uint64_t value = co_await master.async_call(Fib{20});
    std::cout << "fib(20) = " << value << ", by " << master.statistics().succeeded << " works on 2 slots\n";
}

int main() {
    asio::io_context io;
    distwork::Master master{io.get_executor(), 0};
    master.accept_submission<Fib>();  // or slaves could have nothing distributed
    master.start();

    const std::uint16_t port = master.local_endpoint().port();
    distwork::Slave ada{io.get_executor(), "127.0.0.1", port, {.name = "Ada", .slots = 1}};
    distwork::Slave bob{io.get_executor(), "127.0.0.1", port, {.name = "Bob", .slots = 1}};
    ada.start();
    bob.start();

    int status = 0;
    asio::co_spawn(io, ask(master), [&](const std::exception_ptr& error) {
        io.stop();
        try {
            if (error) std::rethrow_exception(error);
        } catch (const std::exception& failed) {
            std::cerr << failed.what() << '\n';
            status = 1;
        }
    });
    io.run();
    return status;
}
