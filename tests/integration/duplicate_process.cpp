// Two types of one name: says what the constructors of both roles throw, and ends with 0 if they name the type.

#include <distwork.hpp>
#include <iostream>

namespace one {
class Work : public distwork::IWork {
public:
    void execute(distwork::Context&) override {}
    template <class Archive>
    void serialize(Archive&) {}
};
}  // namespace one
namespace two {
int f(int value) {
    return value;
}
}  // namespace two
using distwork::FunctionWork;
using one::Work;

DISTWORK_REGISTER_WORK(one::Work)
// The name of a class that is there already.
DISTWORK_REGISTER_WORK_AS("one::Work", distwork::FunctionWork<&two::f>)

template <class Construct>
bool names_the_type(Construct construct) {
    try {
        construct();
    } catch (const distwork::Error& error) {
        std::cout << error.what() << '\n';
        return error.code() == distwork::Errc::duplicate_type &&
               std::string{error.what()} == "two work types are registered as one::Work";
    }
    return false;
}

int main() {
    asio::io_context io;
    const bool master = names_the_type([&] { distwork::Master<>{io.get_executor(), 0}; });
    const bool slave = names_the_type([&] { distwork::Slave<>{io.get_executor(), "127.0.0.1", 1}; });
    return master && slave ? 0 : 1;
}
