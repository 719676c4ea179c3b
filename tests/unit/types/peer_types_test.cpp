#include "distwork/types/peer_types.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "distwork/archive/codec.hpp"
#include "distwork/types/registry.hpp"
#include "support/catch.hpp"
#include "support/hex.hpp"
#include "support/type_table.hpp"

namespace peer_types_test {

using namespace distwork;
using namespace distwork::detail;

namespace {

WorkType type_named(std::string name, std::uint16_t number, std::uint64_t (*fingerprint)()) {
    WorkType type;
    type.registry = &distwork::detail::Registry::instance();
    type.name = std::move(name);
    type.number = number;
    type.fingerprint = fingerprint;
    return type;
}

std::uint64_t seven() {
    return 7;
}
std::uint64_t eight() {
    return 8;
}

}  // namespace

TEST_CASE("an introduction's body is these bytes, and comes back", "[unit]") {
    const auto version = GENERATE(std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{3});
    const Introduction said{0x0102,  0x0304, 0x0506,          {"gpu"}, {{"Sum", 0x1122334455667788}, {"P", 1}},
                            version, 0x0708, {{"m", 0x0a0b}}, {"m"}};
    ByteBuffer body;
    detail::encode_value(said, body, {});
    CHECK(hex(body.view()) ==
          "02 01 00 00 04 03 00 00 06 05 00 00 "  // slots, window, max_frame_bytes
          "01 00 00 00 00 00 00 00 03 00 00 00 00 00 00 00 67 70 75 "
          "02 00 00 00 00 00 00 00 "
          "03 00 00 00 00 00 00 00 53 75 6d 88 77 66 55 44 33 22 11 " +
              std::string{"01 00 00 00 00 00 00 00 50 01 00 00 00 00 00 00 00"} + (version == 1 ? "" : " 08 07 00 00") +
              (version < 3 ? ""
                           : " 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 6d 0b 0a 00 00 00 00 00 00"
                             " 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 6d"));
    Introduction heard;
    heard.version = version;
    detail::decode(body.view(), heard, {});
    CHECK(heard.held_slots == (version == 1 ? 0u : 0x0708u));
    CHECK(heard.amounts == (version < 3 ? Amounts{} : said.amounts));
    CHECK(heard.indexed.size() == (version < 3 ? 0u : 1u));
    CHECK(heard.slots == said.slots);
    CHECK(heard.window == said.window);
    CHECK(heard.labels == said.labels);
    CHECK(heard.types == said.types);
}

TEST_CASE("a peer is sent only types that it has in the same shape, by its own numbers", "[unit]") {
    const WorkType a = type_named("A", 0, &seven);
    const WorkType b = type_named("B", 1, &eight);
    const WorkType c = type_named("C", 2, &seven);
    const WorkType later = type_named("Later", 3, &seven);
    const PeerTypes types{table_of({&a, &b, &c}),
                          {.labels = {}, .types = {{"X", 7}, {"B", 8}, {"C", 8}, {"B", 9}, {"Later", 7}}}};

    CHECK(types.number(a) == PeerTypes::unknown);
    CHECK(types.number(b) == 1);  // the first of that name
    CHECK(types.number(c) == PeerTypes::differs);
    CHECK(types.number(later) == PeerTypes::unknown);  // it was registered after the table was sent
    CHECK_FALSE(types.knows(a));
    CHECK(types.knows(b));
    CHECK_FALSE(types.knows(c));
    CHECK_FALSE(types.knows(later));
    CHECK(types.known() == std::vector<bool>{false, true, false});
    CHECK(types.differing() == std::vector<std::string>{"C"});
    CHECK(types.unknown_names() == std::vector<std::string>{"A"});
    CHECK_FALSE(PeerTypes{}.knows(b));
}

TEST_CASE("a number beyond what a header holds is no number", "[unit]") {
    Introduction peer;
    peer.types.assign(0x1'0000, {"other", 7});
    peer.types[0xffff].first = "Last";
    for (const char* name : {"At the bound", "Beyond", "Far beyond"}) peer.types.emplace_back(name, 7);
    const WorkType last = type_named("Last", 0, &seven);
    const WorkType beyond = type_named("Beyond", 1, &seven);
    const WorkType far_beyond = type_named("Far beyond", 2, &seven);
    const PeerTypes types{table_of({&last, &beyond, &far_beyond}), peer};
    CHECK(types.number(last) == 0xffff);
    CHECK(types.number(beyond) == PeerTypes::unknown);
    CHECK(types.number(far_beyond) == PeerTypes::unknown);
}

}  // namespace peer_types_test
