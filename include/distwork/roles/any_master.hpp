#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "../base/asio.hpp"
#include "../base/completion.hpp"
#include "../connection_watch.hpp"
#include "../explanation.hpp"
#include "../role_options.hpp"
#include "../statistics.hpp"
#include "../types/registry.hpp"
#include "../version.hpp"
#include "../work.hpp"
#include "any_role.hpp"
#include "any_scheduler.hpp"
#include "slave_waiters.hpp"

namespace distwork::detail {

/// The implementation of a Master, without its selector and its transport: what the templates of Master need. A file
/// that includes no more than this compiles nothing of the machinery behind it.
///
/// *Thread-safety*: all functions. *Lifetime*: shared by the Master, by its coroutines and by its sessions.
class AnyMaster : public AnyRole {
public:
    // Works of slaves

    virtual void accept_work(const WorkType& type) = 0;
    virtual void accept_submission(const WorkType& type) = 0;

    /// Each slave executes this work before all others, also one that connects later. *Errors*: as StartWorks::add.
    virtual void on_start(std::shared_ptr<const IWork> work) = 0;

    // Its slaves

    /// Takes over a connection whose other end is a slave. *Errors*: Error (bad_option: the transport cannot do this),
    /// std::system_error, std::bad_alloc; then the handle is closed.
    virtual void adopt(int handle, ConnectionWatch watch) = 0;
    /// Completes the waiter when as many slaves are connected as it wants. *Errors*: Error (stopped, cancelled).
    virtual void wait_for_slaves(const std::shared_ptr<SlaveWaiters::AnyWaiter>& waiter) noexcept = 0;
    /// The slave finishes what it holds, and is told to leave.
    virtual void drain(std::uint64_t socket) = 0;
    /// The slave is told to leave at once. Returns false if there is no such slave.
    virtual bool disconnect(std::uint64_t socket) noexcept = 0;
    virtual void stop_waiting(const std::shared_ptr<SlaveWaiters::AnyWaiter>& waiter) noexcept = 0;

    // What it knows

    /// It outlives the master where a call under way keeps it.
    virtual std::shared_ptr<AnyScheduler> scheduler() const noexcept = 0;
    virtual asio::ip::tcp::endpoint local_endpoint() const noexcept = 0;
    /// The works that wait for slaves, and the works of slaves that wait for a slot of this master.
    virtual std::vector<Waiting> waiting() const = 0;
    virtual std::vector<Explanation> explain(std::string_view name) const = 0;
    virtual std::vector<Departure> departures() const = 0;

protected:
    ~AnyMaster() = default;
};

/// The same of a Master whose selector is known, over any transport.
template <class Selector>
class SelectingMaster : public AnyMaster {
public:
    virtual void socket_selector(Selector selector) = 0;

protected:
    ~SelectingMaster() = default;
};

/// Completes `handler` when at least `count` slaves are connected, and, if `leaver` is not 0, that slave has left.
/// *Errors*: Error (stopped, cancelled).
template <class Handler>
void wait_for_slaves(const std::shared_ptr<AnyMaster>& master, std::size_t count, std::uint64_t leaver,
                     Handler& handler) {
    const auto slot = asio::get_associated_cancellation_slot(handler);
    const auto waiter =
        std::make_shared<SlaveWaiters::Waiter<Handler>>(count, leaver, handler, master->scheduler()->executor());
    cancel_through(slot, [master = std::weak_ptr{master}, waiting = std::weak_ptr{waiter}] {
        const auto there = master.lock();
        if (const auto still = waiting.lock(); there && still) there->stop_waiting(still);
    });
    master->wait_for_slaves(waiter);
}

/// The versions of this library and of Asio are a part of the functions' names: a file that was compiled with others
/// than distwork::compiled does not link.
template <class Selector, class Transport, int major = DISTWORK_VERSION_MAJOR, int minor = DISTWORK_VERSION_MINOR,
          int patch = DISTWORK_VERSION_PATCH, int with_asio = asio_version>
struct MasterFactory {
    /// *Errors*: Error (address_in_use, bad_address, needs_credentials, zero_slots, bad_option, duplicate_type).
    static std::shared_ptr<SelectingMaster<Selector>> make(Transport transport, MasterOptions options,
                                                           Selector selector);
    static std::shared_ptr<SelectingMaster<Selector>> make(asio::any_io_executor executor, MasterOptions options,
                                                           Selector selector);
};

}  // namespace distwork::detail
