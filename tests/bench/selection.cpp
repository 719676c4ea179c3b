// What a choice costs, in process: the selector alone, and the whole of it (submit, choose, take and give back credit),
// over 10 to 10,000 slaves. Prints a line of JSON for each.
#include <chrono>
#include <cstdio>
#include <distwork.hpp>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace {

class Nothing : public distwork::IWork {
public:
    void execute(distwork::Context&) override {}
    template <class Archive>
    void serialize(Archive&) {}
};

}  // namespace

DISTWORK_REGISTER_WORK(Nothing)

namespace {

/// A slave that is sent everything and answers nothing.
class NullPeer final : public distwork::detail::Peer {
public:
    std::error_code send(const std::shared_ptr<distwork::detail::Call>&) override { return {}; }
    void cancel(const distwork::detail::Call&) override {}
    void reply(distwork::detail::FrameHeader, distwork::detail::ByteBuffer&&) override {}
    void fail(const std::exception_ptr&) noexcept override {}
    asio::ip::tcp::endpoint remote_endpoint() const override { return {}; }
    const std::string& name() const override { return name_; }
    const asio::any_io_executor& get_executor() const override { return executor_; }
    const distwork::ArchiveLimits& limits() const override { return limits_; }
    void log(distwork::LogLevel, std::string_view) const override {}

private:
    std::string name_ = "null";
    asio::any_io_executor executor_;
    distwork::ArchiveLimits limits_;
};

class Task final : public distwork::detail::Submission {
public:
    Task() : Submission{distwork::detail::work_type<Nothing>()} {}
    const distwork::IWork& work() const noexcept override { return work_; }
    void succeed(std::span<const std::byte>, const std::shared_ptr<distwork::detail::Peer>&) noexcept override {}
    void fail(std::exception_ptr) noexcept override {}
    void deliver(std::shared_ptr<distwork::detail::Call>) override {}

private:
    Nothing work_;
};

/// Nanoseconds for each of many calls: the least of several rounds, which others disturbed least.
template <class Step>
double nanoseconds_each(Step step) {
    using Clock = std::chrono::steady_clock;
    constexpr int steps = 200'000;
    double best = 1e9;
    for (int round = 0; round < 7; ++round) {
        const auto begun = Clock::now();
        for (int i = 0; i < steps; ++i) step();
        best = std::min(best, std::chrono::duration<double, std::nano>(Clock::now() - begun).count() / steps);
    }
    return best;
}

void print(const std::string& variant, std::size_t slaves, double nanoseconds) {
    std::printf("%s\n", nlohmann::json{{"variant", variant}, {"slaves", slaves}, {"ns", nanoseconds}}.dump().c_str());
}

template <class Selector>
void measure(const std::string& name, std::size_t slaves) {
    const auto peer = std::make_shared<NullPeer>();
    const auto task = std::make_shared<Task>();
    const auto information = [](std::size_t place) {
        distwork::SocketInformation socket;
        socket.slots = 4;
        socket.place = place;
        return socket;
    };

    std::vector<distwork::SocketInformation> sockets;
    distwork::detail::ReadySet all;
    for (std::size_t place = 0; place < slaves; ++place) sockets.push_back(information(place));
    for (std::size_t place = 0; place < slaves; ++place) all.insert(place, &sockets[place]);
    Selector selector;
    const void* volatile chosen = nullptr;
    print(name + " alone", slaves, nanoseconds_each([&] {
              distwork::DistributeContext context{*task, all.sockets(), &all};
              chosen = selector(context);
          }));

    distwork::detail::SocketContainer<Selector> container{Selector{}};
    std::vector<std::uint64_t> ids;
    for (std::size_t place = 0; place < slaves; ++place)
        ids.push_back(container.add_socket(peer, information(place), std::vector<bool>(64, true), 4096));
    std::uint64_t last = 0;
    print(name + " whole", slaves, nanoseconds_each([&] {
              container.submit(task, false);
              distwork::detail::Answer answer;
              answer.call = task;
              answer.reply.execution_time = std::chrono::microseconds{1};
              last = task->socket->information.id;
              container.answered(last, {&answer, 1}, {}, {});
          }));
}

}  // namespace

int main() {
    for (const std::size_t slaves : {10u, 100u, 1'000u, 10'000u}) {
        measure<distwork::RoundRobin>("RoundRobin", slaves);
        measure<distwork::PowerOfTwoChoices>("PowerOfTwoChoices", slaves);
    }
}
