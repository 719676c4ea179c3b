// Pi from random points, with the same digits again whoever computed what: monte_carlo_pi [SAMPLES]
//
// Ctrl-C ends it early, with the estimate from the points that were looked at until then.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <distwork/program.hpp>
#include <iostream>
#include <ranges>
#include <string>
#include <utility>

// SplitMix64 (Steele, Lea, Flood 2014): any number of its sequence can be had without those before it. So each batch
// computes its own part of one sequence, and neither slaves nor retries nor the size of a batch change the answer.
std::uint64_t random_number(std::uint64_t place) {
    std::uint64_t z = (place + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

// How many of these points of a square lie in the quarter of a circle. Whole numbers: they add up in any order.
std::uint64_t count_inside(std::uint64_t first, std::uint64_t last) {
    std::uint64_t inside = 0;
    for (std::uint64_t place = first; place < last; ++place) {
        const std::uint64_t point = random_number(place);
        const std::uint64_t x = point >> 33, y = point & 0x7fffffff;  // 31 bits each
        inside += x * x + y * y < std::uint64_t{1} << 62;
    }
    return inside;
}
DISTWORK_REGISTER_FUNCTION(count_inside)

int main(int argc, char** argv) {
    distwork::Program program{argc, argv};  // a process that was started as a slave ends in here
    const std::uint64_t samples = argc > 1 ? std::stoull(argv[1]) : 1'000'000'000;
    constexpr std::uint64_t most = 10'000;  // short batches travel together: their size needs no tuning

    const auto batch = [&](std::uint64_t i) { return std::pair{i * most, std::min(samples, (i + 1) * most)}; };
    const auto batches = std::views::iota(std::uint64_t{0}, (samples + most - 1) / most) | std::views::transform(batch);

    std::uint64_t inside = 0, looked_at = 0;
    for (auto& outcome : program.map<count_inside>(batches)) {  // as they complete
        const auto [first, last] = batch(outcome.index);
        inside += outcome.value();
        looked_at += last - first;
    }

    const double share = static_cast<double>(inside) / static_cast<double>(looked_at);
    const double error = 4 * std::sqrt(share * (1 - share) / static_cast<double>(looked_at));
    std::cout << inside << " of " << looked_at << " points: pi is about " << 4 * share << ", standard error " << error
              << '\n';
    return program.status();
}
