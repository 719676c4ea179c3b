#pragma once

#include <cstdint>
#include <exception>

#include "../base/probe.hpp"
#include "../selector.hpp"
#include "affinities.hpp"
#include "slave_table.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// The socket of the slave that a work prefers, if it is a candidate; else the one that the selector chooses. Null: the
/// selector declined, threw, or returned a socket that is not a candidate. What it threw is in `error` then.
template <class Selector>
Socket* choose(Selector& selector, const SlaveTable& table, const Affinities& affinities, const Submission& work,
               const SlaveTable::Candidates& candidates, std::exception_ptr& error) {
    if (const std::uint64_t key = work.options.affinity()) {
        Socket* const preferred = table.find(affinities.slave_of(key));
        if (preferred && candidates.contains(&preferred->information)) {
            DISTWORK_MARK(preferred);
            return preferred;
        }
        if (preferred && DISTWORK_PLANTED(insist_on_affinity)) return nullptr;
    }
    DistributeContext context{work, candidates.sockets, candidates.all};
    const SocketInformation* chosen = nullptr;
    try {
        chosen = selector(context);
    } catch (...) {
        error = std::current_exception();
    }
    return chosen && candidates.contains(chosen) ? table.at(chosen->place) : nullptr;
}

}  // namespace distwork::detail
