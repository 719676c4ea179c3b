// Calls that return a value: a plain function, and a class where a call is more than its arguments.

#include <distwork.hpp>
#include <iostream>
#include <stdexcept>

// A registered function is called by its name; the compiler checks the arguments.
double area(double width, double height) {
    return width * height;
}
DISTWORK_REGISTER_FUNCTION(area)

// A class says what travels (serialize), what the slave does (execute_work) and, if it likes, what happens where it
// came from when the value is back (execute_return).
class RemoteSumWork : public distwork::RpcWork<int> {
public:
    RemoteSumWork() = default;
    RemoteSumWork(int left, int right) : left_{left}, right_{right} {}

    int execute_work(distwork::Context&) override {
        if (left_ < 0 || right_ < 0) throw std::out_of_range{"only natural numbers"};
        return left_ + right_;
    }

    void execute_return(int sum, distwork::Context& slave) override {
        std::cout << slave.peer_name() << " says that " << left_ << " + " << right_ << " = " << sum << '\n';
    }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(left_, right_);
    }

private:
    int left_ = 0;
    int right_ = 0;
};
DISTWORK_REGISTER_WORK(RemoteSumWork)

asio::awaitable<void> ask(distwork::Master<>& master) {
    const double twelve = co_await master.async_call<area>(3.0, 4.0);
    std::cout << "area(3, 4) = " << twelve << '\n';

    const int three = co_await master.async_call(RemoteSumWork{1, 2});
    std::cout << "1 + 2 = " << three << '\n';

    try {
        co_await master.async_call(RemoteSumWork{-1, 2});
    } catch (const distwork::RemoteError& error) {  // what the work threw there, with its type and text
        std::cout << "-1 + 2: " << error.type() << ": " << error.text() << '\n';
    }
}

int main() {
    asio::io_context io{1};
    distwork::Master master{io.get_executor(), 0};  // port 0: any free one
    master.start();
    distwork::Slave slave{io.get_executor(), "127.0.0.1", master.local_endpoint().port(), {.name = "Ada"}};
    slave.start();

    asio::co_spawn(io, ask(master), [&](std::exception_ptr error) {
        io.stop();
        if (error) std::rethrow_exception(error);
    });
    io.run();
}
