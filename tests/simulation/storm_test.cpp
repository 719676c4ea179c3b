#include "simulation/storm.hpp"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>

#include "support/catch.hpp"

// Seeds by the thousand, in virtual time. DISTWORK_SEEDS and DISTWORK_FIRST_SEED choose others:
//   tests/run simulation --config release --seeds N --first S

namespace {

using distwork::test::bug_names;
using distwork::test::mark_names;
using distwork::test::marks;

// Seeds by the thousand are for one of the builds, which goes on for as long as there is time; and so are planted bugs,
// some of which corrupt what the sanitizers watch. The others look at what theirs finds.
#if defined(__SANITIZE_ADDRESS__) || defined(__clang__)
constexpr std::uint64_t usual_seeds = 1'000;
#else
#define STORM_IS_WHOLE
constexpr std::uint64_t usual_seeds = 10'000;
#endif
constexpr bool goes_on = usual_seeds == 10'000;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
    const char* const value = std::getenv(name);
    return value ? std::strtoull(value, nullptr, 10) : otherwise;
}

const bool is_chosen = std::getenv("DISTWORK_SEEDS") != nullptr;
const std::uint64_t first_seed = from_environment("DISTWORK_FIRST_SEED", 1);
const std::uint64_t seed_count = from_environment("DISTWORK_SEEDS", usual_seeds);

std::string replay_of(std::uint64_t seed) {
    return "seed " + std::to_string(seed) + "; replay it, with the log of its events:\n  tests/run simulation " +
           "--config release --seeds 1 --first " + std::to_string(seed);
}

/// What to say of a seed that failed; with the end of its event log if it was run alone.
std::string describe(const std::string& failure, const storm::Storm& storm) {
    std::ostringstream text;
    text << failure << '\n';
    storm.timeline().print(text);
    return text.str();
}

/// Every second seed from `first`: two tests share the cores of a machine.
void weather(std::uint64_t shard) {
    marks = {};
    auto reached = marks;  // by the seeds that are asked for; others may follow
    std::uint64_t seeds = 0;
    std::uint64_t events = 0;
    const bool is_replay = is_chosen && seed_count == 1;
    const auto until = std::chrono::steady_clock::now() + std::chrono::minutes{2};
    for (std::uint64_t i = shard; i < seed_count || (!is_chosen && goes_on); i += 2) {
        if (i >= seed_count && std::chrono::steady_clock::now() > until) break;
        const std::uint64_t seed = first_seed + i;
        INFO(replay_of(seed));  // also of one that throws, or does worse
        storm::Storm storm{seed, is_replay ? 1'000'000u : 0u};
        const std::string failure = storm.run();
        ++seeds;
        events += storm.events();
        if (i < seed_count) reached = marks;
        if (!failure.empty()) FAIL(describe(failure, storm));
    }
    std::cout << seeds << " seeds, " << events << " events; marks reached:\n";
    for (std::size_t i = 0; i < mark_names.size(); ++i) std::cout << "  " << mark_names[i] << ' ' << marks[i] << '\n';
    std::cout.flush();
    if (seeds < 5'000) return;
    for (std::size_t i = 0; i < mark_names.size(); ++i) {
        INFO("this was never reached: " << mark_names[i]);
        CHECK(reached[i] != 0);
    }
}

}  // namespace

TEST_CASE("the promises hold for every seed, the odd ones", "[simulation]") {
    weather(0);
}

TEST_CASE("the promises hold for every seed, the even ones", "[simulation]") {
    weather(1);
}

TEST_CASE("equal seeds give equal traces", "[simulation]") {
    for (std::uint64_t seed = 1; seed <= usual_seeds / 10; ++seed) {
        std::array<std::uint64_t, 2> hashes{};
        for (std::uint64_t& hash : hashes) {
            storm::Storm storm{seed};
            storm.run();
            hash = storm.trace_hash();
        }
        INFO("seed " << seed);
        REQUIRE(hashes[0] == hashes[1]);
    }
}

#ifdef STORM_IS_WHOLE
TEST_CASE("each planted bug is found within 5,000 seeds", "[simulation]") {
    CHECK(bug_names.size() > 20);
    struct Unplanted {
        ~Unplanted() { distwork::test::planted = distwork::test::Bug::none; }
    } unplanted;
    for (std::size_t bug = 1; bug < distwork::test::first_factory_bug; ++bug) {
        distwork::test::planted = static_cast<distwork::test::Bug>(bug);
        std::string failure;
        std::uint64_t seed = 0;
        INFO(bug_names[bug]);
        while (failure.empty() && seed < 5'000) {
            ++seed;
            INFO("seed " << seed);
            failure = storm::Storm{seed}.run();
        }
        std::cout << bug_names[bug] << ": seed " << seed << ": " << failure << '\n';
        CHECK_FALSE(failure.empty());
    }
}
#endif
