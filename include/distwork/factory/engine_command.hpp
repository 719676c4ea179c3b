#pragma once

#include "../base/requirements.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../engine.hpp"
#include "command.hpp"

namespace distwork::detail {

/// run_command for an engine. *Errors*: as run_command; EngineUnreachable if the system lacks what it needs for a process
/// just now.
inline CommandResult run_for_engine(std::vector<std::string> words, std::chrono::milliseconds deadline,
                                    std::vector<std::string> variables = environment_of_children()) {
    try {
        return run_command(std::move(words), deadline, std::move(variables));
    } catch (const std::system_error& error) {
        for (const std::errc lack : {std::errc::resource_unavailable_try_again, std::errc::not_enough_memory,
                                     std::errc::too_many_files_open, std::errc::too_many_files_open_in_system})
            if (error.code() == lack) throw EngineUnreachable{error.what()};
        throw;
    }
}

/// Calls `start_some`, which returns some tickets more, until there are `count`. What one of these calls throws is thrown
/// only if there is no ticket yet: an engine tells of each allocation that it has submitted.
template <class StartSome>
std::vector<Ticket> start_until(std::size_t count, StartSome start_some) {
    std::vector<Ticket> tickets;
    try {
        while (tickets.size() < count)
            for (Ticket& ticket : start_some()) tickets.push_back(std::move(ticket));
    } catch (const std::exception&) {
        if (tickets.empty()) throw;
    }
    return tickets;
}

/// Calls `ask` with some tickets at a time, whose answer is not too long for one command.
template <class Ask>
std::vector<TicketStatus> status_in_parts(const std::vector<Ticket>& tickets, Ask ask) {
    constexpr std::size_t most = 256;
    std::vector<TicketStatus> all;
    for (std::size_t begin = 0; begin < tickets.size(); begin += most) {
        const auto first = tickets.begin() + static_cast<std::ptrdiff_t>(begin);
        const auto part = static_cast<std::ptrdiff_t>(std::min(most, tickets.size() - begin));
        for (TicketStatus& status : ask(std::vector<Ticket>(first, first + part))) all.push_back(std::move(status));
    }
    return all;
}

/// The part of `text` before the first of the characters `ends`, which is taken off `text` with that character.
inline std::string_view take_until(std::string_view& text, std::string_view ends) {
    const auto end = std::min(text.find_first_of(ends), text.size());
    const auto taken = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return taken;
}

/// Without spaces, tabs and carriage returns at its ends.
inline std::string_view trimmed(std::string_view text) {
    constexpr std::string_view space = " \t\r\n";
    const auto first = text.find_first_not_of(space);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(space) - first + 1);
}

/// One word of a command of sh, which takes it as it stands.
inline std::string quoted_for_shell(std::string_view word) {
    std::string quoted = "'";
    for (const char c : word) {
        if (c == '\'') quoted += "'\\''";
        else quoted += c;
    }
    return quoted + '\'';
}

/// Names for allocations, unlike those of any other engine: "distwork-0123456789abcdef-1", and so on.
class EngineNames {
public:
    std::string next() { return prefix_ + std::to_string(++count_); }

private:
    static std::string random_prefix() {
        constexpr std::string_view digits = "0123456789abcdef";
        std::random_device random;
        std::string prefix = "distwork-";
        for (int i = 0; i < 16; ++i) prefix += digits[random() % digits.size()];
        return prefix + '-';
    }

    const std::string prefix_ = random_prefix();
    std::size_t count_ = 0;
};

}  // namespace distwork::detail
