#pragma once

// Required compiler settings. Every other header includes this one first, directly or indirectly, so that a missing
// setting gives one clear error before the errors that follow from it.

#if __cplusplus < 202002L && (!defined(_MSVC_LANG) || _MSVC_LANG < 202002L)
#error "distwork needs C++20: compile with -std=c++20 or later (the CMake target distwork::distwork does)"
#endif
#ifndef __cpp_exceptions
#error "distwork needs exceptions, its works and its callers throw them: compile without -fno-exceptions"
#endif
#ifndef __cpp_rtti
#error "distwork needs run-time type information, by which cereal tells works apart: compile without -fno-rtti"
#endif
#if defined(DISTWORK_PROBE) && defined(DISTWORK_SEPARATE_COMPILATION)
#error "distwork needs DISTWORK_PROBE without DISTWORK_SEPARATE_COMPILATION: the compiled library has no probe"
#endif

#include "one_version.hpp"
