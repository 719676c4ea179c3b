#include "parts.hpp"

int twice(int value) {
    return value * 2;
}
DISTWORK_REGISTER_FUNCTION(twice)
