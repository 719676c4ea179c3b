// A program that runs on slaves of its own, as program_test.cpp asks: program_process MODE [--distwork-…]

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <distwork/local_slaves.hpp>
#include <distwork/program.hpp>
#include <filesystem>
#include <iostream>
#include <map>
#include <ranges>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace work {

int square(int x) {
    return x * x;
}
int slow_square(int x) {
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
    return x * x;
}
int crash(int x) {
    if (x == 3) std::abort();
    return x;
}
int crash_among_many(int x) {
    if (x == 12'345) std::abort();
    return 2 * x;
}

/// Returns the one GPU that it was given, which no other work has at the same time.
int hold_a_gpu(distwork::Context& peer, const std::string& folder) {
    const auto given = peer.indices("gpu");
    if (given.size() != 1) throw std::runtime_error{"it was given " + std::to_string(given.size()) + " GPUs"};
    const int file = ::open((folder + "/gpu" + std::to_string(given[0])).c_str(), O_CREAT | O_RDWR, 0600);
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) throw std::runtime_error{"another work has this GPU"};
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
    ::close(file);
    return static_cast<int>(given[0]);
}

/// What stays in each process.
struct Model {
    int process = 0;
    std::vector<int> weights;
};
Model load(int weights) {
    std::cout << "loaded\n" << std::flush;
    return {::getpid(), std::vector<int>(static_cast<std::size_t>(weights), 1)};
}
int weigh(distwork::Context& peer, int x) {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});  // so that all processes have their share
    const auto& model = peer.local<Model>();
    return model.process == ::getpid() ? x * static_cast<int>(model.weights.size()) : -1;
}
void fail_to_load() {
    throw std::runtime_error{"there is no such model"};
}

int refuse(int x) {
    if (x == 3) throw std::invalid_argument{"three"};
    return x;
}
void hang() {
    std::this_thread::sleep_for(std::chrono::minutes{10});
}
void say(int x) {
    // Half lines, of several processes at once
    std::cout << "<line " << std::flush;
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
    std::cout << x << ">\n" << std::flush;
}
int process() {
    return ::getpid();
}

}  // namespace work

DISTWORK_REGISTER_FUNCTION(work::hold_a_gpu)
DISTWORK_REGISTER_FUNCTION(work::square)
DISTWORK_REGISTER_FUNCTION(work::slow_square)
DISTWORK_REGISTER_FUNCTION(work::crash)
DISTWORK_REGISTER_FUNCTION(work::crash_among_many)
DISTWORK_REGISTER_START(work::load)
DISTWORK_REGISTER_START(work::fail_to_load)
DISTWORK_REGISTER_FUNCTION(work::weigh)
DISTWORK_REGISTER_FUNCTION(work::refuse)
DISTWORK_REGISTER_FUNCTION(work::hang)
DISTWORK_REGISTER_FUNCTION(work::say)
DISTWORK_REGISTER_FUNCTION(work::process)

