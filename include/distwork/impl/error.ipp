#pragma once

#include <exception>
#include <string>
#include <system_error>
#include <utility>

#include "../error.hpp"

namespace distwork {
namespace detail {

DISTWORK_DECL std::string ErrorCategory::message(int value) const {
    switch (static_cast<Errc>(value)) {
        case Errc::work_failed: return "the work threw an exception";
        case Errc::cancelled: return "it was cancelled";
        case Errc::lost: return "the slave's connection was lost before it answered";
        case Errc::backlog_full:
            return "no slave has credit, and the backlog is full: async_distribute_work and async_call wait for "
                   "room";
        case Errc::too_many_waiting:
            return "the backlog is full, and max_waiting submissions wait for room in it already";
        case Errc::no_slave: return "no slave is connected that can take it";
        case Errc::stopped: return "the role stopped";
        case Errc::queue_timeout: return "no slave took it within its queue_timeout";
        case Errc::execution_timeout: return "its execution took longer than its execution_timeout";
        case Errc::deadline: return "it had no outcome at its deadline";
        case Errc::too_many_unread: return "the group holds as many works and outcomes as max_unread allows";
        case Errc::failed_no_retry: return "the work threw an exception that is not to be retried";
        case Errc::malformed: return "the bytes do not decode to the type";
        case Errc::too_large: return "it exceeds a size limit";
        case Errc::unknown_type:
            return "the peer has no work type of that name: register it there, under the same name";
        case Errc::shape_differs:
            return "the peer's type of that name has another shape: build both programs from the same source";
        case Errc::not_accepted: return "the peer does not accept works of that type (accept_work)";
        case Errc::null_work: return "there is no work behind the pointer";
        case Errc::shared_pointer: return "two shared pointers reach one object, which cannot be sent";
        case Errc::too_many_suspended: return "max_suspended works on the slave await calls already";
        case Errc::foreign_type:
            return "the library that registered the work type has a registry of its own, or another library "
                   "registered its name first";
        case Errc::not_started: return "no on_start function has left an object of this type on the slave";
        case Errc::needs_key: return "its bytes may differ from run to run: set SubmitOptions::key";
        case Errc::connection_closed: return "the peer closed the connection";
        case Errc::peer_silent: return "the peer has been silent for too long (dead_after)";
        case Errc::protocol_violation: return "the peer broke the protocol";
        case Errc::version_mismatch: return "the peers share no version of the protocol";
        case Errc::not_distwork: return "the peer does not speak distwork's protocol";
        case Errc::wrong_role: return "both peers have the same role: a slave connects to a master";
        case Errc::handshake_timeout: return "the peer did not introduce itself within handshake_timeout";
        case Errc::too_many_slaves: return "the master holds as many slaves as it may (max_slaves)";
        case Errc::frame_too_large: return "the peer announced a frame beyond max_frame_bytes";
        case Errc::outbox_full: return "the outbox of the connection is full (max_outbox_bytes)";
        case Errc::draining: return "the master let the slave go";
        case Errc::session_failed: return "the session failed at this end";
        case Errc::peer_stalled: return "the peer does not read: it took no byte for longer than stalled_after";
        case Errc::start_failed: return "an on_start function failed on the slave";
        case Errc::not_authenticated: return "the peer did not prove who it is, or does not believe this end";
        case Errc::too_many_strangers: return "the master has max_strangers connections of peers that it does not know";
        case Errc::bad_credentials: return "a secret or a certificate cannot be used";
        case Errc::address_in_use: return "another socket listens at the address";
        case Errc::bad_address: return "the address does not parse or resolve, or is not of this machine";
        case Errc::needs_credentials:
            return "an address beyond this machine needs credentials, or insecure_plaintext in the role's options";
        case Errc::zero_slots: return "a role needs at least one slot to execute works";
        case Errc::duplicate_type: return "two work types are registered under one name, or one type under two names";
        case Errc::unregistered_type: return "the work type is not registered (DISTWORK_REGISTER_WORK)";
        case Errc::bad_option: return "an option has an unusable value";
        case Errc::on_io_thread: return "it blocks, and was called on the program's I/O thread";
        case Errc::journal_failed: return "the journal cannot be used";
        case Errc::already_running: return "the role was started before";
    }
    return "unknown distwork error " + std::to_string(value);
}

DISTWORK_DECL std::error_code error_code_of(const std::exception_ptr& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (const std::system_error& failure) {
        return failure.code();
    } catch (...) {
        return {};
    }
}

}  // namespace detail

DISTWORK_DECL Error::Error(Errc error)
    : Error{make_error_code(error), error_category().message(static_cast<int>(error)), whole} {}

DISTWORK_DECL Error::Error(Errc error, const std::string& subject) : Error{make_error_code(error), subject} {}

DISTWORK_DECL Error::Error(std::error_code error, const std::string& subject)
    : Error{error, subject + (subject.empty() ? "" : ": ") + error.message(), whole} {}

DISTWORK_DECL Error Error::with_text(std::error_code error, const std::string& text) {
    return {error, text, whole};
}

DISTWORK_DECL Error::Error(std::error_code error, const std::string& text, Whole)
    : std::system_error{error}, text_{text} {}

[[noreturn]] DISTWORK_DECL void rethrow_naming(const std::string& subject) {
    try {
        throw;
    } catch (const Error& error) {
        throw Error::with_text(error.code(), subject + error.what());
    } catch (const std::system_error& error) {
        throw Error::with_text(error.code(), subject + error.code().message());
    }
}

DISTWORK_DECL RemoteError::RemoteError(std::string type, std::string text, std::string work, std::string slave,
                                       unsigned attempt)
    : Error{make_error_code(Errc::work_failed),
            work + " on " + slave + ", attempt " + std::to_string(attempt) + ": " + type + (text.empty() ? "" : ": ") +
                text,
            whole},
      type_{std::move(type)},
      text_{std::move(text)},
      work_{std::move(work)},
      slave_{std::move(slave)},
      attempt_{attempt} {}

}  // namespace distwork
