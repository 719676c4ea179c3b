// Which types two peers exchange, and by which numbers.

#include "distwork/types/type_table.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "distwork/types/peer_types.hpp"
#include "support/catch.hpp"

namespace type_table_test {

using distwork::Errc;
using distwork::detail::Introduction;
using distwork::detail::PeerTypes;
using distwork::detail::Registry;
using distwork::detail::TypeTable;
using distwork::detail::WorkType;

namespace {

/// A process's types by hand.
struct Types {
    Types& work(std::string name, std::uint64_t fingerprint, std::vector<std::size_t> parts = {}) {
        auto type = std::make_unique<WorkType>();
        type->name = std::move(name);
        type->number = static_cast<std::uint16_t>(owned.size());
        type->registry = &Registry::instance();
        table->types.push_back(type.get());
        table->fingerprints.push_back(fingerprint);
        table->parts_of.push_back(std::move(parts));
        owned.push_back(std::move(type));
        return *this;
    }
    Types& part(std::string name, std::uint64_t fingerprint) {
        table->parts.emplace_back(std::move(name), fingerprint);
        return *this;
    }
    const WorkType& operator[](std::size_t number) const { return *owned[number]; }

    std::vector<std::unique_ptr<WorkType>> owned;
    std::shared_ptr<TypeTable> table = std::make_shared<TypeTable>();
};

PeerTypes met(const Types& ours, std::vector<std::pair<std::string, std::uint64_t>> theirs) {
    Introduction peer;
    peer.types = std::move(theirs);
    return PeerTypes{ours.table, peer};
}

std::string log_of(const PeerTypes& types) {
    std::string all;
    types.log_differences([&](distwork::LogLevel, std::string_view line) { all.append(line).append("\n"); }, "peer");
    return all;
}

}  // namespace

TEST_CASE("types are matched by name and fingerprint", "[unit]") {
    Types ours;
    ours.work("A", 1).work("B", 2).work("C", 3);
    const PeerTypes types = met(ours, {{"B", 2}, {"A", 9}, {"D", 4}});
    CHECK(types.number(ours[1]) == 0);
    CHECK(types.why_unknown(ours[0]) == Errc::shape_differs);
    CHECK(types.why_unknown(ours[2]) == Errc::unknown_type);
    CHECK(types.known() == std::vector<bool>{false, true, false});
}

TEST_CASE("a number means nothing but for the type that has it in the table it is of", "[unit]") {
    Types ours;
    ours.work("thumbnail", 1);
    const PeerTypes types = met(ours, {{"thumbnail", 1}});
    REQUIRE(types.knows(ours[0]));
    SECTION("one of another registry") {
        WorkType other = ours[0];
        other.registry = nullptr;
        CHECK_FALSE(types.knows(other));
        CHECK(types.why_unknown(other) == Errc::foreign_type);
    }
    SECTION("one that came after the peer was told") {
        WorkType later = ours[0];
        later.number = 1;
        CHECK_FALSE(types.knows(later));
        CHECK(types.why_unknown(later) == Errc::unknown_type);
    }
}

TEST_CASE("a work differs where a class that it may hold has the same name and another shape", "[unit]") {
    Types ours;
    ours.part("Circle", 1).part("Square", 2).work("Drawing", 10, {0, 1}).work("Table", 11, {1}).work("Plain", 12);
    const auto theirs = [](std::vector<std::pair<std::string, std::uint64_t>> parts) {
        std::vector<std::pair<std::string, std::uint64_t>> all{{"Drawing", 10}, {"Table", 11}, {"Plain", 12}};
        for (auto& [name, fingerprint] : parts) all.emplace_back('*' + name, fingerprint);
        return all;
    };
    SECTION("all alike") {
        const PeerTypes types = met(ours, theirs({{"Square", 2}, {"Circle", 1}}));
        CHECK(types.known() == std::vector<bool>{true, true, true});
        CHECK(log_of(types).empty());
    }
    SECTION("one differs") {
        const PeerTypes types = met(ours, theirs({{"Square", 2}, {"Circle", 9}}));
        CHECK(types.known() == std::vector<bool>{false, true, true});
        CHECK(types.why_unknown(ours[0]) == Errc::shape_differs);
        CHECK(log_of(types) == "Type Drawing may hold Circle, which has another shape at peer: it is not exchanged\n");
    }
    SECTION("one side has one more") {
        CHECK(met(ours, theirs({{"Square", 2}})).known() == std::vector<bool>{true, true, true});
        const PeerTypes types = met(ours, theirs({{"Square", 2}, {"Circle", 1}, {"Star", 3}}));
        CHECK(types.known() == std::vector<bool>{true, true, true});
        CHECK(log_of(types).empty());
    }
    SECTION("a peer of an older build tells of none") {
        CHECK(met(ours, theirs({})).known() == std::vector<bool>{true, true, true});
    }
}

}  // namespace type_table_test
