#pragma once

#include <poll.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <future>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "../base/console.hpp"
#include "../base/log_queue.hpp"
#include "../program/output_relay.hpp"

namespace distwork::detail {

DISTWORK_DECL void LastLines::add(const std::string& line) {
    const std::lock_guard lock{mutex_};
    lines_.push_back(line.substr(0, most_bytes));
    if (lines_.size() > most_lines) lines_.pop_front();
}

DISTWORK_DECL void LastLines::end() {
    {
        const std::lock_guard lock{mutex_};
        has_ended_ = true;
    }
    changed_.notify_all();
}

DISTWORK_DECL std::string LastLines::text() const {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, std::chrono::milliseconds{200}, [this] { return has_ended_; });
    std::string all;
    for (const std::string& line : lines_) all += (all.empty() ? "" : "\n") + line;
    return all;
}

DISTWORK_DECL OutputRelay::OutputRelay() {
    const NoSignals no_signals;  // the thread gets none: they are the application's
    thread_ = std::thread{[this] {
        run();
        done_.set_value();
    }};
}

DISTWORK_DECL OutputRelay::~OutputRelay() {
    if (process_ != process_id()) {  // there is no such thread here
        static_cast<void>(new std::thread{std::move(thread_)});
        return;
    }
    {
        const std::lock_guard lock{mutex_};
        is_ending_ = true;
    }
    wake_.write.reset();
    done_.get_future().wait_for(std::chrono::seconds{1});
    given_up_ = true;
    thread_.join();
}

DISTWORK_DECL void OutputRelay::add(Descriptor from, int to, std::shared_ptr<LastLines> last) {
    {
        const std::lock_guard lock{mutex_};
        added_.push_back({std::move(from), to, std::move(last)});
    }
    static_cast<void>(!::write(wake_.write.get(), "", 1));
}

DISTWORK_DECL void OutputRelay::run() {
    std::list<Source> sources;
    std::vector<pollfd> states;
    bool is_ending = false;
    while ((!is_ending || !sources.empty()) && !given_up_) {
        states.clear();
        if (!is_ending) states.push_back({wake_.read.get(), POLLIN, 0});
        for (const Source& source : sources) states.push_back({source.from.get(), POLLIN, 0});
        if (::poll(states.data(), states.size(), is_ending ? 50 : -1) < 0) continue;
        auto state = states.begin() + (is_ending ? 0 : 1);
        for (auto source = sources.begin(); source != sources.end(); ++state)
            source = state->revents == 0 || relay(*source) ? std::next(source) : sources.erase(source);
        if (!is_ending && states.front().revents != 0) {
            char woken[64];
            static_cast<void>(!::read(wake_.read.get(), woken, sizeof woken));
            const std::lock_guard lock{mutex_};
            sources.splice(sources.end(), added_);
            is_ending = is_ending_;
        }
    }
    for (Source& source : sources) finish(source);  // a process that a child started holds them open
}

DISTWORK_DECL bool OutputRelay::relay(Source& source) {
    char bytes[16 * 1024];
    const auto count = ::read(source.from.get(), bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) return true;
    if (count <= 0) return finish(source), false;
    source.rest.append(bytes, static_cast<std::size_t>(count));
    const auto end = source.rest.rfind('\n');
    if (end != std::string::npos) write_lines(source, end + 1);
    else if (source.rest.size() > most_line_bytes) write_lines(source, source.rest.size());
    return true;
}

DISTWORK_DECL void OutputRelay::finish(Source& source) {
    if (!source.rest.empty()) source.rest += '\n';
    write_lines(source, source.rest.size());
    if (source.last) source.last->end();
}

DISTWORK_DECL void OutputRelay::write_lines(Source& source, std::size_t bytes) {
    std::string_view lines = std::string_view{source.rest}.substr(0, bytes);
    if (source.last)
        for (std::size_t at = 0; at < lines.size();) {
            const std::size_t end = std::min(lines.find('\n', at), lines.size());
            source.last->add(std::string{lines.substr(at, end - at)});
            at = end + 1;
        }
    write_to_console(source.to == STDERR_FILENO ? stderr : stdout, lines, given_up_);
    source.rest.erase(0, bytes);
}

}  // namespace distwork::detail
