#include <distwork/program.hpp>

int main() {}
