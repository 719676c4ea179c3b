#pragma once

#include "../base/requirements.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "../base/separate.hpp"
#include "../log_level.hpp"
#include "../progress_bar.hpp"
#include "../role_options.hpp"

namespace distwork::detail {

/// The options of a Program.
struct ProgramOptions {
    std::optional<std::size_t> slaves;  ///< local processes; none: one for each processor
    std::size_t slots = 0;              ///< of a slave elsewhere; 0: one for each processor
    std::string listen_address;         ///< empty: the master does not listen
    std::uint16_t listen_port = 0;
    std::vector<MasterAddress> slave_of;         ///< not empty: this process is a slave of one of these masters
    Reconnect reconnect = Reconnect::until_bye;  ///< of such a slave
    std::string name;
    std::vector<std::string> labels;
    ProgressStyle progress = ProgressStyle::automatic;
    LogLevel log = LogLevel::warning;
    std::string secret;  ///< the file of the secret that this process shares with its masters or slaves; empty: none
    bool insecure_plaintext = false;
    std::string engine;                    ///< places slaves: slurm, ssh:FILE or command:FILE; empty: none does
    std::size_t engine_max = 16;           ///< slaves that it places at a time
    std::vector<std::string> engine_args;  ///< more arguments of its command
    std::string address;  ///< what slaves that it places connect to: HOST or HOST:PORT; empty: this machine's name
    bool help = false;

    /// Takes the options out of the arguments, which keep their order; options in arguments win over those in the
    /// environment, which `variable` reads. *Errors*: throws Error (bad_option), whose text is a sentence.
    static ProgramOptions take(int& argc, char** argv, const std::function<const char*(const char*)>& variable);

    /// The text of --distwork-help.
    static std::string usage();
};

}  // namespace distwork::detail

#ifndef DISTWORK_SEPARATE_COMPILATION
#include "../impl/program_options.ipp"
#endif
