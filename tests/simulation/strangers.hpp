#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <distwork.hpp>
#include <distwork/sim/simulation.hpp>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>

#include "simulation/ledger.hpp"
#include "simulation/line.hpp"

// Who comes to a master and is no slave of ours: one of another version, one that speaks wrongly, or with bad intent.

namespace storm {

/// Who comes to a master, and is no slave of ours.
struct Stranger {
    enum Manner {
        // skew
        of_later_version,
        of_earlier_version,
        of_versions_up_to_later,
        of_first_version,
        master_itself,
        flags_at_first,
        speaks_otherwise,
        kind_before_types,
        types_of_nonsense,
        takes_no_works,
        kind_after_types,
        flags_after_types,
        work_of_no_type,
        announces_too_much,
        // bad intent
        answers_twice,
        answers_unasked,
        answers_never,
        answers_early,
        answers_nonsense,
        returns_unasked,
        breaks_an_answer,
        never_reads,
        manners
    };

    Manner manner{};
    std::uint64_t variant = 0;  // of it
    sim::Host* host = nullptr;
    sim::TimePoint begun{};
    sim::TimePoint ended{};
    bool is_over = false;
    bool is_welcome = false;
    bool is_unproven = false;             // it has no credentials where masters ask for some
    std::string logged;                   // what the master said of its end
    Errc told = Errc::connection_closed;  // why, if the master said why
    std::uint64_t unwanted = 0;           // answers that nobody waits for
    std::uint64_t surely_heard = 0;       // of these, unless faults came between
    std::uint64_t last_id = 0;            // of what it answered last

    bool is_hostile() const noexcept { return manner >= answers_twice; }
    /// It is a slave for a moment at least, and may be sent works.
    bool joins() const noexcept { return manner >= kind_after_types || leaves_at_once(); }
    /// It says what it has, and goodbye.
    bool leaves_at_once() const noexcept { return manner == of_versions_up_to_later || manner == of_first_version; }
    std::uint16_t version() const noexcept {
        return manner == of_first_version ? std::uint16_t{1} : distwork::newest_protocol_version;
    }
    /// It stays until it is cut off.
    bool stays() const noexcept { return is_hostile() && manner != breaks_an_answer && manner != never_reads; }

    /// What both ends take for the reason, where no fault comes between.
    Errc reason() const noexcept {
        switch (manner) {
            case of_later_version:
            case of_earlier_version: return Errc::version_mismatch;
            case master_itself: return Errc::wrong_role;
            case speaks_otherwise: return Errc::not_distwork;
            case announces_too_much: return Errc::frame_too_large;
            case never_reads: return Errc::peer_stalled;
            case of_versions_up_to_later:
            case of_first_version:
            case returns_unasked:
            case answers_twice:
            case answers_unasked:
            case answers_never:
            case answers_early:
            case answers_nonsense: return Errc::connection_closed;
            default: return Errc::protocol_violation;
        }
    }

    /// What the master says to it of that.
    Errc farewell() const noexcept {
        return manner == speaks_otherwise || manner == never_reads ? Errc::connection_closed : reason();
    }

    Bytes first_words() const {
        distwork::detail::Greeting greeting{.role = distwork::detail::Role::slave, .name = "stranger"};
        if (manner == of_later_version) greeting.oldest = 900, greeting.newest = 901;
        if (manner == of_earlier_version) greeting.oldest = greeting.newest = 0;
        if (manner == of_versions_up_to_later) greeting.newest = 901;
        if (manner == of_first_version) greeting.oldest = greeting.newest = 1;
        if (manner == master_itself) greeting.role = distwork::detail::Role::master;
        FrameHeader header{.kind = FrameKind::hello};
        if (manner == flags_at_first) header.flags = static_cast<std::uint8_t>(1 + variant % 255);
        if (manner == speaks_otherwise) header.kind = FrameKind{static_cast<std::uint8_t>(3 + variant % 250)};
        Bytes bytes;
        append(bytes, header, encode(greeting));
        return bytes;
    }

