// Clang 19 refuses the RapidJSON behind it (an assignment to a const member).
#ifndef __clang__
#include <cereal/archives/json.hpp>
#endif
#include <cereal/archives/xml.hpp>

#include <cstring>
#include <memory>
#include <sstream>
#include <string>

#include "distwork/register.hpp"
#include "support/catch.hpp"

// Works that cereal's archives of text cannot save, beside those archives.

namespace wire_only {

class Picture : public distwork::RpcWork<std::wstring> {
public:
    std::wstring title;
    char pixels[4] = {};
    std::wstring execute_work(distwork::Context&) override { return title; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(title, cereal::binary_data(pixels, sizeof pixels));
    }
};

std::u16string repeat(const std::u16string& text, int times) {
    std::u16string all;
    while (times-- > 0) all += text;
    return all;
}

class Plain : public distwork::IWork {
public:
    int number = 0;
    void execute(distwork::Context&) override {}
    template <class Archive>
    void serialize(Archive& archive) {
        archive(CEREAL_NVP(number));
    }
};

}  // namespace wire_only

DISTWORK_REGISTER_WORK_WIRE_ONLY(wire_only::Picture)
DISTWORK_REGISTER_FUNCTION_WIRE_ONLY(wire_only::repeat)
DISTWORK_REGISTER_WORK(wire_only::Plain)

namespace register_test {

using namespace distwork;
using namespace distwork::detail;
using wire_only::Picture;
using wire_only::Plain;

namespace {

std::unique_ptr<IWork> through_wire(const std::unique_ptr<IWork>& work) {
    ByteBuffer bytes;
    detail::encode_value(work, bytes, {});
    std::unique_ptr<IWork> decoded;
    detail::decode(bytes.view(), decoded, {});
    return decoded;
}

}  // namespace

TEST_CASE("a work that is registered for our archives only goes through them behind a pointer", "[unit]") {
    auto picture = std::make_unique<Picture>();
    picture->title = L"night";
    std::memcpy(picture->pixels, "abcd", 4);
    const auto decoded = through_wire(std::move(picture));
    const auto* same = dynamic_cast<const Picture*>(decoded.get());
    REQUIRE(same);
    CHECK(same->title == L"night");
    CHECK(std::memcmp(same->pixels, "abcd", 4) == 0);
    CHECK(Registry::instance().find("wire_only::Picture"));
    CHECK(Registry::instance().find("wire_only::repeat"));

    const std::unique_ptr<IWork> call = std::make_unique<FunctionWork<&wire_only::repeat>>(std::tuple{u"ab", 2});
    CHECK(dynamic_cast<const FunctionWork<&wire_only::repeat>*>(through_wire(call).get()));
}

TEST_CASE("other archives know only what is registered for all", "[unit]") {
    const auto saved = [](const std::unique_ptr<IWork>& work) {
        std::stringstream text;
        cereal::XMLOutputArchive archive{text};
        archive(work);
    };
    CHECK_NOTHROW(saved(std::make_unique<Plain>()));
    CHECK_THROWS_AS(saved(std::make_unique<Picture>()), cereal::Exception);
}

}  // namespace register_test
