// Any bytes as the body of any type: they decode, or they are an Error. What decodes is encoded to bytes that decode to
// the same.

#include <algorithm>
#include <array>
#include <atomic>
#include <bitset>
#include <chrono>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "distwork/archive/codec.hpp"
#include "fuzz/input.hpp"
#include "fuzz/seeds.hpp"
#include "support/archived.hpp"

namespace {

using namespace archived;

struct Seconds {
    std::chrono::duration<std::int32_t> time{};
    std::complex<float> number;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(time, number);
    }
};

// One of each kind that cereal has, alone and inside of others.
using Types =
    std::tuple<Everything, bool, char, std::int64_t, double, Colour, Truth, Point, Versioned, Minimal, Arrays, Tree,
               Empty, Seconds, std::string, std::wstring, std::u16string, std::vector<bool>, std::vector<char>,
               std::vector<Empty>, std::vector<std::string>, std::vector<std::deque<char>>, std::deque<Point>,
               std::list<Counted>, std::forward_list<std::string>, std::set<int>, std::multiset<std::string>,
               std::map<std::string, Point>, std::multimap<int, Empty>, std::unordered_set<int>,
               std::unordered_multiset<std::string>, std::unordered_map<std::string, std::vector<int>>,
               std::unordered_multimap<int, int>, std::array<bool, 9>, std::array<std::string, 3>, std::bitset<1>,
               std::bitset<100>, std::valarray<int>, std::valarray<Point>, std::stack<int>, std::queue<std::string>,
               std::priority_queue<int>, std::pair<int, std::string>, std::tuple<bool, std::string, Point>,
               std::optional<std::string>, std::variant<std::monostate, int, std::string, Tree>, std::unique_ptr<int>,
               std::unique_ptr<Node>, std::unique_ptr<Shape>, std::shared_ptr<Shape>, std::unique_ptr<Animal>,
               std::unique_ptr<Constructed>, std::vector<std::shared_ptr<Constructed>>,
               std::vector<std::optional<std::map<int, std::vector<std::unique_ptr<Shape>>>>>, std::atomic<int>>;

constexpr auto limits = [] {
    ArchiveLimits few;
    few.max_depth = 64;
    few.budget_base = 4 * 1024 * 1024;
    few.max_elements = 64 * 1024;
    return few;
}();

void require(bool holds) {
    if (!holds) std::abort();
}

template <class T>
void try_type(std::span<const std::byte> body) {
    T value{};
    try {
        distwork::detail::decode(body, value, limits);
    } catch (const Error& error) {
        const auto code = static_cast<Errc>(error.code().value());
        require(code == Errc::malformed || code == Errc::too_large);
        return;
    }
    ByteBuffer first;
    bool is_canonical = false;
    try {
        is_canonical = encode_value(value, first, limits);
    } catch (const Error& error) {  // decoding two pointers makes two objects, whatever the encoder would allow
        require(error.code() == Errc::too_large);
        return;
    }
    T again{};
    distwork::detail::decode(first.view(), again, limits);
    ByteBuffer second;
    encode_value(again, second, limits);
    require(!is_canonical || std::ranges::equal(first.view(), second.view()));
    require(first.view().size() == second.view().size());
}

template <std::size_t... indices>
void try_type(std::size_t index, std::span<const std::byte> body, std::index_sequence<indices...>) {
    static_cast<void>(((indices == index && (try_type<std::tuple_element_t<indices, Types>>(body), true)) || ...));
}

template <class T>
void record(const fuzz::Seeds& seeds, std::size_t index, const std::string& name, const T& value) {
    Bytes bytes{static_cast<std::byte>(index)};
    const Bytes body = encode(value);
    bytes.insert(bytes.end(), body.begin(), body.end());
    seeds.write("archive", name, bytes);
}

template <std::size_t... indices>
void record_each(const fuzz::Seeds& seeds, std::index_sequence<indices...>) {
    record(seeds, 0, "everything", everything());
    (record(seeds, indices, "type_" + std::to_string(indices), std::tuple_element_t<indices, Types>{}), ...);
}

constexpr std::size_t count = std::tuple_size_v<Types>;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    return fuzz::begin([](const fuzz::Seeds& seeds) { record_each(seeds, std::make_index_sequence<count>{}); });
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input{data, size};
    const std::size_t index = input.byte() % count;
    const auto body = input.take();
    Counted::most = 0;
    try_type(index, body, std::make_index_sequence<count>{});
    require(Counted::alive == 0);  // nothing that was decoded in part is left
    return 0;
}
