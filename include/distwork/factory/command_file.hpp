#pragma once

#include "../base/requirements.hpp"

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "../error.hpp"
#include "engine_command.hpp"

namespace distwork::detail {

/// The words of a line. They are separated by spaces and tabs; a part of a word in '…' or "…" is taken as it stands.
/// *Errors*: throws Error (bad_option) at a quote that does not end.
inline std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> words;
    bool is_in_word = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (c == ' ' || c == '\t' || c == '\r') {
            is_in_word = false;
            continue;
        }
        if (!is_in_word) words.emplace_back();
        is_in_word = true;
        if (c != '\'' && c != '"') {
            words.back() += c;
            continue;
        }
        const auto end = line.find(c, i + 1);
        if (end == std::string_view::npos) throw Error::with_text(Errc::bad_option, "a quote does not end");
        words.back() += line.substr(i + 1, end - i - 1);
        i = end;
    }
    return words;
}

/// Reads `NAME = WORD WORD…` for each of `names`, in any order, a line each. Lines that are empty or begin with # are
/// skipped. *Errors*: throws Error (bad_option), which tells the file and the line.
inline std::map<std::string, std::vector<std::string>> read_command_file(const std::string& path,
                                                                         const std::vector<std::string>& names) {
    constexpr std::size_t most_bytes = 64 * 1024;
    std::ifstream file{path, std::ios::binary};
    std::string text(most_bytes + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (!file.is_open() || file.bad()) throw Error::with_text(Errc::bad_option, path + ": it cannot be read");
    if (text.size() > most_bytes) throw Error::with_text(Errc::bad_option, path + ": it has more than 64 KiB");

    std::map<std::string, std::vector<std::string>> commands;
    int number = 0;
    for (std::string_view rest = text; !rest.empty();) {
        std::string_view line = take_until(rest, "\n");
        ++number;
        const auto fail = [&](const std::string& why) {
            throw Error::with_text(Errc::bad_option, path + ':' + std::to_string(number) + ": " + why);
        };
        if (trimmed(line).empty() || trimmed(line).front() == '#') continue;
        const bool has_equals = line.find('=') != std::string_view::npos;
        const std::string name{trimmed(take_until(line, "="))};
        if (!has_equals || std::find(names.begin(), names.end(), name) == names.end())
            fail("it is no line NAME = WORD…");
        if (commands.contains(name)) fail(name + " is given twice");
        try {
            commands[name] = words_of(line);
        } catch (const Error& error) {
            fail(error.what());
        }
        if (commands[name].empty()) fail(name + " has no word");
    }
    for (const std::string& name : names)
        if (!commands.contains(name))
            throw Error::with_text(Errc::bad_option, path + ": it has no line " + name + " = …");
    return commands;
}

}  // namespace distwork::detail
