#pragma once

#include "base/requirements.hpp"

#ifndef __linux__
#error "distwork: CommandEngine is for Linux"
#endif

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine.hpp"
#include "error.hpp"
#include "factory/command_file.hpp"
#include "factory/engine_command.hpp"

namespace distwork {

/// Options of CommandEngine. A command is its program and its arguments. No shell interprets them; in each word of them
/// these are replaced, and nothing else in braces:
///
/// | | |
/// | --- | --- |
/// | `{master}`, `{secret_file}` | the options of that name |
/// | `{count}` | in `start`: how many slaves are to be started |
/// | `{name}` | in `start`: a name that was never given before, of letters, digits and `-` |
/// | `{id}` | in `status`, `cancel`: the ticket; a word of `status` with it is repeated for each ticket |
struct CommandEngineOptions {
    /// Starts slaves, and returns while they run. Without `{count}` it is called once for each slave.
    ///
    /// With `{name}` and without `{count}` the ticket is that name. Otherwise it prints a ticket a line. A slave's name
    /// (`--distwork-name`) must be its ticket: by that a master knows which allocation it belongs to.
    std::vector<std::string> start{};
    /// Prints a line for each ticket that it knows: `ID STATE`, or `ID STATE TEXT`. STATE is `queued`, `running`,
    /// `ended` or `failed`. Lines about other tickets are skipped; without `{id}` it may print all it knows.
    std::vector<std::string> status{};
    /// Ends the slave of a ticket, best by TERM, which drains it. Succeeds also if there is none.
    std::vector<std::string> cancel{};
    std::string master{};                        ///< what slaves connect to: HOST:PORT
    std::string secret_file{};                   ///< the path of the secret where the slaves run
    std::chrono::milliseconds deadline{30'000};  ///< of each command; positive
};

/// Places slaves by three commands of the user: by ssh, kubectl, Nomad, HTCondor, or a script of his own.
///
/// A command succeeds with status 0. The output of one that fails is the text of the error; status 75 (EX_TEMPFAIL)
/// says that whom it asked cannot be reached. When `start` fails nothing was submitted: tickets that it has printed
/// are cancelled. If it was killed, at the deadline or else, its `{name}` is cancelled, too; a cancel that fails is
/// repeated at the next calls, at most 10 times. Linux.
///
/// *Errors*: `start` that fails is SubmissionRefused; with status 75, or killed, it is EngineUnreachable, as is each
/// failure of the others.
class CommandEngine final : public Engine {
public:
    /// *Errors*: throws Error (bad_option) if a command is missing, or uses an option that is empty, or `cancel` has no
    /// `{id}`.
    explicit CommandEngine(CommandEngineOptions options) : options_{std::move(options)} {
        const auto require = [](bool holds, const char* text) {
            if (!holds) throw Error::with_text(Errc::bad_option, text);
        };
        for (const auto* const command : {&options_.start, &options_.status, &options_.cancel}) {
            require(!command->empty() && !command->front().empty(),
                    "CommandEngineOptions: start, status and cancel must each have a program");
            require(!options_.master.empty() || !has(*command, "{master}"), "CommandEngineOptions::master is empty");
            require(!options_.secret_file.empty() || !has(*command, "{secret_file}"),
                    "CommandEngineOptions::secret_file is empty");
        }
        require(has(options_.cancel, "{id}"), "CommandEngineOptions::cancel has no {id}");
        require(options_.deadline.count() > 0, "CommandEngineOptions::deadline must be positive");
        counts_ = has(options_.start, "{count}");
        is_named_ = !counts_ && has(options_.start, "{name}");
    }

    /// The commands from a file, of at most 64 KiB. Each is a line, `start = WORD WORD…`, `status = …`, `cancel = …`.
    /// Words are separated by spaces; a part of a word in '…' or "…" is taken as it stands. Lines that are empty or
    /// begin with # are skipped. *Errors*: throws Error (bad_option).
    static std::unique_ptr<CommandEngine> from_file(const std::string& path, std::string master,
                                                    std::string secret_file = {}) {
        auto commands = detail::read_command_file(path, {"start", "status", "cancel"});
        CommandEngineOptions options;
        options.start = std::move(commands["start"]);
        options.status = std::move(commands["status"]);
        options.cancel = std::move(commands["cancel"]);
        options.master = std::move(master);
        options.secret_file = std::move(secret_file);
        return std::make_unique<CommandEngine>(std::move(options));
    }

    std::vector<Ticket> start(std::size_t count) override {
        cancel_strays();
        if (counts_) return start_once(count);
        return detail::start_until(count, [this] { return start_once(1); });
    }

    std::vector<TicketStatus> status(const std::vector<Ticket>& tickets) override {
        cancel_strays();
        if (!has(options_.status, "{id}")) return status_of(tickets);
        return detail::status_in_parts(tickets, [this](const auto& part) { return status_of(part); });
    }

    void cancel(const Ticket& ticket) override {
        const auto result = run(options_.cancel, {{"{id}", ticket.id()}});
        if (!result.succeeded()) throw EngineUnreachable{"cancel: " + result.text()};
    }

private:
    using Values = std::vector<std::pair<std::string_view, std::string>>;

