// A real job: a master and its slaves, as separate processes, count the words of all files below the paths given.
//
// word_count PATH…    prints the 20 most frequent words, as COUNT WORD

#include <algorithm>
#include <asio/signal_set.hpp>
#include <asio/thread_pool.hpp>
#include <chrono>
#include <csignal>
#include <deque>
#include <exception>
#include <future>
#include <iostream>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "count_words.hpp"
#include "parts.hpp"
#include "slave_processes.hpp"

using namespace std::chrono_literals;

// The master's side: hands out works, a bounded number at a time, and merges what comes back.
class WordCount {
public:
    WordCount(distwork::Master<>& master, std::size_t slaves) : master_{master}, most_under_way_{4 * slaves} {}

    void count(const std::vector<std::string>& paths) {
        Parts parts{[this](CountWords work) { hand_out(std::move(work)); }};
        for (const std::string& path : paths) parts.add(path);
        parts.flush();
        while (!under_way_.empty()) merge();
        std::cerr << '\n';
    }

    void print_most_frequent(std::size_t count) const {
        std::vector<std::pair<std::string, std::uint64_t>> words{counts_.begin(), counts_.end()};
        const auto end = words.begin() + static_cast<std::ptrdiff_t>(std::min(count, words.size()));
        std::partial_sort(words.begin(), end, words.end(), [](const auto& one, const auto& other) {
            return std::pair{other.second, one.first} < std::pair{one.second, other.first};
        });
        std::for_each(words.begin(), end,
                      [](const auto& word) { std::cout << word.second << ' ' << word.first << '\n'; });
    }

private:
    void hand_out(CountWords work) {
        if (under_way_.size() == most_under_way_) merge();
        // Without any slave left it would wait for one that never comes.
        const auto options = distwork::SubmitOptions{}.when_unavailable(distwork::WhenUnavailable::refuse);
        under_way_.push_back(master_.async_call(std::move(work), options, asio::use_future));
    }

    /// Waits for the oldest work.
    void merge() {
        const Counted counted = under_way_.front().get();
        under_way_.pop_front();
        add(counts_, counted.counts);
        for (const auto& [path, reason] : counted.unreadable)
            if (skipped_.insert(path).second) std::cerr << path << ": " << reason << ", skipped\n";
        std::cerr << ++works_ << " works, " << counts_.size() << " different words\r" << std::flush;
    }

    distwork::Master<>& master_;
    const std::size_t most_under_way_;
    std::deque<std::future<Counted>> under_way_;
    Counts counts_;
    std::set<std::string> skipped_;
    std::size_t works_ = 0;
};

void run_master(const char* program, const std::vector<std::string>& paths) {
    const std::size_t slaves = std::max(2u, std::thread::hardware_concurrency());
    asio::thread_pool io{1};
    distwork::Master master{io.get_executor(), 0};
    master.start();
    SlaveProcesses processes{program, slaves, master.local_endpoint().port()};
    if (master.async_wait_for_slaves(slaves, asio::use_future).wait_for(10s) != std::future_status::ready)
        throw std::runtime_error{"the slaves do not connect"};

    WordCount words{master, slaves};
    words.count(paths);
    words.print_most_frequent(20);

    master.async_stop(1s, asio::use_future).get();  // the slaves end when it leaves
    processes.wait();
}

void run_slave(const std::string& port) {
    asio::io_context io{1};
    distwork::Slave slave{io.get_executor(),
                          "127.0.0.1",
                          static_cast<std::uint16_t>(std::stoul(port)),
                          {.slots = 1, .reconnect = distwork::Reconnect::never}};
    asio::signal_set signals{io, SIGINT, SIGTERM};
    signals.async_wait([&](std::error_code error, int) {
        if (!error) slave.async_drain(asio::detached);
    });
    slave.async_run([&](std::exception_ptr) { signals.cancel(); });
    io.run();
}

int main(int argc, char** argv) try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.empty()) throw std::invalid_argument{"which paths?"};
    if (arguments.size() == 2 && arguments[0] == "--slave") run_slave(arguments[1]);
    else run_master(argv[0], arguments);
} catch (const std::exception& error) {
    std::cerr << "word_count: " << error.what() << '\n';
    return 1;
}
