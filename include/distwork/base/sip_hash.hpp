#pragma once

#include "requirements.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace distwork::detail {

/// SipHash-2-4 with 128 bits of result. Who does not know the key cannot make two inputs with the same result.
///
/// *Source*: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", 2012, and their reference code.
class SipHash {
public:
    using Key = std::array<std::uint64_t, 2>;
    using Digest = std::array<std::uint64_t, 2>;

    explicit SipHash(const Key& key) noexcept
        : v_{0x736f6d6570736575U ^ key[0], 0x646f72616e646f6dU ^ key[1] ^ 0xee, 0x6c7967656e657261U ^ key[0],
             0x7465646279746573U ^ key[1]} {}

    void add(std::span<const std::byte> bytes) noexcept {
        for (const std::byte byte : bytes) {
            word_ |= std::to_integer<std::uint64_t>(byte) << (8 * (count_ % 8));
            if (++count_ % 8 == 0) take_word();
        }
    }
    void add(std::string_view text) noexcept { add(std::as_bytes(std::span{text})); }
    void add(std::uint64_t number) noexcept {
        std::array<std::byte, 8> bytes{};
        for (std::size_t i = 0; i != 8; ++i) bytes[i] = static_cast<std::byte>(number >> (8 * i));
        add(bytes);
    }

    /// The hash of all that was added. To be called once.
    Digest finish() noexcept {
        word_ |= count_ << 56;
        take_word();
        v_[2] ^= 0xee;
        Digest digest{};
        digest[0] = squeeze();
        v_[1] ^= 0xdd;
        digest[1] = squeeze();
        return digest;
    }

private:
    void take_word() noexcept {
        v_[3] ^= word_;
        round();
        round();
        v_[0] ^= word_;
        word_ = 0;
    }

    std::uint64_t squeeze() noexcept {
        for (int i = 0; i != 4; ++i) round();
        return v_[0] ^ v_[1] ^ v_[2] ^ v_[3];
    }

    void round() noexcept {
        v_[0] += v_[1];
        v_[2] += v_[3];
        v_[1] = std::rotl(v_[1], 13) ^ v_[0];
        v_[3] = std::rotl(v_[3], 16) ^ v_[2];
        v_[0] = std::rotl(v_[0], 32);
        v_[2] += v_[1];
        v_[0] += v_[3];
        v_[1] = std::rotl(v_[1], 17) ^ v_[2];
        v_[3] = std::rotl(v_[3], 21) ^ v_[0];
        v_[2] = std::rotl(v_[2], 32);
    }

    std::array<std::uint64_t, 4> v_;
    std::uint64_t word_ = 0;   // the bytes of the word that is not complete
    std::uint64_t count_ = 0;  // of all bytes
};

}  // namespace distwork::detail
