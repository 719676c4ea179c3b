#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/polymorphic.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/unordered_set.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/vector.hpp>
#include <distwork.hpp>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

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

// Equal values have equal bytes, unless a container is in them whose order depends on hashes.

namespace encoded {

struct Base {
    virtual ~Base() = default;
    template <class Archive>
    void serialize(Archive&) {}
};
template <class Container>
struct Has : Base {
    Container container;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(container);
    }
};
using HasUnordered = Has<std::unordered_set<int>>;
using HasOrdered = Has<std::map<int, int>>;

}  // namespace encoded

CEREAL_REGISTER_TYPE(encoded::HasUnordered)
CEREAL_REGISTER_TYPE(encoded::HasOrdered)
CEREAL_REGISTER_POLYMORPHIC_RELATION(encoded::Base, encoded::HasUnordered)
CEREAL_REGISTER_POLYMORPHIC_RELATION(encoded::Base, encoded::HasOrdered)

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

template <class T>
bool is_canonical(const T& value) {
    distwork::detail::ByteBuffer bytes;
    return distwork::detail::encode_value(value, bytes, {});
}

}  // namespace

TEST_CASE("encoding tells whether equal values have equal bytes") {
    CHECK(is_canonical(7));
    CHECK(is_canonical(std::string{"seven"}));
    CHECK(is_canonical(std::map<std::string, std::vector<int>>{{"seven", {7}}}));
    CHECK(is_canonical(encoded::HasOrdered{}));
    CHECK(is_canonical(std::unique_ptr<encoded::Base>{std::make_unique<encoded::HasOrdered>()}));

    CHECK_FALSE(is_canonical(std::unordered_map<int, int>{{1, 2}, {3, 4}}));
    CHECK_FALSE(is_canonical(std::unordered_set<int>{}));  // also an empty one: another may have elements
    CHECK_FALSE(is_canonical(std::unordered_multimap<int, int>{}));
    CHECK_FALSE(is_canonical(std::unordered_multiset<int>{}));
    CHECK_FALSE(is_canonical(std::vector<std::pair<int, std::unordered_set<int>>>(1)));
    CHECK_FALSE(is_canonical(encoded::HasUnordered{}));
    CHECK_FALSE(is_canonical(std::make_unique<std::unordered_set<int>>()));
    CHECK_FALSE(is_canonical(std::unique_ptr<encoded::Base>{std::make_unique<encoded::HasUnordered>()}));
    CHECK_FALSE(is_canonical(std::shared_ptr<encoded::Base>{std::make_shared<encoded::HasUnordered>()}));
}

TEST_CASE("what a load throws is an error of decoding, whatever it is") {
    CHECK(text_of_decoding<int>().find("int: ") == 0);
    CHECK(text_of_decoding<loaded::Mute>().find("a null pointer instead of a text: ") == 0);
    CHECK(text_of_decoding<std::bad_exception>().find("std::bad_exception: ") == 0);
}

}  // namespace codec_test
