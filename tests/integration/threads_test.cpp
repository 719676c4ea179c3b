#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/post.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_future.hpp>
#include <atomic>
#include <cereal/types/vector.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <distwork.hpp>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/run.hpp"
#include "support/timed_work.hpp"

// Everything at once, on several I/O threads: for the thread sanitizer above all.

using namespace std::chrono_literals;
using distwork::Errc;

namespace {

constexpr std::size_t io_threads = 4;
constexpr std::size_t slave_count = 32;
constexpr std::size_t caller_count = 4;
constexpr std::size_t works_each = 25'000;
constexpr std::size_t most_pending = 512;  // of each caller
constexpr std::size_t works_for_a_kill = 500;

/// Gives a value that nothing else gives: once, or so often that few answers fit into an outbox. Or it throws, or takes
/// its time.
class Chore : public distwork::RpcWork<std::vector<std::uint64_t>> {
public:
    enum class Kind : std::uint8_t { plain, throws, slow, large };

    Chore() = default;
    Chore(std::uint64_t number, Kind kind) : number_{number}, kind_{kind} {}
    std::vector<std::uint64_t> execute_work(distwork::Context&) override {
        if (kind_ == Kind::throws) throw std::runtime_error{"as planned"};
        if (kind_ == Kind::slow) std::this_thread::sleep_for(3ms);
        return value_of(number_, kind_);
    }
    static std::vector<std::uint64_t> value_of(std::uint64_t number, Kind kind) {
        return std::vector<std::uint64_t>(kind == Kind::large ? 3000 : 1, Timed::value_of(number));
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number_, kind_);
    }

private:
    std::uint64_t number_ = 0;
    Kind kind_{};
};

using Pool = asio::thread_pool;

/// Slaves in this process, each of which can be ended at once: what it has is lost, and its master finds its connection
/// closed.
class Crew {
public:
    Crew(Pool& pool, std::uint16_t port)
        : pool_{pool}, strand_{pool.get_executor()}, port_{port}, slaves_(slave_count) {
        for (std::size_t i = 0; i < slave_count; ++i) begin(i);
    }

    /// Another slave takes its place. From any thread.
    void kill_one() {
        asio::post(strand_, [this] {
            const std::size_t victim = kills++ % slave_count;
            slaves_[victim].reset();
            begin(victim);
        });
    }

    std::atomic<std::size_t> kills{0};

private:
    void begin(std::size_t i) {
        distwork::SlaveOptions options;
        options.slots = 1 + i % 3;
        options.reconnect_at_most = 200ms;
        options.link.max_outbox_bytes = 64 * 1024;
        if (i % 3 == 0) options.work_executor = distwork::WorkExecutor::in_place();
        if (i % 3 == 1) options.work_executor = distwork::WorkExecutor{pool_.get_executor()};
        slaves_[i] = std::make_unique<distwork::Slave<>>(pool_.get_executor(), "127.0.0.1", port_, options);
        slaves_[i]->start();
    }

    Pool& pool_;
    asio::strand<Pool::executor_type> strand_;
    const std::uint16_t port_;
    std::vector<std::unique_ptr<distwork::Slave<>>> slaves_;  // strand_
};

/// Submits works from a strand of its own, cancels some of them, and counts how each ended.
class Caller {
public:
    Caller(Pool& pool, distwork::Master<>& master, std::uint64_t seed, std::function<void()> ended)
        : master_{master}, strand_{pool.get_executor()}, random_{seed}, ended_{std::move(ended)} {}

    void begin() {
        asio::post(strand_, [this] { go_on(); });
    }
    std::future<void> done() { return done_.get_future(); }

    // To be read once it is done.

    std::map<Errc, std::uint64_t> outcomes;
    std::size_t wrong = 0;
    std::size_t again = 0;
    std::size_t distributed = 0;

private:
    struct Entry {
        asio::cancellation_signal cancel;
        int completions = 0;
    };

    void go_on() {
        while (entries_.size() - completed_ < most_pending && entries_.size() < works_each) call();
    }

