#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../base/amounts.hpp"
#include "../base/probe.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// What a slave offers, or several of one machine together, and what of it works have taken. Guarded by the container's
/// lock.
///
/// A work that asks for much would wait for ever while others take the little that comes back. So after a while a pool is
/// kept for it: others that come after it take nothing there until it was sent.
///
/// *Lifetime*: shared by the sockets of the pool.
class AmountPool {
    using Given = Submission::Given;

public:
    /// `indexed`: those whose units are told apart.
    explicit AmountPool(Amounts all, const IndexedAmounts& indexed = {}) : all_{std::move(all)}, free_{all_} {
        for (const auto& [name, units] : indexed) {
            indexed_.push_back({name, free_of_unit_.size(), units});
            free_of_unit_.resize(free_of_unit_.size() + units, amount_unit);
        }
    }

    /// Whether it has as much, free or not.
    bool has(const Amounts& wanted) const noexcept { return contains(all_, wanted); }

    /// Whether the work may take what it asks for now.
    bool has_free(const Submission& work) const noexcept {
        return !lacks(work.options.amounts()) && !is_kept_from(work);
    }

    /// Whether less than that is free, or not in units that can be given to one work.
    bool lacks(const Amounts& wanted) const noexcept { return !contains(free_, wanted) || !units_for(wanted); }

    /// To be called only if it has what the work asks for.
    void take(Submission& work) noexcept {
        change(work.options.amounts(), [](std::uint64_t& have, std::uint64_t units) { have -= units; });
        work.given = units_for(work.options.amounts()).value_or(Given{});
        work.given_units = work.given.whole | work.given.part;
        for_each_given(work, [](std::uint64_t& have, std::uint64_t units) { have -= units; });
    }
    void give_back(Submission& work) noexcept {
        if (DISTWORK_PLANTED(forget_amounts)) return;
        change(work.options.amounts(), [](std::uint64_t& have, std::uint64_t units) { have += units; });
        for_each_given(work, [](std::uint64_t& have, std::uint64_t units) { have += units; });
        work.given = {};
        work.given_units = 0;
    }

    /// Works of its depth and priority, or lower ones, that came later take nothing, until `keep_for_nobody`.
    void keep_for(const Submission& work) noexcept {
        DISTWORK_MARK(kept_free);
        kept_ = {work.sequence, work.depth, work.options.priority()};
    }
    void keep_for_nobody() noexcept { kept_ = {}; }
    bool is_kept() const noexcept { return kept_.sequence != 0; }
    bool is_kept_for(const Submission& work) const noexcept { return is_kept() && kept_.sequence == work.sequence; }

private:
    /// The work that it is kept for. Not a pointer: the work may be destroyed by whoever gets its outcome.
    struct Kept {
        std::uint64_t sequence = 0;
        unsigned depth = 0;
        int priority = 0;
    };

    bool is_kept_from(const Submission& work) const noexcept {
        return is_kept() && work.sequence > kept_.sequence && work.depth <= kept_.depth &&
               work.options.priority() <= kept_.priority;
    }

    struct Indexed {
        std::string name;
        std::size_t first = 0;  // of its units
        std::uint64_t units = 0;
    };

    /// The units of indexed resources for a work; nothing if there are none that fit. A part of a unit comes from the unit
    /// with the smallest part free that suffices, so that whole ones stay whole.
    std::optional<Given> units_for(const Amounts& wanted) const noexcept {
        Given given;
        for (const Indexed& indexed : indexed_) {
            const auto found = std::find_if(wanted.begin(), wanted.end(),
                                            [&indexed](const auto& one) { return one.first == indexed.name; });
            if (found == wanted.end()) continue;
            std::uint64_t whole = found->second / amount_unit;
            const std::uint64_t part = found->second % amount_unit;
            const std::size_t last = indexed.first + indexed.units;
            std::size_t best = last;
            for (std::size_t i = indexed.first; part != 0 && i != last; ++i)
                if (free_of_unit_[i] >= part && (best == last || free_of_unit_[i] < free_of_unit_[best])) best = i;
            if (part != 0 && best == last) return std::nullopt;
            if (part != 0) given.part |= std::uint64_t{1} << best;
            for (std::size_t i = indexed.first; whole != 0 && i != last; ++i) {
                if (i == best || free_of_unit_[i] != amount_unit) continue;
                given.whole |= std::uint64_t{1} << i;
                --whole;
            }
            if (whole != 0) return std::nullopt;
        }
        return given;
    }

    template <class Change>
    void for_each_given(const Submission& work, Change apply) noexcept {
        for (const Indexed& indexed : indexed_)
            for (const auto& [name, units] : work.options.amounts())
                for (std::size_t i = indexed.first; name == indexed.name && i != indexed.first + indexed.units; ++i) {
                    if (work.given.whole >> i & 1) apply(free_of_unit_[i], amount_unit);
                    if (work.given.part >> i & 1) apply(free_of_unit_[i], units % amount_unit);
                }
    }

    /// Both are sorted by name.
    static bool contains(const Amounts& have, const Amounts& wanted) noexcept {
        auto at = have.begin();
        return std::all_of(wanted.begin(), wanted.end(), [&](const auto& one) {
            while (at != have.end() && at->first < one.first) ++at;
            return at != have.end() && at->first == one.first && at->second >= one.second;
        });
    }

    template <class Change>
    void change(const Amounts& wanted, Change apply) noexcept {
        auto at = free_.begin();
        for (const auto& [name, units] : wanted) {
            while (at != free_.end() && at->first < name) ++at;
            if (at != free_.end() && at->first == name) apply(at->second, units);
        }
    }

    const Amounts all_;
    Amounts free_;
    std::vector<Indexed> indexed_;
    std::vector<std::uint64_t> free_of_unit_;  // at most 64
    Kept kept_;
};

}  // namespace distwork::detail
