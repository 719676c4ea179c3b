// Registers the works that the other files of this program send.
#define SUPPORT_REGISTER_WORKS
#include "support/works.hpp"
