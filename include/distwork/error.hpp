#pragma once

#include "base/requirements.hpp"

#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>

#include "base/separate.hpp"
#include "base/visibility.hpp"

namespace distwork {

/// Why a submission was refused or failed, why a session ended, or why an argument was rejected. The numbers are sent
/// in error, refuse and bye frames, so they are never reused.
enum class Errc : std::uint16_t {
    // how a submission ended, or why it was not admitted
    work_failed = 1,        ///< the work threw; the error is a RemoteError
    cancelled = 2,          ///< the caller cancelled it; equal to std::errc::operation_canceled
    lost = 3,               ///< its slaves were lost before they answered, and no attempt is left; or the session of a
                            ///< call ended
    backlog_full = 4,       ///< no slave has credit, and the backlog is full
    too_many_waiting = 5,   ///< the backlog is full, and max_waiting submissions wait for room; or max_slave_works are
                            ///< unanswered
    no_slave = 6,           ///< no connected slave can take it, and the submission asks to be refused then
    stopped = 7,            ///< the role stopped, or was destroyed, before the outcome was known
    queue_timeout = 8,      ///< it was not sent to a slave within its queue_timeout
    execution_timeout = 9,  ///< an attempt took longer than its execution_timeout
    deadline = 10,          ///< it had no outcome at its deadline
    failed_no_retry = 11,   ///< on the wire only: the work threw a NoRetry; callers see work_failed
    too_many_unread = 12,   ///< a group holds as many works and outcomes as GroupOptions::max_unread allows
    // what is wrong with the work itself
    malformed = 16,       ///< its bytes do not decode to its type, or cereal cannot encode it
    too_large = 17,       ///< it, or its answer, exceeds a limit of the frame or of ArchiveLimits
    unknown_type = 18,    ///< the peer has no type of that name
    shape_differs = 19,   ///< the peer's type of that name has another shape: the two builds do not match
    not_accepted = 20,    ///< the peer was not told to accept works, or submissions, of that type; or a work that
                          ///< may not submit called async_submit
    null_work = 21,       ///< the pointer to the work is null
    shared_pointer = 22,  ///< two shared pointers reach one object, which the archive does not support
    foreign_type = 23,    ///< a library with its own registry registered the type, or another library registered its
                          ///< name first
    too_many_suspended = 24,  ///< `max_suspended` works on the slave await calls already
    not_started = 25,         ///< no on_start function has left an object of that type on this slave
    needs_key = 26,           ///< a group with a journal cannot tell the work from others: its bytes may differ from
                              ///< run to run, and it has no SubmitOptions::key
    // why a session ended
    connection_closed = 32,   ///< the peer closed the connection
    peer_silent = 33,         ///< no byte came from the peer for longer than `dead_after`
    protocol_violation = 34,  ///< the peer sent a frame that has no meaning, or none in this state
    version_mismatch = 35,    ///< the peers share no version of the protocol; or the master's version has no nested
                              ///< submissions
    not_distwork = 36,        ///< the peer does not speak this protocol
    wrong_role = 37,          ///< a master is connected to a master, or a slave to a slave
    handshake_timeout = 38,   ///< the peer did not introduce itself within `handshake_timeout`
    too_many_slaves = 39,     ///< the master holds `max_slaves` slaves
    frame_too_large = 40,     ///< the peer announced a frame larger than `max_frame_bytes`
    outbox_full = 41,         ///< the outbox of the connection holds `max_outbox_bytes`
    draining = 42,            ///< the master let the slave go: see Master::async_drain
    session_failed = 43,      ///< this end could not continue: out of memory, or a function of the application threw
    peer_stalled = 44,        ///< the peer took no byte for longer than `stalled_after`
    start_failed = 45,        ///< an on_start function failed on the slave
    not_authenticated = 46,   ///< the peer did not prove who it is, or does not believe this end: see tls.hpp
    too_many_strangers = 47,  ///< a master has more than `max_strangers` peers that have not introduced themselves
    // arguments
    address_in_use = 64,     ///< another socket listens at the address
    bad_address = 65,        ///< the address does not parse or resolve, or is not of this machine; or a slave has no
                             ///< master or port
    needs_credentials = 66,  ///< an address beyond loopback without `insecure_plaintext`
    zero_slots = 67,         ///< a role without slots would never execute a work
    duplicate_type = 68,     ///< two types are registered under one name, or one type under two names
    unregistered_type = 69,  ///< the type is not registered (DISTWORK_REGISTER_WORK, DISTWORK_REGISTER_FUNCTION)
    bad_option = 70,         ///< an option is out of its range
    already_running = 71,    ///< `start` or `async_run` was called twice; or the process has a Program already
    on_io_thread = 72,       ///< a function of Program that blocks was called on the program's I/O thread
    journal_failed = 73,     ///< the file of a Journal is of no use: of another program, in use, or not writable
    bad_credentials = 74,    ///< a secret or a certificate cannot be used: its file, what is in it, or who may read it
};

}  // namespace distwork

