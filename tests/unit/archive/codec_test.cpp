#include <distwork.hpp>
#include <exception>
#include <string>

#include "support/catch.hpp"

// Whatever a class throws that is loaded, an Error (malformed) passes the decoding edge, and nothing else.

namespace loaded {

struct Mute : std::exception {
    const char* what() const noexcept override { return nullptr; }
};

template <class Thrown>
struct Throws {
    template <class Archive>
    void save(Archive& archive) const {
        archive(1);
    }
    template <class Archive>
    void load(Archive&) {
        throw Thrown{};
    }
};

}  // namespace loaded

namespace codec_test {

namespace {

template <class Thrown>
std::string text_of_decoding() {
    loaded::Throws<Thrown> object;
    distwork::detail::ByteBuffer bytes;
    distwork::detail::encode_value(object, bytes, {});
    try {
        distwork::detail::decode(bytes.view(), object, {});
    } catch (const distwork::Error& error) {
        CHECK(error.code() == distwork::Errc::malformed);
        return error.what();
    }
    return "nothing was thrown";
}

}  // namespace

TEST_CASE("what a load throws is an error of decoding, whatever it is") {
    CHECK(text_of_decoding<int>().find("int: ") == 0);
    CHECK(text_of_decoding<loaded::Mute>().find("a null pointer instead of a text: ") == 0);
    CHECK(text_of_decoding<std::bad_exception>().find("std::bad_exception: ") == 0);
}

}  // namespace codec_test
