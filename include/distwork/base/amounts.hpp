#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../error.hpp"

namespace distwork::detail {

/// Amounts of named resources, sorted by name, in units of 1/10,000.
///
/// *Source*: the fractional resources of HyperQueue.
using Amounts = std::vector<std::pair<std::string, std::uint64_t>>;

inline constexpr std::uint64_t amount_unit = 10'000;
inline constexpr std::uint64_t most_amount = 1'000'000'000'000;
inline constexpr std::size_t most_amounts = 64;
inline constexpr std::size_t most_amount_name = 256;

/// The units of an amount. `what` names the option. *Errors*: throws Error (bad_option).
inline std::uint64_t amount_units(double amount, const std::string& what) {
    const double rounded = std::round(amount * static_cast<double>(amount_unit));
    if (!(rounded >= 1 && amount <= static_cast<double>(most_amount)))
        throw Error::with_text(Errc::bad_option, what + " must be from 0.0001 to 1,000,000,000,000");
    return static_cast<std::uint64_t>(rounded);
}

/// The same for several. *Errors*: throws Error (bad_option).
inline Amounts amount_units(const std::map<std::string, double>& amounts, const std::string& what) {
    if (amounts.size() > most_amounts) throw Error::with_text(Errc::bad_option, what + " has more than 64 names");
    Amounts all;
    for (const auto& [name, amount] : amounts) {
        if (name.size() > most_amount_name)
            throw Error::with_text(Errc::bad_option, what + " has a name of more than 256 bytes");
        all.emplace_back(name, amount_units(amount, what + " \"" + name + '"'));
    }
    return all;
}

/// Resources whose whole units are told apart, sorted by name, each with how many it has. Their units are numbered one
/// after the other, from 0.
using IndexedAmounts = std::vector<std::pair<std::string, std::uint64_t>>;

/// The indexed ones of these amounts. *Errors*: throws Error (bad_option).
inline IndexedAmounts indexed_amounts(const std::map<std::string, double>& amounts, std::vector<std::string> names,
                                      const std::string& what) {
    constexpr double most_indices = 64;
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    IndexedAmounts all;
    double sum = 0;
    for (const std::string& name : names) {
        const auto found = amounts.find(name);
        if (found == amounts.end()) throw Error::with_text(Errc::bad_option, what + ": there is no amount of " + name);
        if (std::floor(found->second) != found->second)
            throw Error::with_text(Errc::bad_option, what + ": the amount of " + name + " is no whole number");
        sum += found->second;
        if (!(sum <= most_indices)) throw Error::with_text(Errc::bad_option, what + ": more than 64 units in all");
        all.emplace_back(name, static_cast<std::uint64_t>(found->second));
    }
    return all;
}

/// As options state them.
inline std::map<std::string, double> amounts_of(const Amounts& units) {
    std::map<std::string, double> amounts;
    for (const auto& [name, count] : units)
        amounts[name] = static_cast<double>(count) / static_cast<double>(amount_unit);
    return amounts;
}

/// What a peer says that it has, without what no option allows.
inline std::map<std::string, double> amounts_of_peer(const Amounts& said) {
    Amounts allowed;
    for (const auto& [name, units] : said)
        if (units != 0 && units <= most_amount * amount_unit && name.size() <= most_amount_name &&
            allowed.size() < most_amounts)
            allowed.emplace_back(name, units);
    return amounts_of(allowed);
}

/// Whether there is as much of each.
inline bool has_amounts(const std::map<std::string, double>& has, const Amounts& wanted) {
    return std::all_of(wanted.begin(), wanted.end(), [&has](const auto& one) {
        const auto found = has.find(one.first);
        return found != has.end() &&
               found->second * static_cast<double>(amount_unit) + 0.5 >= static_cast<double>(one.second);
    });
}

/// Sets one of them. *Errors*: std::bad_alloc.
inline void set_amount(Amounts& amounts, std::string name, std::uint64_t units) {
    const auto at = std::lower_bound(amounts.begin(), amounts.end(), name,
                                     [](const auto& one, const std::string& other) { return one.first < other; });
    if (at != amounts.end() && at->first == name) at->second = units;
    else amounts.emplace(at, std::move(name), units);
}

}  // namespace distwork::detail