namespace {

using distwork::Program;

asio::awaitable<int> both(distwork::Master<>& master) {
    const int four = co_await master.async_call<work::square>(2);
    const int nine = co_await master.async_call<work::square>(3);
    co_return four + nine;
}

asio::awaitable<void> block_on_io_thread(Program& program) {
    try {
        program.call<work::square>(2);
    } catch (const distwork::Error& error) {
        std::cout << error.what() << '\n';
    }
    co_return;
}

asio::awaitable<void> slaves_connect(distwork::Master<>& master) {
    co_await master.async_wait_for_slaves(2);
}

asio::awaitable<void> let_all_but_one_go(distwork::Master<>& master) {
    co_await master.async_wait_for_slaves(3);
    for (const auto& slave : master.sockets())
        if (master.connected_slave_count() != 1) co_await master.async_drain(slave.id);
}

asio::awaitable<void> exit_on_io_thread() {
    std::exit(5);
    co_return;
}

asio::awaitable<void> outlast_limits(distwork::Master<>& master, std::size_t works) {
    const auto limited = distwork::SubmitOptions{}.execution_timeout(std::chrono::milliseconds{100});
    try {
        co_await master.async_call<work::hang>(limited);
    } catch (const distwork::Error& error) {
        std::cout << (error.code() == distwork::Errc::execution_timeout) << ' ';
    }
    std::set<int> processes;
    for (std::size_t i = 0; i < works; ++i) {
        processes.insert(co_await master.async_call<work::process>());
        co_await master.async_call<work::slow_square>(2);
    }
    std::cout << (processes.size() > 1) << '\n';
}

/// A work that does not end, then so many that the one process is replaced.
int run_with_limits() {
    asio::io_context io;
    distwork::Master<> master{io, {.address = ""}};
    master.start();
    distwork::LocalSlavesOptions options;
    options.count = 1;
    options.limits.end_process_after = std::chrono::milliseconds{300};
    options.limits.max_works = 10;
    distwork::LocalSlaves slaves{master, options};
    std::exception_ptr failure;
    asio::co_spawn(io, outlast_limits(master, 50), [&](std::exception_ptr error) {
        failure = std::move(error);
        master.async_stop(std::chrono::seconds{1}, [&](const std::exception_ptr&) { io.stop(); });
    });
    io.run();
    if (failure) std::rethrow_exception(failure);
    return 0;
}

/// From here on the system has no pidfd_open, as before Linux 5.3.
void forget_pidfd_open() {
    std::array<sock_filter, 4> filter{{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
                                       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                                       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
    const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0 || ::syscall(SYS_pidfd_open, ::getpid(), 0) >= 0)
        std::cout << "there is pidfd_open\n";
}

int run(Program& program, const std::string& mode) {
    if (mode == "sum") {
        long sum = 0;
        for (auto& outcome : program.map<work::square>(std::views::iota(0, 1000))) sum += outcome.value();
        std::cout << "sum " << sum << ", run " << program.run(both(program.master())) << ", call "
                  << program.call<work::square>(12) << '\n';
        for (const int value : program.map<work::square>(std::vector{3, 2, 1}).values()) std::cout << value << ' ';
        std::cout << '\n';
    } else if (mode == "crash") {
        for (auto& outcome : program.map<work::crash>(std::views::iota(0, 100)))
            if (outcome.error) {
                try {
                    static_cast<void>(outcome.value());
                } catch (const distwork::Error& error) {
                    std::cout << outcome.index << " after " << outcome.attempt << ": " << error.what() << '\n';
                }
            }
    } else if (mode == "crash_among_many") {
        std::size_t right = 0;
        for (auto& outcome : program.map<work::crash_among_many>(std::views::iota(0, 30'000))) {
            if (outcome.error) std::cout << outcome.index << " failed after " << outcome.attempt << '\n';
            else right += outcome.value() == 2 * static_cast<int>(outcome.index);
        }
        std::cout << right << " are right\n";
    } else if (mode == "start") {
        program.on_start<work::load>(3);
        program.run(slaves_connect(program.master()));
        int sum = 0;
        for (auto& outcome : program.map<work::weigh>(std::views::iota(0, 1000))) sum += outcome.value();
        std::cout << "sum " << sum << '\n';
    } else if (mode == "fail_to_start") {
        program.on_start<work::fail_to_load>();
        program.call<work::square>(2);
    } else if (mode == "let_go") {
        program.run(let_all_but_one_go(program.master()));
        std::this_thread::sleep_for(std::chrono::milliseconds{500});  // in which others would be started
        std::cout << program.call<work::square>(5) << " by " << program.master().connected_slave_count() << '\n';
    } else if (mode == "limits") {
        return run_with_limits();
    } else if (mode == "throw") {
        try {
            program.map<work::refuse>(std::views::iota(0, 100'000)).values();
        } catch (const distwork::RemoteError& error) {
            std::cout << error.text() << '\n';
        }
    } else if (mode == "slow") {
        std::size_t seen = 0;
        for (auto& outcome : program.map<work::slow_square>(std::views::iota(0, 100'000))) {
            static_cast<void>(outcome.value());
            if (++seen == 1) std::cout << "begun" << std::endl;
        }
        std::cout << "seen " << seen << '\n';
    } else if (mode == "hang") {
        std::cout << "begun" << std::endl;
        program.call<work::hang>();
    } else if (mode == "say") {
        for (auto& outcome : program.map<work::say>(std::views::iota(100, 200))) outcome.value();
    } else if (mode == "exit") {
        for (auto& outcome : program.map<work::slow_square>(std::views::iota(0, 1000)))
            if (outcome.index > 3) std::exit(7);
    } else if (mode == "exit_on_io_thread") {
        program.run(exit_on_io_thread());
    } else if (mode == "block_on_io_thread") {
        program.run(block_on_io_thread(program));
    } else if (mode == "broken") {
        program.call<work::square>(2);
    } else if (mode == "wait") {
        // For slaves from elsewhere
        std::cout << "port " << program.master().local_endpoint().port() << std::endl;
        int one = program.call<work::process>();
        std::cout << (one == ::getpid() ? "here" : "elsewhere") << '\n';
    } else if (mode == "gpus") {
        char folder[] = "/tmp/gpus_XXXXXX";
        if (!::mkdtemp(folder)) return 1;
        const distwork::LocalSlaves slaves{program.master(), {.count = 4, .amounts = {{"gpu", 2}}, .indexed = {"gpu"}}};
        std::map<int, int> used;
        for (auto& outcome : program.map<work::hold_a_gpu>(std::vector<std::string>(60, folder),
                                                           distwork::SubmitOptions{}.amount("gpu", 1))) {
            if (outcome) ++used[outcome.value()];
            else std::cout << outcome.what() << '\n';
        }
        for (const auto& [gpu, works] : used) std::cout << "gpu " << gpu << (works > 5 ? " was used\n" : " was idle\n");
        std::filesystem::remove_all(folder);
    } else if (mode == "ignores_children" || mode == "reaps_children") {
        std::size_t failed = 0;
        for (auto& outcome : program.map<work::crash>(std::views::iota(0, 20))) failed += !outcome;
        std::cout << failed << " failed\n";
    }
    return program.status();
}

}  // namespace

int main(int argc, char** argv) {
    const std::string mode = argc > 1 ? argv[1] : "";
    const bool is_child = std::getenv("DISTWORK_CHILD") != nullptr;
    if (std::getenv("WITHOUT_PIDFD_OPEN")) forget_pidfd_open();
    if (mode == "broken" && is_child) {
        std::cerr << "no such library\n";
        return 3;
    }
    if (mode == "nested") {  // a main that begins with neither Program nor run_slave
        asio::io_context io;
        distwork::Master<> master{io, {.address = ""}};
        try {
            const distwork::LocalSlaves slaves{master, {.count = 1}};
            master.start();
            master.distribute_work(distwork::FunctionWork<&work::square>{{2}});
            io.run_for(std::chrono::seconds{5});
        } catch (const distwork::Error& error) {
            std::cout << error.what() << std::endl;
        }
        return 0;
    }
    if (mode == "ignores_children") ::signal(SIGCHLD, SIG_IGN);
    Program program{argc, argv};
    if (mode == "reaps_children")
        std::thread{[] {
            for (;;)
                if (::waitpid(-1, nullptr, 0) < 0) std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }}.detach();
    if (mode == "arguments") {
        for (int i = 1; i < argc; ++i) std::cout << argv[i] << '\n';
        return 0;
    }
    try {
        return run(program, mode);
    } catch (const std::exception& error) {
        std::cout << "ended by: " << error.what() << '\n';
        return program.status() ? program.status() : 1;
    }
}
