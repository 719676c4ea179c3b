#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
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

/// One message of the peer about a work that was sent to it. Answers are reported in the order in which they arrived.
struct Answer {
    enum class What : std::uint8_t {
        reply,       ///< the outcome; with Reply::goes_on an early one, or of a part of a chunk: the work still runs
        returned,    ///< the work was recalled before it had begun
        gives_slot,  ///< the work was suspended, and holds no slot until it goes on
        takes_slot,  ///< the suspended work goes on, and holds a slot again
    };

    std::uint64_t id = 0;
    std::shared_ptr<Call> call{};  ///< null if the id is not in the table: late, doubled or invented
    What what{};
    Reply reply{};
    LargeBytes own{};  ///< owns the bytes of a large value, to which `reply` refers

    /// Copies what it refers to, unless it owns that already: it may outlive the buffer of its frame. *Errors*:
    /// std::bad_alloc.
    void keep() {
        const std::size_t bytes = reply.value.size() + reply.exception_type.size() + reply.text.size();
        if (own || bytes == 0) return;
        own = make_large_bytes(bytes);
        std::byte* to = own.get();
        const auto copy = [&to](const void* from, std::size_t count) {
            if (count != 0) std::memcpy(to, from, count);
            return std::exchange(to, to + count);
        };
        reply.value = {copy(reply.value.data(), reply.value.size()), reply.value.size()};
        for (std::string_view* const text : {&reply.exception_type, &reply.text})
            *text = {reinterpret_cast<const char*>(copy(text->data(), text->size())), text->size()};
    }

    /// Whether it is only about a slot. The work's outcome is still to come.
    bool is_of_slot() const noexcept { return what == What::gives_slot || what == What::takes_slot; }
    /// Whether it is the last answer for a work that was executed. This is the usual case.
    bool is_last() const noexcept { return what == What::reply && !reply.goes_on; }
    /// Whether it has the values of some works of a chunk, which goes on.
    bool is_partial() const noexcept { return what == What::reply && reply.goes_on && reply.error == Errc{}; }
};

/// Throws the caller's exception for an error reply: RemoteError if the work threw, else Error with the reply's Errc.
[[noreturn]] inline void throw_as(const Reply& reply, const Call& call, const std::string& peer) {
    const std::string name{call.name()};
    if (reply.error == Errc::work_failed || reply.error == Errc::failed_no_retry)
        throw RemoteError{std::string{reply.exception_type}, std::string{reply.text}, name, peer, call.attempt()};
    const std::string meaning = make_error_code(reply.error).message();
    std::string_view text = reply.text;
    if (text.starts_with(call.type().name + ": "))
        text.remove_prefix(call.type().name.size() + 2);  // the name is added below
    std::string why = text.empty() ? meaning : std::string{text};
    if (reply.error == Errc::execution_timeout && !text.empty()) why = meaning + ", " + why;  // the text is the time
    throw Error::with_text(reply.error, name + " on " + peer + ": " + why);
}

/// Converts an error reply into the caller's exception; std::bad_alloc if there is no memory for it.
inline std::exception_ptr to_exception(const Reply& reply, const Call& call, const std::string& peer) noexcept {
    return exception_of([&] { throw_as(reply, call, peer); });
}

/// Settles the calls of these answers that were not claimed before, and returns them. The caller delivers them.
inline std::vector<std::shared_ptr<Call>> settle(std::span<Answer> answers, const std::shared_ptr<Peer>& peer,
                                                 const std::string& description) noexcept {
    std::vector<std::shared_ptr<Call>> settled;
    surely([&] { settled.reserve(answers.size()); });
    for (Answer& answer : answers) {
        if (!answer.call || answer.is_of_slot()) continue;
        if (answer.is_partial()) {
            if (!answer.call->claimed()) answer.call->succeed_partly(answer.reply.value, peer);
            continue;
        }
        if (!answer.call->claim(answer.reply.error)) continue;
        if (answer.reply.error == Errc{}) answer.call->succeed(answer.reply.value, peer);
        else answer.call->fail(to_exception(answer.reply, *answer.call, description));
        settled.push_back(std::move(answer.call));
    }
    return settled;
}

}  // namespace distwork::detail
