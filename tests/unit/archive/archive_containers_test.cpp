#include "distwork/archive/archive_containers.hpp"

#include <cereal/types/deque.hpp>
#include <cereal/types/forward_list.hpp>
#include <cereal/types/list.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/unordered_map.hpp>
#include <cereal/types/unordered_set.hpp>
#include <cereal/types/utility.hpp>
#include <cereal/types/valarray.hpp>
#include <cereal/types/vector.hpp>
#include <cstddef>
#include <deque>
#include <forward_list>
#include <list>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <valarray>
#include <vector>

#include "distwork/archive/codec.hpp"
#include "distwork/error.hpp"
#include "support/catch.hpp"

namespace archive_containers_test {

using namespace distwork;
using namespace distwork::detail;

namespace {

template <class Value>
ByteBuffer encoded(const Value& value) {
    ByteBuffer body;
    encode_value(value, body, {});
    return body;
}

/// The error of decoding a value; none: it came back.
template <class Value>
std::error_code error_of_decoding(const ByteBuffer& body, const ArchiveLimits& limits = {}) {
    Value value;
    try {
        detail::decode(body.view(), value, limits);
    } catch (const Error& error) {
        return error.code();
    }
    return {};
}

struct Mean {
    std::size_t operator()(int) const noexcept { return 7; }
};

/// Has a container that owns memory although it is empty.
struct Hidden {
    std::deque<char> inside;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(inside);
    }
};

}  // namespace

TEMPLATE_TEST_CASE("a container that hashes is not made slow by keys that were chosen for it", "[unit]",
                   (std::unordered_set<int, Mean>), (std::unordered_multiset<int, Mean>)) {
    std::vector<int> keys;
    for (int key = 0; key < 100; ++key) keys.push_back(key);
    CHECK(error_of_decoding<TestType>(encoded(keys)) == std::error_code{});  // a few may collide
    for (int key = 100; key < 100'000; ++key) keys.push_back(key);
    CHECK(error_of_decoding<TestType>(encoded(keys)) == Errc::malformed);
    ArchiveLimits patient;
    patient.max_hash_steps = 1'000'000;
    keys.resize(2000);
    CHECK(error_of_decoding<TestType>(encoded(keys)) == Errc::malformed);
    CHECK(error_of_decoding<TestType>(encoded(keys), patient) == std::error_code{});
}

TEMPLATE_TEST_CASE("so is no map", "[unit]", (std::unordered_map<int, char, Mean>),
                   (std::unordered_multimap<int, char, Mean>)) {
    std::vector<std::pair<int, char>> entries;
    for (int key = 0; key < 100'000; ++key) entries.emplace_back(key, 'v');
    CHECK(error_of_decoding<TestType>(encoded(entries)) == Errc::malformed);
    entries.resize(100);
    CHECK(error_of_decoding<TestType>(encoded(entries)) == std::error_code{});
}

TEST_CASE("equal keys are no attack, unless others are put behind them", "[unit]") {
    using Many = std::unordered_multimap<int, char>;
    std::vector<std::pair<int, char>> equal(200'000, {1, 'v'});
    CHECK(error_of_decoding<Many>(encoded(equal)) == std::error_code{});
    // In one bucket, one key behind a hundred thousand of another: each insertion of it would pass them all.
    using Slow = std::unordered_multimap<int, char, Mean>;
    std::vector<std::pair<int, char>> entries(1, {2, 'v'});
    entries.insert(entries.end(), 100'000, {1, 'v'});
    entries.insert(entries.end(), 100'000, {2, 'v'});
    CHECK(error_of_decoding<Slow>(encoded(entries)) == Errc::malformed);
}

TEST_CASE("usual containers that hash come back, also large ones", "[unit]") {
    std::unordered_map<std::string, int> words;
    std::unordered_multimap<int, int> pairs;
    for (int i = 0; i < 50'000; ++i) words["word " + std::to_string(i)] = i, pairs.emplace(i / 3, i);
    std::unordered_map<std::string, int> words_back;
    std::unordered_multimap<int, int> pairs_back;
    detail::decode(encoded(words).view(), words_back, {});
    detail::decode(encoded(pairs).view(), pairs_back, {});
    CHECK(words_back == words);
    CHECK(pairs_back == pairs);
}

TEMPLATE_TEST_CASE("memory that an empty container owns is charged, wherever it is hidden", "[unit]",
                   std::vector<std::deque<char>>, std::deque<std::deque<char>>, std::list<std::deque<char>>,
                   std::vector<Hidden>, std::list<Hidden>, std::deque<Hidden>, std::forward_list<Hidden>,
                   std::forward_list<std::deque<char>>, std::valarray<Hidden>) {
    const std::vector<std::string> empty(2'000'000);  // 16 MB; as many deques would own more than a gigabyte
    const ByteBuffer body = encoded(empty);
    CHECK(error_of_decoding<TestType>(body) == Errc::too_large);
    CHECK(error_of_decoding<TestType>(encoded(std::vector<std::string>(1000))) == std::error_code{});
}

TEST_CASE("a sequence of objects comes back into one that has some, as from cereal", "[unit]") {
    std::vector<std::string> into{"one", "two", "three"};
    detail::decode(encoded(std::vector<std::string>{"1", "2"}).view(), into, {});
    CHECK(into == std::vector<std::string>{"1", "2"});
    detail::decode(encoded(std::vector<std::string>{"1", "2", "3", "4"}).view(), into, {});
    CHECK(into == std::vector<std::string>{"1", "2", "3", "4"});
    std::list<int> numbers{7};
    detail::decode(encoded(std::vector<int>{1, 2}).view(), numbers, {});
    CHECK(numbers == std::list<int>{1, 2});
}

TEST_CASE("a valarray comes back, and an empty one, too", "[unit]") {
    std::valarray<double> back(3);
    detail::decode(encoded(std::valarray<double>{}).view(), back, {});
    CHECK(back.size() == 0);
    detail::decode(encoded(std::valarray<double>{1.5, 2.5}).view(), back, {});
    REQUIRE(back.size() == 2);
    CHECK(back[1] == 2.5);
}

}  // namespace archive_containers_test
