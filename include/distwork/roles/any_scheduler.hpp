#pragma once

#include <any>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../archive_limits.hpp"
#include "../base/asio.hpp"
#include "../dispatch/submission.hpp"
#include "../log.hpp"
#include "../socket_information.hpp"
#include "../statistics.hpp"
#include "../types/registry.hpp"
#include "live_groups.hpp"

namespace distwork::detail {

/// A Scheduler without its selector and its transport: what a master does with the works of its callers.
///
/// *Thread-safety*: all functions.
class AnyScheduler {
public:
    /// Encodes and submits a work, which may wait for room in the backlog. If it is refused, it completes with the
    /// error. `submit_encoded` takes a work that has its body already.
    virtual void submit(const SubmissionPtr& call) noexcept = 0;
    virtual void submit_encoded(const SubmissionPtr& call) noexcept = 0;
    /// The same, but a refused work throws, and it does not wait for room. *Errors*: Error (backlog_full, no_slave,
    /// stopped, too_large, shared_pointer, foreign_type), std::bad_alloc, and exceptions of its serialize function.
    virtual void submit_now(const SubmissionPtr& call) = 0;
    virtual void cancel(const SubmissionPtr& call) noexcept = 0;

    /// For a work that the caller has claimed, and settles itself: gives it up, and tells its slave to cancel it. Then, when
    /// it has its value, `deliver_settled` counts and delivers it.
    virtual void withdraw(Submission& call) noexcept = 0;
    virtual void deliver_settled(const SubmissionPtr& call) noexcept = 0;

    /// A slave with a free slot that could execute the work, apart from the one that has it; 0: there is none.
    virtual std::uint64_t idle_slave_for(const Submission& work) const = 0;

    /// Runs `action` after a time. Destroying or replacing `timer` cancels it. *Errors*: std::bad_alloc.
    virtual void set_timer(std::chrono::nanoseconds after, std::function<void()> action,
                           std::shared_ptr<void>& timer) = 0;

    /// Admits nothing more, and fails what waits for a slave. What was sent goes on, and is not sent again.
    virtual void interrupt(const Error& why) noexcept = 0;

    /// While the result exists, a master that stops goes on: works are to be submitted that were admitted before. *Errors*:
    /// std::bad_alloc.
    virtual std::shared_ptr<void> hold_open() = 0;

    /// Where calls complete whose handlers have no associated executor.
    virtual const asio::any_io_executor& executor() const noexcept = 0;
    virtual const ArchiveLimits& limits() const noexcept = 0;
    virtual Registry& registry() const noexcept = 0;

    virtual std::size_t connected_slave_count() const = 0;
    virtual std::size_t backlog_size() const = 0;
    virtual std::size_t max_backlog() const noexcept = 0;
    /// The bytes of a chunk that every slave takes; 0 if some take none.
    virtual std::size_t max_chunk_bytes() const = 0;
    virtual std::chrono::steady_clock::time_point now() const = 0;
    /// Whether the backlog has room for a work of `bytes` for each of the sockets.
    virtual bool has_room_for_all(const std::vector<std::uint64_t>& sockets, const WorkType& type,
                                  std::size_t bytes) const = 0;
    /// Whether nothing is admitted any more.
    virtual bool is_closed() const = 0;
    virtual void enumerate_sockets(const std::function<void(const SocketInformation&)>& visit) const = 0;
    /// Returns false if there is no such socket.
    virtual bool update_socket_information(std::uint64_t socket, std::any value) = 0;
    virtual Statistics statistics() const = 0;

    LiveGroups& groups() noexcept { return groups_; }

    virtual void log(LogLevel level, std::string_view line) const = 0;
    /// How a log line names a work whose caller does not wait for the outcome.
    static std::string sent_work() { return "A distributed work"; }

protected:
    ~AnyScheduler() = default;

private:
    LiveGroups groups_;
};

}  // namespace distwork::detail
