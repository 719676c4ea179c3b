#pragma once

// A file that is compiled with DISTWORK_SEPARATE_COMPILATION, and has a role with a selector or a transport of its own,
// includes this header.

#include "../roles/machinery.hpp"
