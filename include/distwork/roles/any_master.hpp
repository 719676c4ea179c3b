#pragma once

#include <any>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "../archive_limits.hpp"
#include "../base/asio.hpp"
#include "../dispatch/submission.hpp"
#include "../error.hpp"
#include "../log.hpp"
#include "../role_options.hpp"
#include "../socket_information.hpp"
#include "../statistics.hpp"
#include "../types/registry.hpp"
#include "../version.hpp"
#include "slave_waiters.hpp"

namespace distwork::detail {

/// The implementation of a Master, without its selector and its transport: what the templates of Master need. A file
/// that includes no more than this compiles nothing of the machinery behind it.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by the Master, by its coroutines and by its sessions.
class AnyMaster {
public:
    // The life cycle

    /// Begins to run, and logs how that ended. *Errors*: Error (already_running).
    virtual void start() = 0;
    virtual void ask_to_run() noexcept = 0;
    /// Accepts slaves until the master stops, and ends when the shutdown has ended. *Errors*: Error (already_running,
    /// cancelled).
    virtual asio::awaitable<void> run() = 0;
    /// Admits no more works, waits for at most `timeout` for the admitted works and the works of slaves, then ends all
    /// sessions. A further call joins the same shutdown and may shorten it. *Errors*: Error (cancelled): the shutdown
    /// goes on.
    virtual asio::awaitable<void> stop(std::chrono::milliseconds timeout) = 0;
    /// The Master is destroyed: settles every submission, ends everything, and blocks until works of slaves that run on
    /// the master's own threads have returned.
    virtual void end() noexcept = 0;

    // Works

    virtual void accept_work(const WorkType& type) = 0;
    virtual void accept_submission(const WorkType& type) = 0;

    /// Encodes and submits a work, which may wait for room in the backlog. If it is refused, it completes with the
    /// error. `submit_encoded` takes a work that has its body already.
    virtual void submit(const SubmissionPtr& call) noexcept = 0;
    virtual void submit_encoded(const SubmissionPtr& call) noexcept = 0;
    /// The same, but a refused work throws, and it does not wait for room. *Errors*: Error (backlog_full, no_slave,
    /// stopped, too_large, shared_pointer, foreign_type), std::bad_alloc, and exceptions of its serialize function.
    virtual void submit_now(const SubmissionPtr& call) = 0;
    virtual void cancel(const SubmissionPtr& call) noexcept = 0;

    /// Completes the waiter when as many slaves are connected as it wants. *Errors*: Error (stopped, cancelled).
    virtual void wait_for_slaves(const std::shared_ptr<SlaveWaiters::AnyWaiter>& waiter) noexcept = 0;
    virtual void stop_waiting(const std::shared_ptr<SlaveWaiters::AnyWaiter>& waiter) noexcept = 0;

    // What it knows

    virtual const asio::any_io_executor& executor() const noexcept = 0;
    virtual asio::any_io_executor any_strand() const = 0;
    virtual asio::ip::tcp::endpoint local_endpoint() const noexcept = 0;
    virtual const ArchiveLimits& limits() const noexcept = 0;
    virtual Registry& registry() const noexcept = 0;
    virtual std::size_t connected_slave_count() const = 0;
    virtual std::size_t backlog_size() const = 0;
    /// Whether the backlog has room for a work of `bytes` for each of the sockets.
    virtual bool has_room_for_all(const std::vector<std::uint64_t>& sockets, const WorkType& type,
                                  std::size_t bytes) const = 0;
    virtual bool is_closed() const = 0;
    virtual void enumerate_sockets(const std::function<void(const SocketInformation&)>& visit) const = 0;
    virtual std::vector<Waiting> waiting() = 0;
    virtual Statistics statistics() const = 0;
    virtual bool update_socket_information(std::uint64_t socket, std::any value) = 0;

    // The log

    virtual void log(LogLevel level, std::string_view line) const = 0;
    /// `text()` returns the line. On allocation failure only the line is lost.
    template <class Text>
    requires std::is_invocable_v<Text>
    void log(LogLevel level, Text text) const noexcept {
        static_cast<void>(exception_of([&] { log(level, std::string_view{text()}); }));
    }
    /// How a log line names a work whose caller does not wait for the outcome.
    static std::string sent_work() { return "A distributed work"; }

protected:
    ~AnyMaster() = default;
};

/// The version is a part of the functions' names: files that were compiled with another one do not link.
template <class Selector, class Transport, int major = DISTWORK_VERSION_MAJOR, int minor = DISTWORK_VERSION_MINOR,
          int patch = DISTWORK_VERSION_PATCH>
struct MasterFactory {
    /// *Errors*: Error (address_in_use, bad_address, needs_credentials, zero_slots, bad_option, duplicate_type).
    static std::shared_ptr<AnyMaster> make(Transport transport, MasterOptions options, Selector selector);
    /// Replaces the selector of a master that was made with the same selector and transport.
    static void socket_selector(AnyMaster& master, Selector selector);
};

}  // namespace distwork::detail
