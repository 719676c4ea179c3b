#pragma once

#include <signal.h>
#include <unistd.h>
#include <algorithm>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/processors.hpp"
#include "../base/surely.hpp"
#include "../base/type_name.hpp"
#include "../local_slaves.hpp"
#include "../program/child_process.hpp"
#include "../program/output_relay.hpp"
#include "../program/restart_policy.hpp"

namespace distwork::detail {

/// The implementation of LocalSlaves. *Lifetime*: shared by its owner and its handlers.
class LocalSlavesCore : public std::enable_shared_from_this<LocalSlavesCore> {
public:
    LocalSlavesCore(const std::shared_ptr<AnyMaster>& master, LocalSlavesOptions options)
        : options_{std::move(options)},
          log_{guarded(options_.log)},
          master_{master},
          strand_{asio::make_strand(master->scheduler()->executor())} {
        for (const std::string& label : options_.labels) {
            if (label.find(',') != std::string::npos)
                throw Error::with_text(Errc::bad_option, "the label \"" + label + "\" has a comma");
            mark_.labels += (mark_.labels.empty() ? "" : ",") + label;
        }
        if (ChildMark::is_there())
            throw Error::with_text(
                Errc::bad_option,
                "this process was started as a slave, but its main has not reached distwork::Program "
                "or distwork::run_slave, which run it as one: begin main with it");
        if (options_.count == 0) options_.count = usable_processors();
        if (options_.arguments.empty()) options_.arguments = own_arguments();
    }

    /// *Errors*: std::system_error.
    void start() {
        const std::lock_guard lock{mutex_};
        for (std::size_t i = 0; i < options_.count; ++i) {
            places_.push_back(std::make_unique<Place>(strand_));
            begin(*places_.back());
        }
    }

