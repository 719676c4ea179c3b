#pragma once

#include <asio/co_spawn.hpp>
#include <asio/use_future.hpp>
#include <exception>
#include <future>
#include <memory>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "base/asio.hpp"
#include "calls/call_function.hpp"
#include "calls/kept_work.hpp"
#include "map.hpp"
#include "master.hpp"
#include "on_start.hpp"
#include "outcome.hpp"
#include "program/map_loop.hpp"
#include "program/program_core.hpp"
#include "register.hpp"
#include "submit_options.hpp"
#include "work_group.hpp"

// A program that links distwork::tls can have a secret. All of its files that use Program must know that.
#ifdef DISTWORK_TLS
#include "program/tls_roles.hpp"
#define DISTWORK_LOAD_SECRET &detail::TlsRoles::load
DISTWORK_ALIKE("distwork_files_have_program_with_and_without_tls", "with")
#else
#define DISTWORK_LOAD_SECRET nullptr
DISTWORK_ALIKE("distwork_files_have_program_with_and_without_tls", "without")
#endif

namespace distwork {

/// A program whose functions run on many processes: on those of this machine, and on slaves from elsewhere.
///
/// Make one at the beginning of `main`. It takes its own options out of the arguments, and starts a slave for each
/// processor: a process of this very program, which never leaves the constructor. `--distwork-help` lists the options;
/// each can also be given in the environment, `--distwork-listen` as `DISTWORK_LISTEN`. A wrong option is said in a
/// sentence, and ends the process with status 2.
///
/// With `--distwork-secret=FILE` the master and its slaves from elsewhere prove to each other that they have the secret in
/// that file (tls.hpp). The program must link distwork::tls for that.
///
/// The first Ctrl-C or SIGTERM admits nothing more: what runs finishes, what waits is over, and the loop over a map ends
/// early. The second ends the process at once.
///
/// *Thread-safety*: all functions; those that block throw Error (on_io_thread) on the program's I/O thread. *Lifetime*:
/// one in a process at a time. The destructor ends the slaves, and blocks until they have ended.
class Program {
public:
    /// Starts the master and the slaves. Does not return in a process that is a slave: it ends there. *Errors*: throws
    /// Error (address_in_use, bad_address, needs_credentials, duplicate_type), std::system_error.
    Program(int& argc, char** argv) : core_{detail::start_program(argc, argv, DISTWORK_LOAD_SECRET)} {}
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    ~Program() { detail::end_program(*core_); }

    /// The master, on the program's I/O thread.
    Master<>& master() noexcept { return core_->master(); }

    /// Runs a coroutine on the I/O thread to its end. Blocks. Returns its value, or throws its exception.
    template <class T>
    T run(asio::awaitable<T> coroutine) {
        core_->check_thread();
        return asio::co_spawn(core_->executor(), std::move(coroutine), asio::use_future).get();
    }

    /// Calls a registered function on a slave, and returns its value: its arguments, then optionally SubmitOptions.
    /// Blocks. *Errors*: throws what Master::async_call completes with.
    template <auto F, class... Rest>
    typename FunctionWork<F>::result_type call(Rest&&... rest) {
        core_->check_thread();
        using Result = typename FunctionWork<F>::result_type;
        const auto waited = std::make_shared<Waited<Result>>();
        if constexpr (std::is_void_v<Result>) {
            master().template async_call<F>(std::forward<Rest>(rest)..., [waited](std::exception_ptr error) {
                waited->error = std::move(error);
                waited->done.set_value();
            });
        } else {
            master().template async_call<F>(std::forward<Rest>(rest)...,
                                            [waited](std::exception_ptr error, Result value) {
                                                waited->error = std::move(error);
                                                waited->result.value = std::move(value);
                                                waited->done.set_value();
                                            });
        }
        waited->done.get_future().wait();
        if (auto error = std::move(waited->error)) std::rethrow_exception(std::move(error));
        if constexpr (!std::is_void_v<Result>) return std::move(waited->result.value);
    }

    /// Calls a registered function for each element of a range, on the slaves: a range of the outcomes as they complete,
    /// `for (auto& outcome : program.map<f>(range))`, each an Outcome of the function's result. As many elements are
    /// taken as the slaves ask for, in the thread that loops. An element is the argument of a function that has one; or
    /// it is a tuple, pair or array, whose members are the arguments.
    ///
    /// The loop blocks for the next outcome. After a Ctrl-C it ends early: what was not sent is omitted. Leaving the loop
    /// cancels the rest. With a `journal`, a Journal, values of earlier runs are not computed again: see GroupOptions.
    template <auto F, class Range>
    auto map(Range&& range, SubmitOptions options = SubmitOptions{}, std::shared_ptr<detail::ValueStore> journal = {}) {
        detail::MapLoop<typename FunctionWork<F>::result_type> loop{core_, std::move(journal)};
        loop.template add<F>(std::forward<Range>(range), std::move(options));
        return loop;
    }
    /// The same with the default options.
    template <auto F, class Range>
    auto map(Range&& range, std::shared_ptr<detail::ValueStore> journal) {
        return map<F>(std::forward<Range>(range), SubmitOptions{}, std::move(journal));
    }

    /// Has each slave call a function before it executes anything else, those that come later, too: see
    /// distwork::on_start. *Errors*: as that.
    template <auto F, class... Arguments>
    void on_start(Arguments&&... arguments) {
        distwork::on_start<F>(master(), std::forward<Arguments>(arguments)...);
    }

    /// Whether a Ctrl-C or SIGTERM came.
    std::stop_token stop_token() const { return core_->stop_token(); }

    /// What `main` returns: 0, or 128 and the number of the signal that stopped the program: 130 after Ctrl-C, 143 after
    /// SIGTERM.
    int status() const noexcept { return core_->status(); }

private:
    /// What a call that blocks waits for. The exception is handed over, so that only one thread holds it.
    template <class R>
    struct Waited {
        std::promise<void> done;
        std::exception_ptr error;
        detail::Value<R> result;
    };

    std::shared_ptr<detail::ProgramCore> core_;
};

}  // namespace distwork
