#pragma once

#include <distwork.hpp>

#include "distwork/sim/simulation.hpp"

// The roles over the simulated network are compiled once, in roles.cpp.

namespace distwork::detail {

extern template struct MasterFactory<RoundRobin, sim::Transport>;
extern template struct SlaveFactory<sim::Transport>;

}  // namespace distwork::detail
