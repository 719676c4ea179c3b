#pragma once

// Separate compilation: one source file of a program includes this header. The others are compiled with
// DISTWORK_SEPARATE_COMPILATION, and contain only what their own types need; the roles over Tcp with the selectors of
// the library are compiled here. The library distwork::compiled consists of such a file.

#include "roles.hpp"

namespace distwork::detail {

template struct MasterFactory<RoundRobin, Tcp>;
template struct MasterFactory<LeastLoaded, Tcp>;
template struct MasterFactory<PowerOfTwoChoices, Tcp>;
template struct MasterFactory<AnySelector, Tcp>;
template struct SlaveFactory<Tcp>;

}  // namespace distwork::detail