/// \cond
template <>
struct std::is_error_code_enum<distwork::Errc> : std::true_type {};
/// \endcond

namespace distwork {
namespace detail {

class DISTWORK_EXPORT ErrorCategory final : public std::error_category {
public:
    const char* name() const noexcept override { return "distwork"; }

    std::string message(int value) const override;

    /// `error == std::errc::operation_canceled` (and Asio's operation_aborted, the same condition) holds for cancelled.
    std::error_condition default_error_condition(int value) const noexcept override {
        switch (static_cast<Errc>(value)) {
            case Errc::cancelled: return std::errc::operation_canceled;
            case Errc::address_in_use: return std::errc::address_in_use;
            default: return {value, *this};
        }
    }
};

}  // namespace detail

/// The category of the codes of Errc. Its name is "distwork".
DISTWORK_EXPORT inline const std::error_category& error_category() noexcept {
    static const detail::ErrorCategory category;
    return category;
}

/// The std::error_code of an Errc. Converting an Errc calls it.
inline std::error_code make_error_code(Errc error) noexcept {
    return {static_cast<int>(error), error_category()};
}

/// The Errc of an error code; `otherwise` for a code of another category.
inline Errc errc_of(std::error_code error, Errc otherwise) noexcept {
    return error.category() == error_category() ? static_cast<Errc>(error.value()) : otherwise;
}

/// The exception that `action` throws; null if it throws none. After this returns no other code holds the exception, so
/// it may be passed to another thread.
template <class Action>
std::exception_ptr exception_of(Action&& action) noexcept {
    try {
        std::forward<Action>(action)();
        return nullptr;
    } catch (...) {
        return std::current_exception();
    }
}

namespace detail {

/// The code of a std::system_error, such as an Error; no error for any other exception.
DISTWORK_DECL std::error_code error_code_of(const std::exception_ptr& error) noexcept;

}  // namespace detail

/// The exception that distwork throws and completes operations with. `code()` is an Errc, or the system's code if a
/// slave could not connect. `what()` is one sentence that names the work, the slave, the option or the address.
class Error : public std::system_error {
public:
    /// `what()` is the meaning of the code.
    explicit Error(Errc error);
    /// `what()` is `subject: ` and the meaning of the code.
    Error(Errc error, const std::string& subject);
    /// The same for a code of any category.
    Error(std::error_code error, const std::string& subject);

    /// An error with exactly this text.
    static Error with_text(std::error_code error, const std::string& text);

    /// The text. The text of std::system_error would repeat the meaning of the code.
    const char* what() const noexcept override { return text_.what(); }

protected:
    struct Whole {};                 ///< tells that a text is complete
    static constexpr Whole whole{};  ///< tells that a text is complete

    /// With a complete text.
    Error(std::error_code error, const std::string& text, Whole);

private:
    std::runtime_error text_;  // a std::runtime_error, since copying an exception must not throw
};

/// Call it in a catch block: rethrows the current exception, an error with `subject` before its text. Returns if the
/// exception is no std::system_error.
[[noreturn]] DISTWORK_DECL void rethrow_naming(const std::string& subject);

/// A work threw on its slave. Tells what is known of the exception, and where it happened.
class RemoteError : public Error {
public:
    /// The library makes it when the answer arrives; tests may make one, too.
    RemoteError(std::string type, std::string text, std::string work, std::string slave, unsigned attempt);

    const std::string& type() const noexcept { return type_; }    ///< the exception's type, e.g. "std::out_of_range"
    const std::string& text() const noexcept { return text_; }    ///< the exception's what(), if it has one
    const std::string& work() const noexcept { return work_; }    ///< SubmitOptions::name, else the type's name
    const std::string& slave() const noexcept { return slave_; }  ///< the slave's name and address
    unsigned attempt() const noexcept { return attempt_; }        ///< counted from 1

private:
    std::string type_;
    std::string text_;
    std::string work_;
    std::string slave_;
    unsigned attempt_;
};

}  // namespace distwork

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "impl/error.ipp"
#endif
