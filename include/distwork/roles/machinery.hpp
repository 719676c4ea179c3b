#pragma once

// What is behind the roles, for files that make roles over another transport than Tcp, or with another selector.

#include "../selector.hpp"
#include "../transport.hpp"
#include "master_core.hpp"
#include "slave_core.hpp"

#ifdef DISTWORK_SEPARATE_COMPILATION
namespace distwork::detail {

// These are compiled by src.hpp.
extern template struct MasterFactory<RoundRobin, Tcp>;
extern template struct MasterFactory<LeastLoaded, Tcp>;
extern template struct MasterFactory<PowerOfTwoChoices, Tcp>;
extern template struct MasterFactory<AnySelector, Tcp>;
extern template struct SlaveFactory<Tcp>;

}  // namespace distwork::detail
#endif
