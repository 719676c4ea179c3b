#include "distwork/calls/call_table.hpp"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "support/calls.hpp"
#include "support/catch.hpp"

namespace call_table_test {

using namespace distwork;
using namespace distwork::detail;
using namespace support;

namespace {

std::uint64_t insert(CallTable& table, const std::shared_ptr<Call>& call) {
    const std::uint64_t id = table.next_id();
    table.insert(call);
    return id;
}

}  // namespace

TEST_CASE("a call is found by its id once, and by no other", "[unit]") {
    CallTable table;
    CHECK(table.take(0) == nullptr);
    CHECK(table.take(1) == nullptr);
    const auto a = plain();
    const auto b = plain();
    const std::uint64_t first = insert(table, a);
    const std::uint64_t second = insert(table, b);
    CHECK(first != 0);
    CHECK(first != second);
    CHECK(a->id == first);
    CHECK(table.size() == 2);
    CHECK(table.look_up(second));
    CHECK(table.take(second) == b);
    CHECK_FALSE(table.look_up(second));
    CHECK(table.take(second) == nullptr);
    CHECK(table.take(first + CallTable::most_calls) == nullptr);
    CHECK(table.take(first + 1000) == nullptr);
    CHECK(table.take(~std::uint64_t{0}) == nullptr);
    CHECK(table.take(first) == a);
    CHECK(table.size() == 0);
}

TEST_CASE("an id is never used twice, so that a late answer finds nothing", "[unit]") {
    std::mt19937 random{1};
    CallTable table;
    std::map<std::uint64_t, std::shared_ptr<Call>> model;
    std::set<std::uint64_t> used{0};
    std::vector<std::uint64_t> late;
    for (int step = 0; step < 5000; ++step) {
        if (random() % 2 || model.empty()) {
            const auto call = plain();
            const std::uint64_t id = insert(table, call);
            REQUIRE(used.insert(id).second);
            model.emplace(id, call);
        } else {
            const auto at = std::next(model.begin(), static_cast<std::ptrdiff_t>(random() % model.size()));
            REQUIRE(table.take(at->first) == at->second);
            late.push_back(at->first);
            model.erase(at);
        }
        REQUIRE(table.size() == model.size());
        if (!late.empty()) REQUIRE(table.take(late[random() % late.size()]) == nullptr);
    }
    std::set<std::shared_ptr<Call>> left;
    for (const auto& [id, call] : model) left.insert(call);
    std::vector<std::shared_ptr<Call>> all;
    all.reserve(table.size());
    table.take_all(all);
    CHECK(all.size() == model.size());
    CHECK(std::set<std::shared_ptr<Call>>{all.begin(), all.end()} == left);
    CHECK(table.size() == 0);
    for (const auto& [id, call] : model) CHECK(table.take(id) == nullptr);
}

}  // namespace call_table_test
