#pragma once

#include "base/requirements.hpp"

#ifndef __linux__
#error "distwork: SlurmEngine is for Linux"
#endif

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/spawn.hpp"
#include "engine.hpp"
#include "error.hpp"
#include "factory/engine_command.hpp"

namespace distwork {

/// Options of SlurmEngine. Paths but `commands_folder` are those on the nodes.
struct SlurmOptions {
    /// The slave's program and its arguments. The engine adds `--distwork-slave-of`, `--distwork-secret` and
    /// `--distwork-name`. A program without a slash is looked for in the folders of PATH.
    std::vector<std::string> program{};
    std::string master{};       ///< what slaves connect to: HOST:PORT, several separated by commas
    std::string secret_file{};  ///< the path of the secret; empty: none
    std::string partition{};    ///< empty: Slurm's default
    std::string account{};      ///< empty: Slurm's default
    /// The time limit of a job; 0: the partition's default.
    std::chrono::minutes time_limit{0};
    /// How long before its time limit a slave drains; 0 to 65,535 s. Slurm may be up to 60 s early.
    std::chrono::seconds drain_before{60};
    /// More arguments of sbatch, behind the engine's own, as `--cpus-per-task=8`; but no array, no other name, and
    /// one node.
    std::vector<std::string> arguments{};
    /// A folder that the nodes and this machine share: the output of a job goes to slurm-ID.out there, of which the
    /// end is told if the job fails. Empty: output is dropped.
    std::string output_folder{};
    std::string commands_folder{};  ///< where sbatch, squeue and scancel are; empty: in the folders of PATH
    std::chrono::milliseconds deadline{30'000};  ///< of each command; positive
};

/// Places slaves by Slurm: a job of one node for each. All of the job's processors on its node are the slave's.
///
/// The ticket of job 4711 is `slurm-4711`, which is also the slave's name (`SlaveOptions::name`): by that a master
/// knows which allocation a slave belongs to. TERM, which Slurm sends `drain_before` the time limit, and at
/// `scancel`, drains the slave; after `scancel` Slurm kills it in its KillWait, 30 s by default. A job whose node
/// fails is not queued again.
///
/// Each job has a name of its own. A submission that had no answer is looked for by that name: if it is found in time
/// it counts as submitted, otherwise it is cancelled if it appears by one of the next 10 calls. The jobs inherit this
/// process's environment without what belongs to distwork, or to a Slurm job in which this process itself runs.
/// Linux.
///
/// *Errors*: what Slurm's commands say. If Slurm cannot be contacted, does not answer in time, or has no munge, it is
/// EngineUnreachable; anything else that sbatch says is SubmissionRefused.
class SlurmEngine final : public Engine {
public:
    /// *Errors*: throws Error (bad_option).
    explicit SlurmEngine(SlurmOptions options) : options_{std::move(options)} {
        const auto require = [](bool holds, const char* text) {
            if (!holds) throw Error::with_text(Errc::bad_option, text);
        };
        require(!options_.program.empty() && !options_.program.front().empty(), "SlurmOptions::program is empty");
        require(!options_.master.empty(), "SlurmOptions::master is empty");
        require(options_.time_limit.count() >= 0, "SlurmOptions::time_limit must not be negative");
        require(options_.drain_before.count() >= 0 && options_.drain_before.count() <= 65'535,
                "SlurmOptions::drain_before must be from 0 to 65,535 s");
        require(options_.deadline.count() > 0, "SlurmOptions::deadline must be positive");
    }

    std::vector<Ticket> start(std::size_t count) override {
        cancel_doubtful();
        return detail::start_until(count, [this] { return std::vector<Ticket>{submit()}; });
    }

    void dry_run(std::size_t) override {
        auto words = submission();
        words.insert(words.begin() + 1, "--test-only");
        const auto result = run(std::move(words));
        if (is_unanswered(result)) throw EngineUnreachable{"sbatch: " + result.text()};
        if (!result.succeeded()) throw SubmissionRefused{"sbatch: " + result.text()};
    }

    std::vector<TicketStatus> status(const std::vector<Ticket>& tickets) override {
        cancel_doubtful();
        return detail::status_in_parts(tickets, [this](const auto& part) { return status_of(part); });
    }

    void cancel(const Ticket& ticket) override {
        const std::string job = job_of(ticket);
        if (job.empty()) return;
        const auto result = run({command("scancel"), job});
        const auto says = [&](const char* words) { return result.errors.find(words) != std::string::npos; };
        if (result.succeeded() || says("Invalid job id") || says("already completing or completed")) return;
        throw EngineUnreachable{"scancel: " + result.text()};
    }

private:
    /// A submission that had no answer. Slurm may still come to it.
    struct Doubtful {
        std::string name;
        int looks = 0;
    };

