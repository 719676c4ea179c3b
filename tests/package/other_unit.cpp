#include "works.hpp"

Negate make_negate(int value) {
    return Negate{value};
}
