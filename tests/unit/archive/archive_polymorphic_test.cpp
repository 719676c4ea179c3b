// Before any work is registered: cereal binds a type to the archives that it knows by then. Clang 19 refuses the
// RapidJSON behind it (an assignment to a const member).
#ifndef __clang__
#include <cereal/archives/json.hpp>

#include "distwork/archive/archive_polymorphic.hpp"

#include <memory>
#include <sstream>

#include "distwork/archive/codec.hpp"
#include "support/call_works.hpp"
#include "support/catch.hpp"

namespace archive_polymorphic_test {

using namespace distwork;
using namespace distwork::detail;

TEST_CASE("a work behind a pointer round-trips through cereal's JSON and through our archives", "[unit]") {
    std::stringstream json;
    {
        cereal::JSONOutputArchive out{json};
        const std::unique_ptr<IWork> work = std::make_unique<calls::Add>(3, 4);
        out(work);
    }
    std::unique_ptr<IWork> from_json;
    {
        cereal::JSONInputArchive in{json};
        in(from_json);
    }
    ByteBuffer bytes;
    detail::encode_value(from_json, bytes, {});
    std::unique_ptr<IWork> from_bytes;
    detail::decode(bytes.view(), from_bytes, {});
    const auto* const add = dynamic_cast<const calls::Add*>(from_bytes.get());
    REQUIRE(add);
    CHECK(add->a == 3);
    CHECK(add->b == 4);
}

}  // namespace archive_polymorphic_test
#endif