    static constexpr std::string_view prefix = "slurm-";

    /// The job's id; empty if the ticket is of no job.
    static std::string job_of(const Ticket& ticket) {
        const std::string_view id = ticket.id();
        const bool is_job = id.starts_with(prefix) && ticket_of(id.substr(prefix.size()));
        return is_job ? std::string{id.substr(prefix.size())} : std::string{};
    }

    /// The ticket of a job's id; none if it is no number.
    static std::optional<Ticket> ticket_of(std::string_view job) {
        const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
        if (job.empty() || job.size() > 20 || !std::all_of(job.begin(), job.end(), is_digit)) return std::nullopt;
        return Ticket{std::string{prefix} + std::string{job}};
    }

    std::string command(const char* name) const {
        return options_.commands_folder.empty() ? name : options_.commands_folder + '/' + name;
    }

    detail::CommandResult run(std::vector<std::string> words) const {
        auto variables = detail::environment_of_children();
        // SLURM_CONF and SLURM_CLUSTERS choose the cluster. The others belong to a job around this process, and would be
        // taken for those of the new one; those of squeue and scancel would filter.
        std::erase_if(variables, [](std::string_view variable) {
            if (variable.starts_with("SQUEUE_") || variable.starts_with("SCANCEL_")) return true;
            return variable.starts_with("SLURM_") && !variable.starts_with("SLURM_CONF=") &&
                   !variable.starts_with("SLURM_CLUSTERS=");
        });
        return detail::run_for_engine(std::move(words), options_.deadline, std::move(variables));
    }

    std::vector<std::string> submission() const {
        std::vector<std::string> words{command("sbatch"), "--parsable", "--nodes=1", "--ntasks=1", "--no-requeue"};
        words.push_back("--output=" +
                        (options_.output_folder.empty() ? "/dev/null" : options_.output_folder + "/slurm-%j.out"));
        // Without "B:" it goes to the slave, and not to the shell around it.
        words.push_back("--signal=TERM@" + std::to_string(options_.drain_before.count()));
        if (!options_.partition.empty()) words.push_back("--partition=" + options_.partition);
        if (!options_.account.empty()) words.push_back("--account=" + options_.account);
        if (options_.time_limit.count() != 0) words.push_back("--time=" + std::to_string(options_.time_limit.count()));
        words.insert(words.end(), options_.arguments.begin(), options_.arguments.end());
        words.push_back("--wrap=" + script());
        return words;
    }

    /// What the job's shell executes. `srun` does not take a number of processors over from its job.
    std::string script() const {
        std::string line = "exec srun --overlap --nodes=1 --ntasks=1 --cpus-per-task=\"$SLURM_CPUS_ON_NODE\"";
        for (const std::string& word : options_.program) line += ' ' + detail::quoted_for_shell(word);
        line += " --distwork-slave-of=" + detail::quoted_for_shell(options_.master);
        if (!options_.secret_file.empty())
            line += " --distwork-secret=" + detail::quoted_for_shell(options_.secret_file);
        return line + " --distwork-name=" + std::string{prefix} + "\"$SLURM_JOB_ID\"";
    }

    Ticket submit() {
        Doubtful doubt{names_.next()};
        doubtful_.reserve(doubtful_.size() + 1);
        auto words = submission();
        words.insert(words.begin() + 1, "--job-name=" + doubt.name);
        const auto result = run(std::move(words));
        if (result.succeeded()) {
            std::string_view output = result.output;
            const auto ticket = ticket_of(detail::trimmed(detail::take_until(output, ";\n")));  // ID, or ID;CLUSTER
            if (ticket) return *ticket;
        } else if (!is_unanswered(result)) {
            throw SubmissionRefused{"sbatch: " + result.text()};
        }
        doubtful_.push_back(std::move(doubt));
        const auto found = jobs_named(doubtful_.back().name);
        if (found.empty()) throw EngineUnreachable{"sbatch: " + result.text()};
        doubtful_.pop_back();
        return found.front();
    }

    /// Whether Slurm gave no answer, so that nothing is known.
    static bool is_unanswered(const detail::CommandResult& result) {
        if (result.end != detail::CommandResult::End::exited) return true;
        if (result.succeeded()) return false;
        std::string said = result.errors;
        for (char& c : said) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        for (const char* const words :
             {"contact slurm controller", "timed out", "munge", "authentication error", "connection refused",
              "connection reset", "communication", "zero bytes were transmitted", "temporarily unable", "standby mode",
              "unexpected message received", "getaddrinfo"})
            if (said.find(words) != std::string::npos) return true;
        return false;
    }