    Bytes second_words() const {
        static constexpr std::array meaningless{FrameKind{0},      FrameKind::hello,  FrameKind::welcome,
                                                FrameKind::refuse, FrameKind::recall, FrameKind::progress,
                                                FrameKind{17},     FrameKind{99},     FrameKind{255}};
        const FrameHeader nonsense{.kind = meaningless[variant % meaningless.size()]};
        Bytes bytes;
        if (manner == kind_before_types) append(bytes, nonsense);
        if (manner == types_of_nonsense) append(bytes, {.kind = FrameKind::types}, Bytes(7));
        else append_types(bytes, manner == takes_no_works ? 0 : 4, {&distwork::detail::work_type<Work>()}, version());
        if (manner == kind_after_types) append(bytes, nonsense);
        // 1 has a meaning with works alone, and in those the others have none.
        if (manner == flags_after_types && variant % 2) append(bytes, {.kind = FrameKind::ping, .flags = 1});
        else if (manner == flags_after_types) append(bytes, {.kind = FrameKind::work, .flags = 4}, Bytes(8));
        if (manner == work_of_no_type) append(bytes, {.kind = FrameKind::work, .type = 0xffff, .id = 1}, Bytes(8));
        if (manner == announces_too_much) append(bytes, {.length = 0xffff'ffff, .kind = FrameKind::answer});
        if (leaves_at_once())
            append(bytes, {.kind = FrameKind::bye},
                   encode(distwork::detail::Refusal{Errc::connection_closed, "that was all"}));
        return bytes;
    }

    /// What it makes of a work.
    Bytes answer(const FrameHeader& work, std::span<const std::byte> body) {
        Bytes bytes;
        if (!is_hostile() || manner == answers_never) return bytes;
        const auto number = distwork::detail::load<std::uint64_t>(
            body.data() + (work.flags == distwork::detail::flag_timeout ? distwork::detail::timeout_bytes : 0));
        Ledger& ledger = *Ledger::current();
        Entry& entry = ledger.entries.at(number);
        ledger.retries += entry.options.retry_on_error().count;  // should it say that the work threw
        if (manner != breaks_an_answer) entry.is_strangers = true;
        const auto say = [&](std::uint64_t id, std::uint64_t value, std::size_t length = 24) {
            Bytes reply(32);
            distwork::detail::store(reply.data() + distwork::detail::reply_head_bytes, value);
            reply.resize(length);
            append(bytes, {.kind = FrameKind::answer, .id = id}, reply);
        };
        const std::uint64_t value = answer_to(number);
        switch (manner) {
            case answers_twice:
                // The one before once more: what that was for may have a successor in its place.
                if (last_id != 0) say(last_id, ~value), ++unwanted;
                say(work.id, value);
                if (variant % 2) say(work.id, ~value), ++unwanted;
                break;
            case answers_unasked:
                // Those to come are not guessed: that would be an answer.
                say(0, ~value), say(work.id ^ (1u << 23), ~value), say(~work.id, ~value);
                unwanted += 3;
                say(work.id, value);
                break;
            case answers_early:
                // It took too long, goes on, and on, and returns; or says so once more.
                for (int i = 0; i < 2; ++i)
                    append(bytes, {.kind = FrameKind::error, .flags = distwork::detail::flag_goes_on, .id = work.id},
                           error_of(static_cast<std::uint64_t>(Errc::execution_timeout)));
                say(work.id, value);
                if (variant % 2) say(work.id, value), ++unwanted;
                break;
            case returns_unasked:
                // It was not asked for that one, nor for those that it never had; and has no slots to give.
                append(bytes, {.kind = FrameKind::returned, .id = work.id});
                append(bytes, {.kind = FrameKind::returned, .id = ~work.id});
                append(bytes, {.kind = FrameKind::credit});
                for (const std::uint8_t flags : std::initializer_list<std::uint8_t>{0, 0, 1, 1, 0})
                    append(bytes, {.kind = FrameKind::credit, .flags = flags, .id = variant % 2 ? work.id : ~work.id});
                unwanted += 2;
                say(work.id, value);
                break;
            case answers_nonsense:
                if (variant % 3 == 0) say(work.id, value, 11);       // a part of a value
                else if (variant % 3 == 1) say(work.id, value, 31);  // more than one
                else append(bytes, {.kind = FrameKind::error, .id = work.id}, error_of(1 + variant % 79));
                break;
            default:
                if (variant % 2) say(work.id, value, 3);
                else append(bytes, {.kind = FrameKind::error, .id = work.id}, error_of(0));  // no error
                break;
        }
        last_id = work.id;
        return bytes;
    }

    static Bytes error_of(std::uint64_t number) {
        const auto body = distwork::detail::error_body({}, static_cast<Errc>(number), "", "invented");
        return {body.view().begin(), body.view().end()};
    }
};

/// Comes to a master, and stays until one of the two ends it.
inline asio::awaitable<void> visit(Stranger& self, std::string address, std::uint16_t port) {
    auto transport = self.host->transport();
    Line line{co_await transport.connect(transport.make_strand(), address, port)};
    Bytes words = self.first_words();
    co_await line.say(words);
    while (co_await line.hear()) {
        words.clear();
        switch (line.header().kind) {
            case FrameKind::refuse:
            case FrameKind::bye: self.told = line.farewell(); break;
            case FrameKind::welcome: {
                distwork::detail::Greeting greeting;
                self.is_welcome = !decode(line.body(), greeting) && greeting.newest == self.version();
                words = self.second_words();
                break;
            }
            case FrameKind::ping: append(words, {.kind = FrameKind::pong, .id = line.header().id}); break;
            case FrameKind::work: words = self.answer(line.header(), line.body()); break;
            default: break;
        }
        co_await line.say(words);
        if (self.manner == Stranger::never_reads && line.header().kind == FrameKind::types) break;
    }
    if (self.manner != Stranger::never_reads) co_return;
    // The master executes none of these, and says so of each, until nothing more leaves there.
    words.clear();
    for (std::uint64_t id = 1; id <= 250; ++id) append(words, {.kind = FrameKind::work, .id = id}, Bytes(8));
    while (co_await line.say(words)) {
        sim::Timer pause{transport.get_executor()};
        pause.expires_after(20ms);
        co_await pause.async_wait(asio::use_awaitable);
    }
}

}  // namespace storm
