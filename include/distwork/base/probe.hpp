#pragma once

#include "requirements.hpp"

// Our own simulation tests count which situations their runs came into, and switch on bugs that they must find: they
// define DISTWORK_PROBE to a header that defines both macros. Everywhere else there is nothing of either.
#ifdef DISTWORK_PROBE
#include DISTWORK_PROBE
#else
#define DISTWORK_MARK(name) static_cast<void>(0)
#define DISTWORK_PLANTED(name) false
#endif
