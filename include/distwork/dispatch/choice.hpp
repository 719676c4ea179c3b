#pragma once

#include <exception>

#include "../selector.hpp"
#include "slave_table.hpp"
#include "submission.hpp"

namespace distwork::detail {

/// The socket that a selector chooses for a work. Null: it declined, threw, or returned a socket that is not a candidate.
/// What it threw is in `error` then.
template <class Selector>
Socket* choose(Selector& selector, const SlaveTable& table, const Submission& work,
               const SlaveTable::Candidates& candidates, std::exception_ptr& error) {
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
