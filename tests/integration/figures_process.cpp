// A slave of another build: figures_process PORT

#include <cstdlib>

#define RADIUS double
#define EDGE double
#include "support/figures.hpp"

/// A class that only this build has.
class Star : public Figure {
public:
    double size() const override { return points; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(points);
    }
    int points = 5;
};
CEREAL_REGISTER_TYPE(Star)
CEREAL_REGISTER_POLYMORPHIC_RELATION(Figure, Star)

int main(int, char** arguments) {
    asio::io_context io;
    distwork::SlaveOptions options;
    options.reconnect = distwork::Reconnect::never;
    distwork::Slave slave{io.get_executor(), "127.0.0.1", static_cast<std::uint16_t>(std::atoi(arguments[1])), options};
    slave.start();
    io.run();
}
