#include <distwork/register.hpp>

static_assert(DISTWORK_VERSION_MINOR != 99);