    /// A ticket that nobody knows of, and that could not be cancelled yet.
    struct Stray {
        Ticket ticket;
        int attempts = 0;
    };

    static constexpr int unreachable_status = 75;

    static bool has(const std::vector<std::string>& command, std::string_view placeholder) {
        return std::any_of(command.begin(), command.end(),
                           [&](const std::string& word) { return word.find(placeholder) != std::string::npos; });
    }

    /// Replaces each placeholder once: not in what has replaced another.
    std::string filled(std::string_view word, const Values& values) const {
        std::string text;
        while (!word.empty()) {
            const auto found = std::find_if(values.begin(), values.end(),
                                            [&](const auto& value) { return word.starts_with(value.first); });
            text += found == values.end() ? std::string{word.front()} : found->second;
            word.remove_prefix(found == values.end() ? 1 : found->first.size());
        }
        return text;
    }

    detail::CommandResult run(const std::vector<std::string>& command, Values values,
                              const std::vector<Ticket>& tickets = {}) const {
        values.insert(values.end(), {{"{master}", options_.master}, {"{secret_file}", options_.secret_file}});
        std::vector<std::string> words;
        for (const std::string& word : command) {
            if (tickets.empty() || word.find("{id}") == std::string::npos) {
                words.push_back(filled(word, values));
                continue;
            }
            values.emplace_back("{id}", "");
            for (const Ticket& ticket : tickets) {
                values.back().second = ticket.id();
                words.push_back(filled(word, values));
            }
            values.pop_back();
        }
        return detail::run_for_engine(std::move(words), options_.deadline);
    }

    std::vector<Ticket> start_once(std::size_t count) {
        const std::string name = names_.next();
        const auto result = run(options_.start, {{"{count}", std::to_string(count)}, {"{name}", name}});
        if (is_named_ && result.succeeded()) return {Ticket{name}};

        std::vector<Ticket> tickets;
        std::string wrong;
        if (!is_named_) {
            for (std::string_view rest = result.output; !rest.empty();) {
                const std::string id{detail::trimmed(detail::take_until(rest, "\n"))};
                if (Ticket::is_valid(id)) tickets.emplace_back(id);
                else if (!id.empty() && wrong.empty()) wrong = "start printed what is no ticket: " + id;
            }
            if (tickets.empty() && wrong.empty()) wrong = "start printed no ticket";
            if (result.is_cut) wrong = "start printed more than 64 KiB";
            if (result.succeeded() && wrong.empty()) return tickets;
        }
        const bool was_killed = result.end != detail::CommandResult::End::exited;
        if (is_named_ && was_killed) tickets.emplace_back(name);
        for (Ticket& ticket : tickets) strays_.push_back({std::move(ticket)});
        cancel_strays();
        if (result.succeeded()) throw SubmissionRefused{wrong};
        if (was_killed || result.number == unreachable_status) throw EngineUnreachable{"start: " + result.text()};
        throw SubmissionRefused{"start: " + result.text()};
    }

    void cancel_strays() {
        constexpr int most_attempts = 10;
        std::erase_if(strays_, [this](Stray& stray) {
            try {
                cancel(stray.ticket);
                return true;
            } catch (const std::exception&) {
                return ++stray.attempts == most_attempts;
            }
        });
    }

    std::vector<TicketStatus> status_of(const std::vector<Ticket>& tickets) const {
        const auto result = run(options_.status, {}, tickets);
        if (!result.succeeded()) throw EngineUnreachable{"status: " + result.text()};
        if (result.is_cut) throw EngineUnreachable{"status printed more than 64 KiB"};
        std::vector<TicketStatus> all;
        for (std::string_view rest = result.output; !rest.empty();) {
            const std::string_view whole = detail::trimmed(detail::take_until(rest, "\n"));
            std::string_view line = whole;
            const std::string_view id = detail::take_until(line, " \t");
            const auto ticket =
                std::find_if(tickets.begin(), tickets.end(), [&](const Ticket& t) { return t.id() == id; });
            if (ticket == tickets.end()) continue;
            line = detail::trimmed(line);
            const auto state = state_named(detail::take_until(line, " \t"));
            if (!state) throw EngineUnreachable{"status printed a line without a state: " + std::string{whole}};
            all.push_back({*ticket, *state, std::string{detail::trimmed(line)}});
        }
        return all;
    }

    static std::optional<TicketState> state_named(std::string_view word) {
        constexpr std::pair<std::string_view, TicketState> states[] = {{"queued", TicketState::queued},
                                                                       {"running", TicketState::running},
                                                                       {"ended", TicketState::ended},
                                                                       {"failed", TicketState::failed}};
        for (const auto& [name, state] : states)
            if (word == name) return state;
        return std::nullopt;
    }

    const CommandEngineOptions options_;
    bool counts_ = false;    // start has {count}
    bool is_named_ = false;  // the ticket of a start is its name
    detail::EngineNames names_;
    std::vector<Stray> strays_;
};

}  // namespace distwork
