#pragma once

#include "requirements.hpp"

// The simulation tests count the situations that their runs reach, and switch on bugs that they must find. They define
// DISTWORK_PROBE to the name of a header that defines both macros. Everywhere else the macros do nothing.
#ifdef DISTWORK_PROBE
#include DISTWORK_PROBE
#else
#define DISTWORK_MARK(name) static_cast<void>(0)
#define DISTWORK_PLANTED(name) false
#endif
