#include "distwork/types/registry.hpp"

#include <cstddef>
#include <string>
#include <typeinfo>

#include "distwork/error.hpp"
#include "distwork/execution/work_functions.hpp"
#include "support/call_works.hpp"
#include "support/catch.hpp"

namespace registry_test {

using namespace distwork;
using namespace distwork::detail;

TEST_CASE("a registered type is found by class, name and number", "[unit]") {
    const Registry& registry = Registry::instance();
    const WorkType& add = work_type<calls::Add>();
    CHECK(add.name == "calls::Add");
    CHECK(registry.find("calls::Add") == &add);
    CHECK(registry.find(typeid(calls::Add)) == &add);
    CHECK(&work_type_of(typeid(calls::Add)) == &add);
    CHECK(registry.types().at(add.number) == &add);
    CHECK(registry.size() == registry.types().size());
    for (std::size_t i = 0; i < registry.size(); ++i) CHECK(registry.types()[i]->number == i);
    CHECK(registry.find("nobody") == nullptr);
    CHECK(registry.find(typeid(calls::Unregistered)) == nullptr);
    CHECK_NOTHROW(registry.check());
    CHECK(add.execute_return == nullptr);
    CHECK(work_type<calls::Returned>().execute_return != nullptr);
}

TEST_CASE("a type that is registered again is the one that is there", "[unit]") {
    const std::size_t before = Registry::instance().size();
    const WorkType& again =
        Registry::instance().add(typeid(calls::Add), detail::WorkFunctions<calls::Add>::operations(), "calls::Add");
    CHECK(&again == &work_type<calls::Add>());
    CHECK(Registry::instance().size() == before);
    CHECK_NOTHROW(Registry::instance().check());
}

TEST_CASE("a type that was not registered is named", "[unit]") {
    try {
        work_type<calls::Unregistered>();
        FAIL("it is registered");
    } catch (const Error& error) {
        CHECK(error.code() == Errc::unregistered_type);
        CHECK(std::string{error.what()}.find("Unregistered") != std::string::npos);
    }
    CHECK_THROWS_AS(work_type_of(typeid(calls::Unregistered)), Error);
}

}  // namespace registry_test