    /// The jobs of these names, separated by commas, that are not over. *Errors*: throws EngineUnreachable.
    std::vector<Ticket> jobs_named(const std::string& names) const {
        const auto result = run({command("squeue"), "--noheader", "--format=%i", "--name=" + names});
        if (!result.succeeded()) throw EngineUnreachable{"squeue: " + result.text()};
        std::vector<Ticket> found;
        for (std::string_view rest = result.output; !rest.empty();)
            if (const auto ticket = ticket_of(detail::trimmed(detail::take_until(rest, "\n"))))
                found.push_back(*ticket);
        return found;
    }

    /// Nobody waits for these jobs any more.
    void cancel_doubtful() {
        if (doubtful_.empty()) return;
        std::string names;
        for (const Doubtful& each : doubtful_) names += (names.empty() ? "" : ",") + each.name;
        for (const Ticket& ticket : jobs_named(names)) cancel(ticket);
        constexpr int most_looks = 10;
        std::erase_if(doubtful_, [](Doubtful& each) { return ++each.looks == most_looks; });
    }

    std::vector<TicketStatus> status_of(const std::vector<Ticket>& tickets) const {
        std::string jobs;
        for (const Ticket& ticket : tickets)
            if (const std::string job = job_of(ticket); !job.empty()) jobs += (jobs.empty() ? "" : ",") + job;
        if (jobs.empty()) return {};
        const auto result =
            run({command("squeue"), "--noheader", "--states=all", "--format=%i %t %128r", "--jobs=" + jobs});
        // Of a single job; of several it omits those that it does not know.
        if (result.errors.find("Invalid job id") != std::string::npos && !is_unanswered(result)) return {};
        if (!result.succeeded()) throw EngineUnreachable{"squeue: " + result.text()};
        if (result.is_cut) throw EngineUnreachable{"squeue printed more than 64 KiB"};
        std::vector<TicketStatus> all;
        for (std::string_view rest = result.output; !rest.empty();) {
            std::string_view line = detail::trimmed(detail::take_until(rest, "\n"));
            const auto ticket = ticket_of(detail::take_until(line, " "));
            if (!ticket || std::find(tickets.begin(), tickets.end(), *ticket) == tickets.end()) continue;
            const std::string_view code = detail::take_until(line, " ");
            TicketStatus& status = all.emplace_back(TicketStatus{*ticket, state_of(code)});
            if (status.state == TicketState::failed)
                status.text = std::string{code} + ' ' + std::string{detail::trimmed(line)} + end_of_output(*ticket);
        }
        return all;
    }

    /// Of squeue's compact states. A job that is cancelled, preempted or at its time limit ended as planned.
    static TicketState state_of(std::string_view code) {
        constexpr std::string_view queued[] = {"PD", "CF", "RQ", "RH", "RD", "RF", "SE"};
        constexpr std::string_view running[] = {"R", "CG", "S", "SI", "SO", "ST", "RS"};
        constexpr std::string_view ended[] = {"CD", "CA", "TO", "PR", "RV"};
        constexpr std::string_view failed[] = {"F", "NF", "BF", "OOM", "DL", "LF"};
        const auto is_in = [&](const auto& codes) {
            return std::find(std::begin(codes), std::end(codes), code) != std::end(codes);
        };
        if (is_in(queued)) return TicketState::queued;
        if (is_in(running)) return TicketState::running;
        if (is_in(ended)) return TicketState::ended;
        return is_in(failed) ? TicketState::failed : TicketState::unknown;
    }

    /// The last 1,000 bytes that a job wrote, if that is known.
    std::string end_of_output(const Ticket& ticket) const {
        if (options_.output_folder.empty()) return {};
        constexpr std::streamoff most = 1000;
        std::ifstream file{options_.output_folder + '/' + ticket.id() + ".out", std::ios::binary | std::ios::ate};
        const std::streamoff size = file.tellg();
        if (size <= 0) return {};
        std::string text(static_cast<std::size_t>(std::min(size, most)), '\0');
        file.seekg(-static_cast<std::streamoff>(text.size()), std::ios::end);
        file.read(text.data(), static_cast<std::streamsize>(text.size()));
        text.resize(static_cast<std::size_t>(file.gcount()));
        return ": " + text;
    }

    const SlurmOptions options_;
    detail::EngineNames names_;
    std::vector<Doubtful> doubtful_;
};

}  // namespace distwork
