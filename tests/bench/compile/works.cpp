// A file of a larger program, that only defines works and registers them.
#include <cereal/types/string.hpp>
#include <distwork/register.hpp>
#include <distwork/work.hpp>
#include <string>

struct Greet : distwork::RpcWork<std::string> {
    std::string name;

    std::string execute_work(distwork::Context&) override { return "hello " + name; }

    template <class Archive>
    void serialize(Archive& archive) {
        archive(name);
    }
};
DISTWORK_REGISTER_WORK(Greet)

struct Note : distwork::IWork {
    int number = 0;

    void execute(distwork::Context&) override {}

    template <class Archive>
    void serialize(Archive& archive) {
        archive(number);
    }
};
DISTWORK_REGISTER_WORK(Note)

double area(double width, double height) {
    return width * height;
}
DISTWORK_REGISTER_FUNCTION(area)
