#pragma once

#include <algorithm>
#include <array>
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <future>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace support {

/// Stands between slaves and their master, and does to their links what bad networks do.
///
/// Runs in a thread of its own: a test may block. All functions return when what they ask for was done. Memory is
/// bounded: a link holds at most `most_held` bytes each way, and reads no more until they have left.
class FaultProxy {
    using Tcp = asio::ip::tcp;
    using Clock = std::chrono::steady_clock;

public:
    enum Way : std::size_t { to_master, to_slave };
    enum class End { master, slave };

    /// What happens to all bytes that go one way, on the links that are there and on those that come.
    struct Faults {
        std::chrono::milliseconds delay{0};
        std::size_t bytes_per_second = 0;  ///< 0: as fast as it goes
        std::size_t slice = 0;             ///< at most so many in one write; 0: as many as there are
        bool stalled = false;              ///< nothing is read: the sender's buffers fill
    };

    static constexpr std::size_t most_held = 256 * 1024;

    explicit FaultProxy(std::uint16_t target) : target_{target}, acceptor_{io_, {asio::ip::address_v4::loopback(), 0}} {
        port_ = acceptor_.local_endpoint().port();
        asio::co_spawn(io_, accept(), [](const std::exception_ptr&) {});
        thread_ = std::thread{[this] { io_.run(); }};
    }
    FaultProxy(const FaultProxy&) = delete;
    FaultProxy& operator=(const FaultProxy&) = delete;
    ~FaultProxy() {
        io_.stop();
        thread_.join();
    }

    /// Where slaves find it.
    std::uint16_t port() const noexcept { return port_; }

    void inject(Way way, Faults faults) {
        in_thread([&] { faults_[way] = faults; });
    }
    void inject(Faults faults) {
        in_thread([&] { faults_.fill(faults); });
    }

    /// Links that come are accepted at both ends, and nothing is ever forwarded on them.
    void mute_new_links() {
        in_thread([&] { mute_ = true; });
    }

    /// Nothing is forwarded any more on the links that are there: each end is gone for the other, without a FIN. Only
    /// the end that is `told` has its connection closed.
    void cut(std::optional<End> told = {}) {
        in_thread([&] {
            for (const auto& link : links_there()) {
                link->cut = true;
                std::error_code ignored;
                if (told) static_cast<void>((*told == End::slave ? link->slave : link->master).close(ignored));
            }
        });
    }

    /// RST to both ends of all links.
    void reset() {
        in_thread([&] {
            for (const auto& link : links_there()) link->reset();
        });
    }
    /// RST to both ends of the link over which the last of so many more bytes goes that way.
    void reset_after(Way way, std::size_t bytes) {
        in_thread([&] { reset_after_[way] = bytes; });
    }

    /// Links that are there and links that come are well again; only one that was cut stays dead.
    void heal() {
        in_thread([&] {
            faults_ = {};
            reset_after_ = {};
            mute_ = false;
        });
    }

    std::size_t accepted() const noexcept { return accepted_; }                  ///< links, ever
    std::size_t resets() const noexcept { return resets_; }                      ///< of `reset_after`
    std::uint64_t forwarded(Way way) const noexcept { return forwarded_[way]; }  ///< bytes

private:
    struct Chunk {
        Clock::time_point due;
        std::vector<std::byte> bytes;
        std::size_t left = 0;  // how many of them left
    };

    /// One way of a link.
    struct Pipe {
        Pipe(asio::io_context& io, Tcp::socket& source, Tcp::socket& sink, Way which)
            : from{source}, to{sink}, way{which}, changed_reader{io}, changed_writer{io} {}
        Tcp::socket& from;
        Tcp::socket& to;
        const Way way;
        std::deque<Chunk> held;
        std::size_t held_bytes = 0;
        bool ended = false;  // nothing more comes
        Clock::time_point next_write{};
        asio::steady_timer changed_reader;
        asio::steady_timer changed_writer;
    };

    struct Link {
        explicit Link(asio::io_context& io, Tcp::socket accepted) : slave{std::move(accepted)}, master{io} {
            pipes.emplace_back(io, slave, master, to_master);
            pipes.emplace_back(io, master, slave, to_slave);
        }
        void reset() {
            std::error_code ignored;
            for (Tcp::socket* const socket : {&slave, &master}) {
                static_cast<void>(socket->set_option(asio::socket_base::linger{true, 0}, ignored));
                static_cast<void>(socket->close(ignored));
            }
            changed();
        }
        void changed() {
            for (Pipe& pipe : pipes) {
                pipe.changed_reader.cancel();
                pipe.changed_writer.cancel();
            }
        }
        Tcp::socket slave;
        Tcp::socket master;
        std::deque<Pipe> pipes;
        bool cut = false;
    };
    using LinkPtr = std::shared_ptr<Link>;

    template <class Action>
    void in_thread(Action action) {
        const auto done = std::make_shared<std::promise<void>>();  // it is still being set when we go on
        asio::post(io_, [&, done] {
            action();
            for (const auto& link : links_there()) link->changed();
            done->set_value();
        });
        done->get_future().wait();
    }

    std::vector<LinkPtr> links_there() {
        std::vector<LinkPtr> there;
        for (const auto& link : links_)
            if (auto still = link.lock()) there.push_back(std::move(still));
        return there;
    }

    asio::awaitable<void> accept() {
        for (;;) {
            std::error_code error;
            Tcp::socket slave{io_};
            co_await acceptor_.async_accept(slave, asio::redirect_error(asio::use_awaitable, error));
            if (error) co_return;
            ++accepted_;
            std::erase_if(links_, [](const auto& link) { return link.expired(); });
            auto link = std::make_shared<Link>(io_, std::move(slave));
            link->cut = mute_;
            links_.push_back(link);
            asio::co_spawn(io_, connect(std::move(link)), [](const std::exception_ptr&) {});
        }
    }

    asio::awaitable<void> connect(LinkPtr link) {
        std::error_code error;
        const Tcp::endpoint target{asio::ip::address_v4::loopback(), target_};
        co_await link->master.async_connect(target, asio::redirect_error(asio::use_awaitable, error));
        if (error || !link->slave.is_open()) co_return;  // it was reset meanwhile
        for (Tcp::socket* const socket : {&link->slave, &link->master}) {
            static_cast<void>(socket->set_option(Tcp::no_delay{true}, error));  // else slices were put together again
            static_cast<void>(socket->non_blocking(true, error));
        }
        for (Pipe& pipe : link->pipes) {
            asio::co_spawn(io_, read(link, pipe), [](const std::exception_ptr&) {});
            asio::co_spawn(io_, write(link, pipe), [](const std::exception_ptr&) {});
        }
    }

    asio::awaitable<void> read(LinkPtr link, Pipe& pipe) {
        std::error_code error;
        while (!error) {
            if (!link->cut && (faults_[pipe.way].stalled || pipe.held_bytes >= most_held)) {
                co_await wait(pipe.changed_reader, Clock::time_point::max());
                if (pipe.from.is_open()) continue;
                break;
            }
            // Memory is taken when bytes are there: a thousand idle links hold none.
            co_await pipe.from.async_wait(Tcp::socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
            if (error || (faults_[pipe.way].stalled && !link->cut)) continue;
            const std::size_t available = pipe.from.available(error);
            if (error) continue;
            Chunk chunk;
            chunk.bytes.resize(std::clamp<std::size_t>(available, 1, 64 * 1024));
            chunk.bytes.resize(pipe.from.read_some(asio::buffer(chunk.bytes), error));
            if (error == asio::error::would_block) error.clear();
            if (chunk.bytes.empty() || link->cut) continue;
            chunk.due = Clock::now() + faults_[pipe.way].delay;
            pipe.held_bytes += chunk.bytes.size();
            pipe.held.push_back(std::move(chunk));
            pipe.changed_writer.cancel();
        }
        pipe.ended = true;
        pipe.changed_writer.cancel();
    }

    asio::awaitable<void> write(LinkPtr link, Pipe& pipe) {
        std::error_code error;
        while (!error && !link->cut) {
            if (pipe.held.empty()) {
                if (pipe.ended) break;
                co_await wait(pipe.changed_writer, Clock::time_point::max());
                continue;
            }
            Chunk& chunk = pipe.held.front();
            if (const auto due = std::max(chunk.due, pipe.next_write); due > Clock::now()) {
                co_await wait(pipe.changed_writer, due);
                continue;
            }
            const Faults faults = faults_[pipe.way];
            auto& reset_after = reset_after_[pipe.way];
            std::size_t count = chunk.bytes.size() - chunk.left;
            if (faults.slice != 0) count = std::min(count, faults.slice);
            if (faults.bytes_per_second != 0) count = std::min(count, faults.bytes_per_second / 50 + 1);
            if (reset_after) count = std::min(count, *reset_after);
            const auto bytes = asio::buffer(chunk.bytes.data() + chunk.left, count);
            if (count != 0)
                co_await asio::async_write(pipe.to, bytes, asio::redirect_error(asio::use_awaitable, error));
            if (error) break;
            forwarded_[pipe.way] += count;
            if (reset_after) *reset_after -= std::min(*reset_after, count);
            if (reset_after && *reset_after == 0) {
                reset_after.reset();
                ++resets_;
                link->reset();
                co_return;
            }
            pipe.held_bytes -= count;
            chunk.left += count;
            if (chunk.left == chunk.bytes.size()) pipe.held.pop_front();
            pipe.changed_reader.cancel();
            if (faults.bytes_per_second != 0)
                pipe.next_write = Clock::now() + std::chrono::microseconds{count * 1'000'000 / faults.bytes_per_second};
        }
        if (link->cut) co_return;
        if (!error) static_cast<void>(pipe.to.shutdown(Tcp::socket::shutdown_send, error));
        else link->reset();  // the receiver is gone, and its sender has to hear of it
    }

    /// Until then, or until something changed: who waits looks again.
    static asio::awaitable<void> wait(asio::steady_timer& timer, Clock::time_point until) {
        std::error_code cancelled;
        timer.expires_at(until);
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }

    const std::uint16_t target_;
    std::uint16_t port_ = 0;
    asio::io_context io_{1};

    // thread_
    Tcp::acceptor acceptor_;
    std::vector<std::weak_ptr<Link>> links_;
    std::array<Faults, 2> faults_{};
    std::array<std::optional<std::size_t>, 2> reset_after_{};
    bool mute_ = false;

    std::atomic<std::size_t> accepted_{0};
    std::atomic<std::size_t> resets_{0};
    std::array<std::atomic<std::uint64_t>, 2> forwarded_{};

    std::thread thread_;
};

}  // namespace support
