#include "simulation/roles.hpp"

namespace distwork::detail {

template struct MasterFactory<RoundRobin, sim::Transport>;
template struct SlaveFactory<sim::Transport>;

}  // namespace distwork::detail
