#pragma once

#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../command_engine.hpp"
#include "../error.hpp"
#include "../factory/engine_command.hpp"
#include "../program/child_process.hpp"
#include "../program/program_engine.hpp"
#include "../slurm_engine.hpp"
#include "../ssh_engine.hpp"
#include "program_options.ipp"

namespace distwork::detail {

/// A line each; those that are empty or begin with # are skipped.
inline std::vector<std::string> lines_of_file(const std::string& path) {
    std::ifstream file{path};
    if (!file) throw Error::with_text(Errc::bad_option, "--distwork-engine: " + path + " cannot be read");
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) {
        const std::string_view text = trimmed(line);
        if (!text.empty() && text.front() != '#') lines.emplace_back(text);
    }
    return lines;
}

/// What a slave of an engine executes.
inline std::vector<std::string> slaves_program(const ProgramOptions& options, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), this_executable());
    if (options.insecure_plaintext) arguments.emplace_back("--distwork-insecure-plaintext");
    std::string labels;
    for (const std::string& label : options.labels) labels += (labels.empty() ? "" : ",") + label;
    if (!labels.empty()) arguments.push_back("--distwork-labels=" + labels);
    return arguments;
}

DISTWORK_DECL std::shared_ptr<Engine> engine_of(const ProgramOptions& options,
                                                const std::vector<std::string>& arguments, std::uint16_t port) {
    std::string master = options.address.empty() ? asio::ip::host_name() : options.address;
    if (!has_port(master)) master += ':' + std::to_string(port);
    const std::string file = options.engine.substr(options.engine.find(':') + 1);
    if (options.engine == "slurm") {
        SlurmOptions slurm;
        slurm.program = slaves_program(options, arguments);
        slurm.master = master;
        slurm.secret_file = options.secret;
        slurm.arguments = options.engine_args;
        return std::make_shared<SlurmEngine>(std::move(slurm));
    }
    if (options.engine.starts_with("ssh:")) {
        SshOptions ssh;
        ssh.hosts = lines_of_file(file);
        ssh.program = slaves_program(options, arguments);
        ssh.master = master;
        ssh.secret_file = options.secret;
        ssh.arguments = options.engine_args;
        return std::make_shared<SshEngine>(std::move(ssh));
    }
    return CommandEngine::from_file(file, master, options.secret);
}

}  // namespace distwork::detail
