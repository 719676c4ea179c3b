#include <distwork/program.hpp>
