// The two libraries alone.
#include <asio.hpp>
#include <cereal/types/polymorphic.hpp>

int main() {}
