// A library with a function and a class of its own, which calls functions through the program's master. names.cpp has
// its name.

#include <exception>
#include <future>
#include <sstream>

#include "shared.hpp"

extern "C" {
__attribute__((visibility("hidden"))) extern const char library_name[];
__attribute__((visibility("hidden"))) extern const char strip_name[];
}

std::string thumbnail(std::string path) {
    return "thumbnail of " + path + " by " + library_name;
}
DISTWORK_REGISTER_FUNCTION(thumbnail)

class Strip : public Named, public Shape {
public:
    explicit Strip(int length = 0) : length_{length} {}
    int area() const override { return length_; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(length_);
    }

private:
    int length_;
};
CEREAL_REGISTER_TYPE_WITH_NAME(Strip, strip_name)
CEREAL_REGISTER_POLYMORPHIC_RELATION(Shape, Strip)

namespace {

/// Calls, and waits for the outcome: a text for either.
template <auto F, class Argument>
std::string outcome_of(distwork::Master<>& master, Argument argument) {
    std::promise<std::string> outcome;
    master.async_call<F>(std::move(argument), [&outcome](const std::exception_ptr& error, auto value) {
        std::ostringstream text;
        text << value;
        outcome.set_value(error ? distwork::detail::describe(error).text : text.str());
    });
    return outcome.get_future().get();
}

std::string call_thumbnail(distwork::Master<>& master) {
    return outcome_of<thumbnail>(master, std::string{"cat.png"});
}

std::string call_total_area(distwork::Master<>& master) {
    Shapes shapes;
    shapes.push_back(std::make_unique<Square>(6));
    shapes.push_back(std::make_unique<Strip>(6));
    return outcome_of<total_area>(master, std::move(shapes));
}

}  // namespace

extern "C" {
__attribute__((visibility("default"))) extern const Library library;
const Library library{&call_thumbnail, &call_total_area};
}
