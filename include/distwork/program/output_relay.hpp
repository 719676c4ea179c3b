#pragma once

#include "../base/requirements.hpp"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <future>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "../base/descriptor.hpp"
#include "../base/process_id.hpp"
#include "../base/separate.hpp"

namespace distwork::detail {

/// The last lines that a process wrote. *Thread-safety*: all functions.
class LastLines {
public:
    void add(const std::string& line);
    /// The process has closed its end.
    void end();
    /// The lines, separated by line breaks. Waits a moment for the process to close its end.
    std::string text() const;

private:
    static constexpr std::size_t most_lines = 10;
    static constexpr std::size_t most_bytes = 1000;  // of a line

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    // guarded by mutex_
    std::deque<std::string> lines_;
    bool has_ended_ = false;
};

/// Writes what child processes write, in whole lines: lines of several processes do not mix. A thread of its own reads
/// and writes, since writing blocks where nobody reads.
///
/// *Thread-safety*: `add`. *Lifetime*: the destructor goes on until all processes have closed their ends, for at most a
/// second. In a process that was forked from this one it does nothing.
class OutputRelay {
public:
    /// *Errors*: throws std::system_error.
    OutputRelay();
    OutputRelay(const OutputRelay&) = delete;
    OutputRelay& operator=(const OutputRelay&) = delete;
    ~OutputRelay();

    /// Relays what comes from `from` to the descriptor `to`. `last` may be null.
    void add(Descriptor from, int to, std::shared_ptr<LastLines> last);

private:
    struct Source {
        Descriptor from;
        int to;
        std::shared_ptr<LastLines> last;
        std::string rest{};  // behind the last line break
    };
    /// A longer line is written in pieces.
    static constexpr std::size_t most_line_bytes = 64 * 1024;

    void run();
    /// False: the source has ended.
    bool relay(Source& source);
    void write_lines(Source& source, std::size_t bytes);
    /// Writes what is left of a last line.
    void finish(Source& source);

    const int process_ = process_id();
    Pipe wake_;
    std::atomic<bool> given_up_{false};
    std::promise<void> done_;
    std::mutex mutex_;
    // guarded by mutex_
    std::list<Source> added_;
    bool is_ending_ = false;
    std::thread thread_;
};

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/output_relay.ipp"
#endif