    void call() {
        const std::uint64_t number = entries_.size();
        Entry& entry = entries_.emplace_back();
        distwork::SubmitOptions options;
        // One that goes again and again is lost but for slaves that are killed more often than they execute.
        options.max_attempts(1000);
        const std::uint64_t kind = random_() % 32;
        if (kind == 0) options.retry_on_error(distwork::RetryPolicy{2, 1ms, 2ms});
        if (kind == 1) options.deadline(1ms + random_() % 20 * 1ms);
        if (kind == 2) options.queue_timeout(1ms + random_() % 20 * 1ms);
        if (kind == 3) options.execution_timeout(1000ms);
        if (kind == 7) options.execution_timeout(1ms);
        const auto what = kind < 2     ? Chore::Kind::throws
                          : kind == 7  ? Chore::Kind::slow
                          : kind <= 10 ? Chore::Kind::large
                                       : Chore::Kind::plain;
        auto completed = [this, &entry, number, what](const std::exception_ptr& error,
                                                      const std::vector<std::uint64_t>& value) {
            ++outcomes[code_of(error)];
            if (!error && value != Chore::value_of(number, what)) ++wrong;
            end(entry);
        };
        if (kind == 6) {  // only its admission is told
            ++distributed;
            return master_.async_distribute_work(
                Chore{number, what}, options.deadline(1ms + random_() % 8 * 1ms),
                asio::bind_executor(strand_, [this, &entry](const std::exception_ptr&) { end(entry); }));
        }
        master_.async_call(
            Chore{number, what}, options,
            asio::bind_executor(strand_, asio::bind_cancellation_slot(entry.cancel.slot(), std::move(completed))));
        if (kind == 4) entry.cancel.emit(asio::cancellation_type::terminal);
        if (kind == 5) asio::post(strand_, [&entry] { entry.cancel.emit(asio::cancellation_type::terminal); });
    }

    void end(Entry& entry) {
        if (++entry.completions > 1) ++again;
        ended_();
        if (++completed_ == works_each) return done_.set_value();
        go_on();
    }

    static Errc code_of(const std::exception_ptr& error) {
        if (!error) return Errc{};
        try {
            std::rethrow_exception(error);
        } catch (const distwork::Error& failure) {
            return distwork::errc_of(failure.code(), Errc::session_failed);
        }
    }

    distwork::Master<>& master_;
    asio::strand<Pool::executor_type> strand_;
    std::mt19937_64 random_;
    std::function<void()> ended_;
    std::promise<void> done_;
    std::deque<Entry> entries_;
    std::size_t completed_ = 0;
};

}  // namespace

DISTWORK_REGISTER_WORK(Chore)

TEST_CASE("four I/O threads, 32 slaves that are killed and 100,000 works: each ends once, and all is counted",
          "[integration]") {
    Pool pool{io_threads};
    distwork::MasterOptions options;
    options.waiting.max_backlog = caller_count * most_pending / 2;  // some wait for room
    distwork::Master<> master{pool.get_executor(), options};
    master.start();
    Crew crew{pool, master.local_endpoint().port()};

    std::atomic<std::size_t> ended{0};
    std::deque<Caller> callers;
    for (std::size_t i = 0; i < caller_count; ++i)
        callers.emplace_back(pool, master, i, [&] {
            if (++ended % works_for_a_kill == 0) crew.kill_one();
        });
    for (Caller& caller : callers) caller.begin();
    // Whoever looks meanwhile is in nobody's way.
    for (Caller& caller : callers) {
        auto done = caller.done();
        const auto until = std::chrono::steady_clock::now() + 2 * deadline;
        while (done.wait_for(5ms) != std::future_status::ready) {
            REQUIRE(std::chrono::steady_clock::now() < until);
            const auto counted = master.statistics();
            CHECK(counted.completed() <= counted.admitted);
            CHECK(master.sockets().size() <= 2 * slave_count);
            static_cast<void>(master.waiting());
        }
    }
    CHECK(crew.kills >= caller_count * works_each / works_for_a_kill - 1);
    auto stopped = asio::co_spawn(pool, master.async_stop(deadline), asio::use_future);
    REQUIRE(stopped.wait_for(2 * deadline) == std::future_status::ready);
    CHECK_NOTHROW(stopped.get());

    std::map<Errc, std::uint64_t> outcomes;
    std::size_t distributed = 0;
    for (const Caller& caller : callers) {
        CHECK(caller.wrong == 0);
        CHECK(caller.again == 0);
        distributed += caller.distributed;
        for (const auto& [outcome, count] : caller.outcomes) outcomes[outcome] += count;
    }
    const auto counted = master.statistics();
    CHECK(counted.admitted == counted.completed());
    CHECK(counted.admitted + counted.refused == caller_count * works_each);
    // Of those that were distributed it is not known how they ended. Who is cancelled, or out of time, while it waits for
    // room was never admitted.
    const auto timed_out = outcomes[Errc::deadline] + outcomes[Errc::queue_timeout] + outcomes[Errc::execution_timeout];
    CHECK(counted.succeeded >= outcomes[Errc{}]);
    CHECK(counted.succeeded <= outcomes[Errc{}] + distributed);
    CHECK(counted.cancelled <= outcomes[Errc::cancelled]);
    CHECK(counted.timed_out <= timed_out + distributed);
    CHECK(counted.failed == outcomes[Errc::work_failed]);
    CHECK(counted.lost == outcomes[Errc::lost]);
    CHECK(counted.retries > 0);
    CHECK(counted.requeued > 0);
    CHECK(outcomes[Errc::cancelled] > 0);
    CHECK(outcomes[Errc::execution_timeout] > 0);
    CHECK(outcomes[Errc::deadline] + outcomes[Errc::queue_timeout] > 0);
    CHECK(counted.late_answers == 0);
    CHECK(outcomes[Errc::lost] == 0);
}
