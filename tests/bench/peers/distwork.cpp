// distwork itself: registered works of 64 bytes, a typed answer each. --variant inline | pool, and for large works
// string | bytes. Compiled a second time with BENCH_TLS: over Tls, with a secret.
#include <atomic>
#include <cereal/types/array.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>
#include <distwork.hpp>
#ifdef BENCH_TLS
#include <distwork/tls.hpp>
#endif
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../support/pair.hpp"

namespace {

using bench::Pair;
using bench::Setup;

#ifdef BENCH_TLS
using Transport = distwork::Tls;
Transport transport(asio::io_context& io) {
    static const distwork::Credentials credentials{distwork::Secret{std::string(32, 's')}};
    return {io.get_executor(), credentials};
}
#else
using Transport = distwork::Tcp;
Transport transport(asio::io_context& io) {
    return Transport{io.get_executor()};
}
#endif
using Master = distwork::Master<distwork::RoundRobin, Transport>;
using Slave = distwork::Slave<Transport>;

class SmallWork : public distwork::RpcWork<std::uint64_t> {
public:
    static constexpr std::size_t payload_bytes = 56;

    SmallWork() = default;
    SmallWork(std::uint64_t id, std::size_t) : id_{id} { bench::fill_payload(id, payload_); }
    std::uint64_t execute_work(distwork::Context&) override { return bench::answer_to(id_, payload_); }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(id_, payload_);
    }

private:
    std::uint64_t id_ = 0;
    std::array<char, payload_bytes> payload_;
};

template <class Payload>
class LargeWork : public distwork::RpcWork<std::uint64_t> {
public:
    LargeWork() = default;
    LargeWork(std::uint64_t id, std::size_t bytes) : id_{id}, payload_(bytes, typename Payload::value_type{}) {
        bench::fill_payload(id, {reinterpret_cast<char*>(payload_.data()), payload_.size()});
    }
    std::uint64_t execute_work(distwork::Context&) override {
        return bench::answer_to(id_, {reinterpret_cast<const char*>(payload_.data()), payload_.size()});
    }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(id_, payload_);
    }

private:
    std::uint64_t id_ = 0;
    Payload payload_;
};

using StringWork = LargeWork<std::string>;
using BytesWork = LargeWork<std::vector<std::byte>>;

}  // namespace

DISTWORK_REGISTER_WORK(SmallWork)
DISTWORK_REGISTER_WORK(StringWork)
DISTWORK_REGISTER_WORK(BytesWork)

namespace {

/// Keeps the window full: every answer submits the next work, on the thread that completes it.
template <class Work>
class Loop {
public:
    Loop(Master& master, Pair& pair, std::function<void()> end) : master_{master}, pair_{pair}, end_{std::move(end)} {}

    void begin() {
        pair_.begin();
        fill();
    }

private:
    void fill() {
        for (std::size_t i = 0; i < pair_.in_flight(); ++i) submit();
    }

    void submit() {
        const std::uint64_t id = next_++;
        const double sent = pair_.in_flight() == 1 ? Pair::now() : 0;
        master_.async_call(
            Work{id, pair_.payload_bytes()}, [this, id, sent](const std::exception_ptr& error, std::uint64_t answer) {
                if (error) std::rethrow_exception(error);
                if (sent != 0) pair_.took(Pair::now() - sent);
                const bool go_on = pair_.answered(answer, bench::expected_answer(id, pair_.payload_bytes()));
                if (!go_on) return end_();
                if (!pair_.setup.bursts) return submit();
                if (++answered_ % pair_.in_flight() == 0) fill();
            });
    }

    Master& master_;
    Pair& pair_;
    std::function<void()> end_;
    std::uint64_t next_ = 0;
    std::uint64_t answered_ = 0;
};

struct Submitter {
    std::atomic<std::size_t> in_flight{0};
    std::atomic<std::uint64_t> answers{0};
    std::thread thread;
};
using Submitters = std::vector<std::unique_ptr<Submitter>>;

/// Threads of the host's that submit, each with its part of the window in flight. Answers come to `submitters` when it
/// returns, too.
void submit_from_threads(Master& master, Pair& pair, Submitters& submitters) {
    const std::size_t window = std::max<std::size_t>(pair.in_flight() / pair.setup.submitters, 1);
    pair.begin();
    for (std::size_t i = 0; i < pair.setup.submitters; ++i) {
        Submitter& self = *submitters.emplace_back(std::make_unique<Submitter>());
        self.thread = std::thread{[&master, &pair, &self, window] {
            for (std::uint64_t id = 0; !pair.done(); ++id) {
                for (std::size_t busy; (busy = self.in_flight) == window;) self.in_flight.wait(busy);
                ++self.in_flight;
                master.async_call(SmallWork{id, 0},
                                  [&self, id, window](const std::exception_ptr& error, std::uint64_t answer) {
                                      if (error) std::rethrow_exception(error);
                                      if (answer != bench::expected_answer(id, SmallWork::payload_bytes)) std::abort();
                                      ++self.answers;
                                      if (self.in_flight.fetch_sub(1) == window) self.in_flight.notify_one();
                                  });
            }
        }};
    }
    const auto answers = [&] {
        std::uint64_t all = 0;
        for (const auto& each : submitters) all += each->answers;
        return all;
    };
    do std::this_thread::sleep_for(std::chrono::milliseconds{1});
    while (pair.answered_in_all(answers()));
    for (const auto& each : submitters) each->thread.join();
}

template <class Work>
void run_master_with(Pair& pair) {
    Submitters submitters;
    asio::io_context io{static_cast<int>(pair.setup.io_threads)};
    distwork::MasterOptions options;
    options.max_slaves = 100'000;
    pair.note_memory();
    Master master{transport(io), options};
    master.start();
    Loop<Work> loop{master, pair, [&] { io.stop(); }};
    std::thread submitting;
    master.async_wait_for_slaves(pair.setup.slaves, [&](const std::exception_ptr&) {
        pair.note_memory();
        if (pair.setup.idle) return io.stop();
        if (pair.setup.submitters == 0) return loop.begin();
        submitting = std::thread{[&] {
            submit_from_threads(master, pair, submitters);
            io.stop();
        }};
    });
    pair.listening(master.local_endpoint().port());
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < pair.setup.io_threads; ++i) threads.emplace_back([&] { io.run(); });
    io.run();
    for (std::thread& thread : threads) thread.join();
    if (submitting.joinable()) submitting.join();
}

void run_master(Pair& pair) {
    if (pair.setup.variant == "string") run_master_with<StringWork>(pair);
    else if (pair.setup.variant == "bytes") run_master_with<BytesWork>(pair);
    else run_master_with<SmallWork>(pair);
}

void run_slave(const Setup& setup) {
    asio::io_context io{1};
    distwork::SlaveOptions options;
    if (setup.variant != "pool") {
        options.slots = 1;
        options.work_executor = distwork::WorkExecutor::in_place();
    }
    std::vector<std::unique_ptr<Slave>> slaves;
    for (std::size_t i = 0; i < (setup.one_process ? setup.slaves : 1); ++i) {
        slaves.push_back(std::make_unique<Slave>(transport(io), "127.0.0.1", setup.port, options));
        slaves.back()->start();
    }
    io.run();
}

}  // namespace

int main(int argc, char** argv) {
    return bench::main(argc, argv, run_master, run_slave);
}
