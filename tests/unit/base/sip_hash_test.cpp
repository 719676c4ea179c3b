#include <array>
#include <cstddef>
#include <cstdint>
#include <distwork/base/sip_hash.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/hex.hpp"

namespace sip_hash_test {

namespace {

using distwork::detail::SipHash;

/// The key of the reference vectors: the bytes 00 to 0f.
SipHash hash_of_vectors() {
    return SipHash{{0x0706'0504'0302'0100, 0x0f0e'0d0c'0b0a'0908}};
}

std::string text(const SipHash::Digest& digest) {
    std::array<std::byte, 16> bytes{};
    for (std::size_t i = 0; i != 16; ++i) bytes[i] = static_cast<std::byte>(digest[i / 8] >> (8 * (i % 8)));
    std::string all = hex(bytes);
    std::erase(all, ' ');
    return all;
}

std::string hash_of(std::span<const std::byte> bytes) {
    SipHash hash = hash_of_vectors();
    hash.add(bytes);
    return text(hash.finish());
}

std::vector<std::byte> counting(std::size_t size, unsigned step, unsigned first) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i != size; ++i) bytes[i] = static_cast<std::byte>(i * step + first);
    return bytes;
}

}  // namespace

// Source: vectors.h of the reference implementation.
TEST_CASE("SipHash has the results of the reference implementation") {
    CHECK(hash_of(counting(0, 1, 0)) == "a3817f04ba25a8e66df67214c7550293");
    CHECK(hash_of(counting(1, 1, 0)) == "da87c1d86b99af44347659119b22fc45");
    CHECK(hash_of(counting(2, 1, 0)) == "8177228da4a45dc7fca38bdef60affe4");
}

// openssl mac -macopt hexkey:000102030405060708090a0b0c0d0e0f -macopt size:16 -in FILE SIPHASH
TEST_CASE("SipHash has the results of OpenSSL, around its words and beyond") {
    for (const auto& [size, expected] : {std::pair{std::size_t{15}, "a7a5d0ed3edc27c112b49a5213dcf5ee"},
                                         {std::size_t{16}, "e3e729bd44b072b782f4baa42eae65bd"},
                                         {std::size_t{63}, "8206ef49a560cdfd2f2171b15f9cf3bc"},
                                         {std::size_t{64}, "4c1e0601fbd7edb654065027d246e47e"},
                                         {std::size_t{1000}, "85a58ba661c462298894536e71c68b80"}})
        CHECK(hash_of(counting(size, 7, 3)) == expected);
}

TEST_CASE("SipHash is the same in whatever pieces bytes are added") {
    const auto bytes = counting(1000, 7, 3);
    for (const auto piece : {std::size_t{1}, std::size_t{3}, std::size_t{7}, std::size_t{8}, std::size_t{9},
                             std::size_t{64}, std::size_t{999}}) {
        SipHash hash = hash_of_vectors();
        std::span<const std::byte> rest{bytes};
        for (; rest.size() > piece; rest = rest.subspan(piece)) hash.add(rest.first(piece));
        hash.add(rest);
        CHECK(text(hash.finish()) == "85a58ba661c462298894536e71c68b80");
    }
    SipHash number = hash_of_vectors();
    number.add(std::uint64_t{0x0706'0504'0302'0100});
    CHECK(text(number.finish()) == hash_of(counting(8, 1, 0)));
}

TEST_CASE("SipHash depends on both halves of its key") {
    const SipHash::Digest all = SipHash{{1, 2}}.finish();
    CHECK(all != SipHash{{1, 3}}.finish());
    CHECK(all != SipHash{{3, 2}}.finish());
}

}  // namespace sip_hash_test
