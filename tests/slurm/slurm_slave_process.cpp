// A slave, by the options of its command line, that a job runs.

#include <distwork/program.hpp>

#include "where.hpp"

int main(int argc, char** argv) {
    distwork::Program program{argc, argv};
    return 1;  // it was not told whose slave it is
}
