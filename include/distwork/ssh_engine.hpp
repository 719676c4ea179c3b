#pragma once

#include "base/requirements.hpp"

#ifndef __linux__
#error "distwork: SshEngine is for Linux"
#endif

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine.hpp"
#include "error.hpp"
#include "factory/engine_command.hpp"

namespace distwork {

/// Options of SshEngine. Paths are those on the hosts.
struct SshOptions {
    /// Host names, or USER@HOST, as ssh takes them. One that stands here twice has two slaves.
    std::vector<std::string> hosts{};
    std::vector<std::string> program{};          ///< the slave's program and its arguments, without those of distwork
    std::string master{};                        ///< what slaves connect to: HOST:PORT, several separated by commas
    std::string secret_file{};                   ///< the path of the secret; empty: none
    std::vector<std::string> arguments{};        ///< more arguments of ssh, as `-p`, `2222`
    std::string ssh = "ssh";                     ///< the command
    std::chrono::milliseconds deadline{30'000};  ///< of each command; positive
};

/// Places slaves on a list of Linux hosts by ssh, which must need no password there. The hosts have pgrep and pkill.
///
/// The ticket is the slave's name, by which it is found among the processes of its host: TERM, which drains it,
/// cancels it. Its output is dropped. FactoryOptions::max should be at most the number of hosts. Hosts are asked one
/// after the other; the tickets of one that does not answer are unknown. Linux.
///
/// *Errors*: SubmissionRefused if each host has a slave, or none without one could start it; EngineUnreachable if no
/// host answers, or in `cancel` that of the ticket.
class SshEngine final : public Engine {
public:
    /// *Errors*: throws Error (bad_option).
    explicit SshEngine(SshOptions options) : options_{std::move(options)} {
        const auto require = [](bool holds, const char* text) {
            if (!holds) throw Error::with_text(Errc::bad_option, text);
        };
        require(!options_.hosts.empty(), "SshOptions::hosts is empty");
        for (const std::string& host : options_.hosts)
            require(!host.empty() && host.front() != '-', "SshOptions::hosts: a host is empty, or begins with -");
        require(!options_.program.empty() && !options_.program.front().empty(), "SshOptions::program is empty");
        require(!options_.master.empty(), "SshOptions::master is empty");
        require(options_.deadline.count() > 0, "SshOptions::deadline must be positive");
    }

    std::vector<Ticket> start(std::size_t count) override {
        auto free = free_hosts();
        if (free.empty()) {
            refresh();
            free = free_hosts();
        }
        if (free.empty()) throw SubmissionRefused{"each host has a slave"};
        std::vector<Ticket> tickets;
        std::string wrong;
        for (const std::string& host : free) {
            if (tickets.size() == count) break;
            const Ticket ticket{names_.next()};
            std::string script = "nohup";
            for (const std::string& word : options_.program) script += ' ' + detail::quoted_for_shell(word);
            script += " --distwork-slave-of=" + detail::quoted_for_shell(options_.master);
            if (!options_.secret_file.empty())
                script += " --distwork-secret=" + detail::quoted_for_shell(options_.secret_file);
            const auto result = run(host, script + " --distwork-name=" + ticket.id() + " </dev/null >/dev/null 2>&1 &");
            if (result.succeeded()) {
                places_.emplace(ticket, Place{host});
                tickets.push_back(ticket);
            } else {
                wrong = host + ": " + result.text();
                if (is_unanswered(result)) run(host, "pkill -f " + pattern_of(ticket));  // it may have begun
            }
        }
        if (tickets.empty()) throw SubmissionRefused{wrong};
        return tickets;
    }

    std::vector<TicketStatus> status(const std::vector<Ticket>& tickets) override {
        std::vector<TicketStatus> all = refresh();
        std::erase_if(all, [&](const TicketStatus& status) {
            return std::find(tickets.begin(), tickets.end(), status.ticket) == tickets.end();
        });
        for (const TicketStatus& status : all)
            if (status.state == TicketState::ended) places_.erase(status.ticket);  // it is told once
        return all;
    }

    void cancel(const Ticket& ticket) override {
        const auto place = places_.find(ticket);
        if (place == places_.end()) return;
        const auto result = run(place->second.host, "pkill -f " + pattern_of(ticket));
        constexpr int none_found = 1;
        if (!result.succeeded() && (is_unanswered(result) || result.number != none_found))
            throw EngineUnreachable{place->second.host + ": " + result.text()};
    }

private:
    /// Finds the slave, and before that the shell that is about to start it, but not what looks for them.
    static std::string pattern_of(const Ticket& ticket) {
        return "'distwork-name=[" + ticket.id().substr(0, 1) + ']' + ticket.id().substr(1) + "( |$)'";
    }

    static bool is_unanswered(const detail::CommandResult& result) {
        constexpr int error_of_ssh = 255;
        return result.end != detail::CommandResult::End::exited || result.number == error_of_ssh;
    }

    struct Place {
        std::string host;
        bool has_ended = false;
    };

    detail::CommandResult run(const std::string& host, const std::string& script) const {
        std::vector<std::string> words{options_.ssh, "-n", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"};
        words.insert(words.end(), options_.arguments.begin(), options_.arguments.end());
        // The user's own shell there may be another.
        words.insert(words.end(), {"--", host, "exec sh -c " + detail::quoted_for_shell(script)});
        return detail::run_for_engine(std::move(words), options_.deadline);
    }

    std::vector<std::string> free_hosts() const {
        auto free = options_.hosts;
        for (const auto& [ticket, place] : places_) {
            const auto used = std::find(free.begin(), free.end(), place.host);
            if (!place.has_ended && used != free.end()) free.erase(used);
        }
        return free;
    }

    /// Asks each host that has slaves which of them have ended. Returns what is known of all.
    std::vector<TicketStatus> refresh() {
        std::map<std::string, std::string> scripts;  // by host
        for (const auto& [ticket, place] : places_)
            if (!place.has_ended)
                scripts[place.host] += "pgrep -f " + pattern_of(ticket) + " >/dev/null; echo " + ticket.id() + " $?\n";
        std::string wrong;
        std::vector<TicketStatus> all;
        for (const auto& [host, script] : scripts) {
            const auto result = run(host, script);
            if (!result.succeeded()) wrong = host + ": " + result.text();
            for (std::string_view rest = result.output; result.succeeded() && !rest.empty();) {
                std::string_view line = detail::take_until(rest, "\n");
                const auto place = places_.find(Ticket{std::string{detail::take_until(line, " ")}});
                if (place == places_.end()) continue;
                if (line == "0") all.push_back({place->first, TicketState::running});
                else if (line == "1") place->second.has_ended = true;  // else pgrep failed
            }
        }
        for (const auto& [ticket, place] : places_)
            if (place.has_ended) all.push_back({ticket, TicketState::ended});
        if (all.empty() && !wrong.empty()) throw EngineUnreachable{wrong};
        return all;
    }

    const SshOptions options_;
    detail::EngineNames names_;
    std::map<Ticket, Place> places_;
};

}  // namespace distwork
