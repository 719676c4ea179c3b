#pragma once

// What is behind the roles. A file that is compiled with DISTWORK_SEPARATE_COMPILATION, and has a role with a selector
// or a transport of its own, includes this header.

#include "../roles/master_core.hpp"
#include "../roles/slave_core.hpp"
#include "../selector.hpp"
#include "../transport.hpp"

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
