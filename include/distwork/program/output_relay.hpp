#pragma once

#include "../base/requirements.hpp"

#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "../base/separate.hpp"
#include "descriptor.hpp"

namespace distwork::detail {

/// The last lines that a process wrote. *Thread-safety*: all functions.
class LastLines {
public:
    void add(const std::string& line);
    /// The lines, separated by line breaks.
    std::string text() const;

private:
    static constexpr std::size_t most_lines = 10;
    static constexpr std::size_t most_bytes = 1000;  // of a line

    mutable std::mutex mutex_;
    std::deque<std::string> lines_;  // guarded by mutex_
};

/// Writes what child processes write, in whole lines: lines of several processes do not mix. A thread of its own reads
/// and writes, since writing blocks where nobody reads.
///
/// *Thread-safety*: `add`. *Lifetime*: the destructor writes what was read until all processes have closed their ends,
/// for at most a second.
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
    static bool relay(Source& source);
    static void write_lines(Source& source, std::size_t bytes);

    Pipe wake_;
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
