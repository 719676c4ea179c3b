#pragma once

// What is behind the roles. A file that is compiled with DISTWORK_SEPARATE_COMPILATION, and has a role with a selector
// or a transport of its own, includes this header.

#include "../roles/master_core.hpp"
#include "../roles/slave_core.hpp"
