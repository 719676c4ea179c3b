// The whole of distwork, and nothing of it used; beside asio_cereal.cpp, its two libraries alone.
#include <distwork.hpp>

int main() {}
