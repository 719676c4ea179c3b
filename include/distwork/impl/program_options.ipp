#pragma once

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../error.hpp"
#include "../factory/command_file.hpp"
#include "../log.hpp"
#include "../program/comma_list.hpp"
#include "../program/program_options.hpp"

namespace distwork::detail {

/// One option: its name behind `--distwork-`, what its value is called, and what it does.
struct ProgramOption {
    std::string_view name;
    std::string_view value;  // empty: it has none
    std::string_view help;
    void (*set)(ProgramOptions& options, const std::string& value);
};

[[noreturn]] inline void throw_bad_value(const std::string& value, const char* wanted) {
    throw Error::with_text(Errc::bad_option, '"' + value + "\" is not " + wanted);
}

inline std::size_t number_of(const std::string& value, const char* wanted, std::size_t most) {
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc{} || end != value.data() + value.size() || number > most) throw_bad_value(value, wanted);
    return number;
}

/// `host:port`, or `[v6]:port`.
inline MasterAddress address_of(const std::string& value) {
    constexpr const char* wanted = "an address and a port, HOST:PORT";
    const auto colon = value.rfind(':');
    if (colon == std::string::npos || colon == 0) throw_bad_value(value, wanted);
    std::string host = value.substr(0, colon);
    if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (host.empty()) throw_bad_value(value, wanted);
    return {host, static_cast<std::uint16_t>(number_of(value.substr(colon + 1), wanted, 65'535))};
}

/// Whether it is `host:port`, and not a host alone.
inline bool has_port(const std::string& address) noexcept {
    return address.find(':') != std::string::npos && address.back() != ']';
}

inline LogLevel level_named(const std::string& value) {
    for (const LogLevel level : {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error})
        if (value == to_string(level)) return level;
    throw_bad_value(value, "one of debug, info, warning, error");
}

inline ProgressStyle style_named(const std::string& value) {
    if (value == "auto") return ProgressStyle::automatic;
    if (value == "bar") return ProgressStyle::bar;
    if (value == "lines") return ProgressStyle::lines;
    if (value == "none") return ProgressStyle::none;
    throw_bad_value(value, "one of auto, bar, lines, none");
}

inline Reconnect reconnect_named(const std::string& value) {
    if (value == "never") return Reconnect::never;
    if (value == "until-bye") return Reconnect::until_bye;
    if (value == "always") return Reconnect::always;
    throw_bad_value(value, "one of never, until-bye, always");
}

inline constexpr ProgramOption program_options[] = {
    {"slaves", "N", "slave processes on this machine; default: one for each processor",
     [](ProgramOptions& options, const std::string& value) {
         options.slaves = number_of(value, "a number of processes, at most 10,000", 10'000);
     }},
    {"listen", "HOST:PORT", "also takes slaves from elsewhere, at this address of this machine",
     [](ProgramOptions& options, const std::string& value) {
         const MasterAddress address = address_of(value);
         options.listen_address = address.host;
         options.listen_port = address.port;
     }},
    {"slave-of", "HOST:PORT[,...]", "runs this program as a slave of one of these masters",
     [](ProgramOptions& options, const std::string& value) {
         options.slave_of.clear();
         for (const std::string& part : comma_list(value)) options.slave_of.push_back(address_of(part));
         if (options.slave_of.empty()) throw_bad_value(value, "an address and a port, HOST:PORT");
     }},
    {"slots", "N", "works that such a slave executes at a time; default: one for each processor",
     [](ProgramOptions& options, const std::string& value) {
         options.slots = number_of(value, "a number of slots, at most 1,048,576", 1'048'576);
     }},
    {"reconnect", "HOW", "when such a slave connects again: never, until-bye or always; default: until-bye",
     [](ProgramOptions& options, const std::string& value) { options.reconnect = reconnect_named(value); }},
    {"name", "NAME", "the name of this process in logs and errors",
     [](ProgramOptions& options, const std::string& value) { options.name = value; }},
    {"labels", "LABEL[,...]", "what the slaves offer: works with a label go only where it is",
     [](ProgramOptions& options, const std::string& value) { options.labels = comma_list(value); }},
    {"progress", "STYLE", "shows how far a map is: auto, bar, lines or none; default: auto, a bar on a terminal",
     [](ProgramOptions& options, const std::string& value) { options.progress = style_named(value); }},
    {"log", "LEVEL", "writes lines from this level on: debug, info, warning or error; default: warning",
     [](ProgramOptions& options, const std::string& value) { options.log = level_named(value); }},
    {"secret", "FILE", "proves by this secret who may join, and encrypts; openssl rand -out FILE 32 makes one",
     [](ProgramOptions& options, const std::string& value) { options.secret = value; }},
    {"insecure-plaintext", "",
     "allows addresses beyond this machine, without encryption: whoever reaches them may join",
     [](ProgramOptions& options, const std::string& value) {
         if (!value.empty() && value != "0" && value != "1") throw_bad_value(value, "0 or 1");
         options.insecure_plaintext = value != "0";
     }},
    {"engine", "ENGINE", "starts slaves as they are needed: slurm, ssh:FILE with a host a line, or command:FILE",
     [](ProgramOptions& options, const std::string& value) {
         const bool has_file = value.starts_with("ssh:") || value.starts_with("command:");
         if (value != "slurm" && (!has_file || value.back() == ':'))
             throw_bad_value(value, "one of slurm, ssh:FILE, command:FILE");
         options.engine = value;
     }},
    {"engine-max", "N", "slaves that the engine has at a time; default: 16",
     [](ProgramOptions& options, const std::string& value) {
         options.engine_max = number_of(value, "a number of slaves from 1 to 100,000", 100'000);
         if (options.engine_max == 0) throw_bad_value(value, "a number of slaves from 1 to 100,000");
     }},
    {"engine-args", "ARGS", "more arguments of sbatch or ssh, separated by spaces",
     [](ProgramOptions& options, const std::string& value) { options.engine_args = words_of(value); }},
    {"address", "HOST[:PORT]",
     "what slaves of the engine connect to; default: this machine's name, and the port listened at",
     [](ProgramOptions& options, const std::string& value) {
         if (value.empty() || has_port(value)) static_cast<void>(address_of(value));
         options.address = value;
     }},
    {"help", "", "shows this", [](ProgramOptions& options, const std::string&) { options.help = true; }},
};

/// `--distwork-slave-of` is DISTWORK_SLAVE_OF.
inline std::string variable_of(std::string_view option) {
    std::string name = "DISTWORK_";
    for (const char letter : option)
        name += letter == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
    return name;
}

inline void set_option(ProgramOptions& options, const ProgramOption& option, const std::string& source,
                       const std::string& value) {
    try {
        option.set(options, value);
    } catch (const Error& error) {
        throw Error::with_text(Errc::bad_option, source + ": " + error.what());
    }
}

DISTWORK_DECL ProgramOptions ProgramOptions::take(int& argc, char** argv,
                                                  const std::function<const char*(const char*)>& variable) {
    ProgramOptions options;
    for (const ProgramOption& option : program_options) {
        const std::string name = variable_of(option.name);
        const char* const value = variable(name.c_str());
        if (value && *value && option.name != "help") set_option(options, option, name, value);
    }
    int kept = std::min(argc, 1);
    for (int i = kept; i < argc; ++i) {
        const std::string argument = argv[i];
        constexpr std::string_view prefix = "--distwork-";
        if (!argument.starts_with(prefix)) {
            argv[kept++] = argv[i];
            continue;
        }
        const auto equals = std::min(argument.find('='), argument.size());
        const std::string name = argument.substr(0, equals);
        const auto* const option =
            std::find_if(std::begin(program_options), std::end(program_options),
                         [&](const ProgramOption& known) { return name.substr(prefix.size()) == known.name; });
        if (option == std::end(program_options))
            throw Error::with_text(Errc::bad_option, name + " is no option: --distwork-help lists them");
        const bool has_value = equals != argument.size();
        if (has_value && option->value.empty()) throw Error::with_text(Errc::bad_option, name + " takes no value");
        if (has_value || option->value.empty()) {
            set_option(options, *option, name, has_value ? argument.substr(equals + 1) : "");
        } else {
            if (++i == argc)
                throw Error::with_text(Errc::bad_option, name + " needs a value: " + std::string{option->value});
            set_option(options, *option, name, argv[i]);
        }
    }
    argc = kept;
    argv[argc] = nullptr;
    if (!options.engine.empty() && options.listen_address.empty())
        throw Error::with_text(Errc::bad_option, "--distwork-engine needs --distwork-listen: there its slaves come in");
    return options;
}

DISTWORK_DECL std::string ProgramOptions::usage() {
    std::string text = "Options of distwork, each also in the environment, --distwork-slave-of as DISTWORK_SLAVE_OF:\n";
    for (const ProgramOption& option : program_options) {
        std::string line = "  --distwork-" + std::string{option.name};
        if (!option.value.empty()) line += '=' + std::string{option.value};
        line.resize(std::max<std::size_t>(line.size() + 2, 38), ' ');
        text += line + std::string{option.help} + '\n';
    }
    return text;
}

}  // namespace distwork::detail
