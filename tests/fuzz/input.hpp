#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace fuzz {

/// What is left of the fuzzer's bytes.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : bytes_{data, size} {}

    bool empty() const { return bytes_.empty(); }
    std::size_t size() const { return bytes_.size(); }

    /// Zero if nothing is left.
    std::uint8_t byte() {
        if (bytes_.empty()) return 0;
        const std::uint8_t first = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return first;
    }
    /// Of two bytes.
    std::size_t number() {
        const std::size_t low = byte();
        return low + 256u * byte();
    }
    /// So many bytes, or what is left.
    std::vector<std::byte> take(std::size_t count = std::numeric_limits<std::size_t>::max()) {
        std::vector<std::byte> taken(std::min(count, bytes_.size()));
        for (std::byte& byte : taken) byte = std::byte{this->byte()};
        return taken;
    }

private:
    std::span<const std::uint8_t> bytes_;
};

}  // namespace fuzz