    void end() noexcept {
        std::vector<std::unique_ptr<Place>> places;
        {
            const std::lock_guard lock{mutex_};
            is_ending_ = true;
            places.swap(places_);
        }
        for (const auto& place : places)  // it finishes what it runs, and leaves; usually its master said bye before
            if (place->child && !place->child->how_ended()) place->child->signal(SIGTERM);
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{2};
        for (const auto& place : places) {
            if (!place->child) continue;
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
            place->child->wait(static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        }
        for (const auto& place : places) {
            place->watch.release();
            place->child.reset();
        }
        relay_.reset();
        // The timers are destroyed on their strand.
        post_surely(strand_, [kept = std::make_shared<std::vector<std::unique_ptr<Place>>>(std::move(places))] {});
    }

    std::vector<int> ids() const {
        const std::lock_guard lock{mutex_};
        std::vector<int> all;
        for (const auto& place : places_)
            if (place->child) all.push_back(place->child->id());
        return all;
    }

private:
    /// One process, and the next one after its end.
    struct Place {
        explicit Place(const asio::strand<asio::any_io_executor>& strand) : watch{strand}, timer{strand} {}
        std::shared_ptr<ChildProcess> child;
        asio::posix::basic_stream_descriptor<asio::strand<asio::any_io_executor>> watch;  // the child's pidfd
        asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>,
                                   asio::strand<asio::any_io_executor>>
            timer;
        std::shared_ptr<LastLines> last_lines;
        std::chrono::steady_clock::time_point begun{};
        bool was_connected = false;
        unsigned short_lives = 0;  // in a row
    };

    static std::vector<std::string> own_arguments() {
        std::vector<std::string> all;
        std::ifstream file{"/proc/self/cmdline", std::ios::binary};
        for (std::string argument; std::getline(file, argument, '\0');) all.push_back(argument);
        return all;
    }

    /// With mutex_ held. *Errors*: std::system_error.
    void begin(Place& place) {
        auto child = std::make_shared<ChildProcess>(options_.arguments, mark_);
        place.last_lines = std::make_shared<LastLines>();
        place.was_connected = false;
        place.begun = std::chrono::steady_clock::now();
        relay_->add(std::move(child->output), STDOUT_FILENO, nullptr);
        relay_->add(std::move(child->errors), STDERR_FILENO, place.last_lines);
        place.child = child;
        if (child->pidfd() >= 0) place.watch.assign(child->pidfd());
        watch(place);

        ConnectionWatch watch;
        watch.opened = [core = weak_from_this(), at = &place, weak = std::weak_ptr{child}] {
            if (const auto there = core.lock()) there->connected(*at, weak.lock());
        };
        watch.how_ended = [weak = std::weak_ptr{child}] {
            const auto still = weak.lock();
            constexpr int most_milliseconds = 50;  // its descriptors are closed just before it has ended
            if (!still || !still->wait(most_milliseconds)) return std::string{};
            return "process " + std::to_string(still->id()) + ' ' + still->how_ended().value_or("ended");
        };
        if (const auto master = master_.lock()) master->adopt(child->socket.release(), std::move(watch));
    }

    void watch(Place& place) {
        const auto ended = [core = weak_from_this(), at = &place](std::error_code cancelled) {
            const auto there = core.lock();
            if (there && !cancelled) there->ended(*at);
        };
        if (place.watch.is_open()) return place.watch.async_wait(asio::posix::descriptor_base::wait_read, ended);
        asio::post(strand_, [ended] { ended({}); });
    }

    void connected(Place& place, const std::shared_ptr<ChildProcess>& child) {
        const std::lock_guard lock{mutex_};
        if (is_ending_ || place.child != child) return;
        place.was_connected = true;
        policy_.connected();
    }

    void ended(Place& place) {
        std::unique_lock lock{mutex_};
        if (is_ending_) return;
        const std::string how = place.child->how_ended().value_or("ended");
        log_(LogLevel::warning, "Local slave " + std::to_string(place.child->id()) + ' ' + how);
        place.watch.release();  // the child closes it
        place.child.reset();
        const auto lived = std::chrono::steady_clock::now() - place.begun;
        place.short_lives = RestartPolicy::is_short(lived) ? place.short_lives + 1 : 0;
        if (policy_.ended(place.was_connected)) return begin_later(place);
        if (std::exchange(has_given_up_, true)) return;
        const std::string text = "no local slave could be run: each ended before it was connected; the last one " +
                                 how + ". Its last lines:\n" + place.last_lines->text();
        lock.unlock();
        log_(LogLevel::error, text);
        const auto master = master_.lock();
        if (master && master->scheduler()->connected_slave_count() == 0)  // else others may take what waits
            master->scheduler()->fail_waiting(Error::with_text(Errc::no_slave, text));
    }

    void begin_later(Place& place) {
        place.timer.expires_after(RestartPolicy::pause(place.short_lives));
        place.timer.async_wait([core = weak_from_this(), at = &place](std::error_code cancelled) {
            const auto there = core.lock();
            if (there && !cancelled) there->begin_again(*at);
        });
    }

    void begin_again(Place& place) {
        const std::lock_guard lock{mutex_};
        if (is_ending_ || has_given_up_) return;
        const auto failed = exception_of([&] { begin(place); });
        if (!failed) return;
        place.child.reset();
        log_(LogLevel::warning, "A local slave was not started: " + what_of(failed));
        ++place.short_lives;
        begin_later(place);
    }

    LocalSlavesOptions options_;
    const Log log_;
    const std::weak_ptr<AnyMaster> master_;
    const asio::strand<asio::any_io_executor> strand_;
    ChildMark mark_;
    std::unique_ptr<OutputRelay> relay_ = std::make_unique<OutputRelay>();

    mutable std::mutex mutex_;
    // guarded by mutex_
    std::vector<std::unique_ptr<Place>> places_;
    RestartPolicy policy_;
    bool has_given_up_ = false;
    bool is_ending_ = false;
};

DISTWORK_DECL std::shared_ptr<LocalSlavesCore> start_local_slaves(const std::shared_ptr<AnyMaster>& master,
                                                                  LocalSlavesOptions options) {
    if (!options.log) options.log = ConsoleLog{LogLevel::warning};
    auto core = std::make_shared<LocalSlavesCore>(master, std::move(options));
    try {
        core->start();
    } catch (...) {
        core->end();
        throw;
    }
    return core;
}

DISTWORK_DECL void end_local_slaves(LocalSlavesCore& slaves) noexcept {
    slaves.end();
}

DISTWORK_DECL std::vector<int> ids_of_local_slaves(const LocalSlavesCore& slaves) {
    return slaves.ids();
}

}  // namespace distwork::detail
