// A class that two files register under different spellings, and a function under two names: says what the constructors
// of both roles throw, and ends with 0 if they name each.

#include <distwork.hpp>
#include <iostream>
#include <string>

namespace app {
class Work : public distwork::IWork {
public:
    void execute(distwork::Context&) override {}
    template <class Archive>
    void serialize(Archive&) {}
};
int twice(int value) {
    return 2 * value;
}
}  // namespace app

DISTWORK_REGISTER_WORK(app::Work)
DISTWORK_REGISTER_FUNCTION(app::twice)

namespace {

// As other files would, which have a `using namespace app`.
const distwork::detail::Registration<app::Work> work{"Work"};
const distwork::detail::Registration<distwork::FunctionWork<&app::twice>> function{"doubled"};

template <class Construct>
bool names_both(Construct construct) {
    try {
        construct();
    } catch (const distwork::Error& error) {
        const std::string text = error.what();
        std::cout << text << '\n';
        return error.code() == distwork::Errc::duplicate_type &&
               text.find("Work is registered as app::Work too") != std::string::npos &&
               text.find("doubled is registered as app::twice too") != std::string::npos;
    }
    return false;
}

}  // namespace

int main() {
    asio::io_context io;
    const bool master = names_both([&] { distwork::Master<>{io.get_executor(), 0}; });
    const bool slave = names_both([&] { distwork::Slave<>{io.get_executor(), "127.0.0.1", 1}; });
    return master && slave ? 0 : 1;
}
