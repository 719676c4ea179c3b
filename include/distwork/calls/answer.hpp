#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/surely.hpp"
#include "../error.hpp"
#include "../wire/large_blocks.hpp"
#include "../wire/reply.hpp"
#include "call.hpp"
#include "peer.hpp"

namespace distwork::detail {

/// What came back for one work. All of it is told in the order in which it came.
struct Answer {
    enum class What : std::uint8_t {
        reply,       ///< its outcome, or an early word of it
        returned,    ///< it was recalled, and had not begun: it comes back
        gives_slot,  ///< it goes on later, and needs no slot until then
        takes_slot,  ///< it goes on
    };

    std::uint64_t id = 0;
    std::shared_ptr<Call> call{};  ///< null: late, doubled or invented
    What what{};
    Reply reply{};
    LargeBytes own{};  ///< keeps a large value alive

    /// It tells of a slot; the work's outcome is still to come.
    bool is_of_slot() const noexcept { return what == What::gives_slot || what == What::takes_slot; }
    /// The usual case: the work was executed, and nothing more comes for it.
    bool is_last() const noexcept { return what == What::reply && !reply.goes_on; }
};

/// Throws what the caller of a work is told whose answer is an error.
[[noreturn]] inline void throw_as(const Reply& reply, const Call& call, const std::string& peer) {
    const std::string name{call.name()};
    if (reply.error == Errc::work_failed || reply.error == Errc::failed_for_good)
        throw RemoteError{std::string{reply.exception_type}, std::string{reply.text}, name, peer, call.attempt()};
    const std::string meaning = make_error_code(reply.error).message();
    std::string_view text = reply.text;
    if (text.starts_with(call.type().name + ": ")) text.remove_prefix(call.type().name.size() + 2);  // named already
    std::string why = text.empty() ? meaning : std::string{text};
    if (reply.error == Errc::execution_timeout && !text.empty()) why = meaning + ", " + why;  // it says: after how long
    throw Error::with_text(reply.error, name + " on " + peer + ": " + why);
}

/// What the caller of a work is told whose answer is an error; or std::bad_alloc, where memory lacks for that.
inline std::exception_ptr to_exception(const Reply& reply, const Call& call, const std::string& peer) noexcept {
    return exception_of([&] { throw_as(reply, call, peer); });
}

/// Settles the calls that the answers are for and nobody claimed before; returns them, to be delivered.
inline std::vector<std::shared_ptr<Call>> settle(std::span<Answer> answers, const std::shared_ptr<Peer>& peer,
                                                 const std::string& description) noexcept {
    std::vector<std::shared_ptr<Call>> settled;
    surely([&] { settled.reserve(answers.size()); });
    for (Answer& answer : answers) {
        if (!answer.call || answer.is_of_slot() || !answer.call->claim(answer.reply.error)) continue;
        if (answer.reply.error == Errc{}) answer.call->succeed(answer.reply.value, peer);
        else answer.call->fail(to_exception(answer.reply, *answer.call, description));
        settled.push_back(std::move(answer.call));
    }
    return settled;
}

}  // namespace distwork::detail
