// One translation unit that includes the whole of distwork; beside asio_cereal.cpp, its two libraries alone.
#include <distwork.hpp>

int main() {}
