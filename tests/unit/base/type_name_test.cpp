#include <distwork/base/type_name.hpp>
#include <exception>
#include <stdexcept>
#include <string>

#include "support/catch.hpp"

namespace thrown {

struct Mute : std::exception {
    const char* what() const noexcept override { return nullptr; }
};
struct Odd {};

}  // namespace thrown

namespace type_name_test {

using distwork::detail::describe;
using distwork::detail::what_of;

TEST_CASE("an exception is described by its type and its text") {
    const auto text = describe(std::make_exception_ptr(std::out_of_range{"7 of 5"}));
    CHECK(text.type == "std::out_of_range");
    CHECK(text.text == "7 of 5");
    CHECK(describe(std::make_exception_ptr(std::string{"a string"})).text == "a string");
    CHECK(describe(std::make_exception_ptr<const char*>("a literal")).text == "a literal");
    CHECK(what_of(std::make_exception_ptr(thrown::Odd{})) == "thrown::Odd");
}

TEST_CASE("where an exception has a null pointer for its text, one is made up") {
    const auto mute = describe(std::make_exception_ptr(thrown::Mute{}));
    CHECK(mute.type == "thrown::Mute");
    CHECK(mute.text == "a null pointer instead of a text");
    CHECK(describe(std::make_exception_ptr<const char*>(nullptr)).text == mute.text);
    CHECK(describe(std::make_exception_ptr(nullptr)).text == mute.text);
}

}  // namespace type_name_test
