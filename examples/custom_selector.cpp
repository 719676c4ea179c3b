// Who gets which work: labels, a selector of one's own with state, another one at run time, values of the host's own.

#include <algorithm>
#include <any>
#include <distwork.hpp>
#include <iostream>
#include <list>
#include <string>
#include <utility>
#include <vector>

using distwork::DistributeContext;
using distwork::SocketInformation;

class Render : public distwork::RpcWork<void> {
public:
    Render() = default;
    explicit Render(int frame) : frame_{frame} {}

    int frame() const { return frame_; }
    void execute_work(distwork::Context&) override {}
    void execute_return(distwork::Context& slave) override {
        std::cout << "  frame " << frame_ << " by " << slave.peer_name() << '\n';
    }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(frame_);
    }

private:
    int frame_ = 0;
};
DISTWORK_REGISTER_WORK(Render)

// The host's own value of a slave, here its price for a frame: who has none yet is not chosen.
const SocketInformation* cheapest(const DistributeContext& context) {
    const SocketInformation* best = nullptr;
    const auto price = [](const SocketInformation* socket) { return std::any_cast<int>(socket->value); };
    for (const SocketInformation* socket : context.sockets())
        if (socket->value.has_value() && (!best || price(socket) < price(best))) best = socket;
    return best;
}

asio::awaitable<void> render(distwork::Master<distwork::AnySelector>& master) {
    co_await master.async_wait_for_slaves(3);

    std::cout << "one slave until it had two frames, then the next:\n";
    for (int frame = 0; frame < 6; ++frame) co_await master.async_call(Render{frame});

    std::cout << "only where there is a GPU:\n";
    const auto on_gpu = distwork::SubmitOptions{}.label("gpu");
    for (int frame = 6; frame < 8; ++frame) co_await master.async_call(Render{frame}, on_gpu);

    std::cout << "the cheapest:\n";
    master.socket_selector(&cheapest);
    for (const auto& socket : master.sockets())
        master.update_socket_information(socket.id, static_cast<int>(socket.name.size()));
    for (int frame = 8; frame < 10; ++frame) co_await master.async_call(Render{frame});

    std::cout << "by the work itself, an even frame to the first name:\n";
    master.socket_selector([](const DistributeContext& context) {
        const bool even = static_cast<const Render&>(context.work()).frame() % 2 == 0;
        const auto sockets = context.sockets();
        const auto by_name = [](const auto* one, const auto* other) { return one->name < other->name; };
        return even ? *std::ranges::min_element(sockets, by_name) : *std::ranges::max_element(sockets, by_name);
    });
    for (int frame = 10; frame < 12; ++frame) co_await master.async_call(Render{frame});
}

int main() {
    asio::io_context io{1};
    auto two_each = [turn = std::size_t{0}](const DistributeContext& context) mutable {
        return context.from(turn++ / 2 % 3);
    };
    distwork::Master<distwork::AnySelector> master{io.get_executor(), 0, two_each};
    master.start();

    std::list<distwork::Slave<>> slaves;
    const auto join = [&](const char* name, std::vector<std::string> labels) {
        const auto port = master.local_endpoint().port();
        slaves
            .emplace_back(io.get_executor(), "127.0.0.1", port,
                          distwork::SlaveOptions{.name = name, .labels = std::move(labels)})
            .start();
    };
    join("Charles", {});
    join("Ada", {});
    join("Alan", {"gpu"});

    asio::co_spawn(io, render(master), [&](std::exception_ptr error) {
        io.stop();
        if (error) std::rethrow_exception(error);
    });
    io.run();
}
