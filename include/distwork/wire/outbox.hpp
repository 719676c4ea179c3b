#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "frame.hpp"
#include "frame_reader.hpp"
#include "shared_body.hpp"

namespace distwork::detail {

/// The frames that wait to be sent on one connection. No I/O: `gather` returns the buffers to write next, `consume`
/// removes what was written.
///
/// Small frames are copied one after the other. A large body is not copied: its header and the body are sent in one
/// gathered write.
class Outbox {
public:
    // Both functions append the whole frame, or nothing if they throw.

    /// Appends a frame whose body is `prefix` followed by `body`. Sets the header's length.
    void append(FrameHeader header, std::span<const std::byte> body, std::span<const std::byte> prefix = {}) {
        std::byte* const to = begin(header, prefix, body.size(), body.size());
        if (!body.empty()) std::memcpy(to, body.data(), body.size());
    }

    /// The same for a body of at least `large_body_bytes`, which is not copied.
    void append_large(FrameHeader header, SharedBody body, std::span<const std::byte> prefix = {}) {
        const std::size_t bytes = body.bytes.size();
        large_.push_back({0, std::move(body)});  // first, since either step may throw
        try {
            begin(header, prefix, bytes, 0);
        } catch (...) {
            large_.pop_back();
            throw;
        }
        size_ += bytes;
        large_.back().at = end_;
    }

    bool empty() const noexcept { return size_ == 0; }

    /// The bytes that were not sent yet, with those of large bodies.
    std::size_t size() const noexcept { return size_; }

    /// The next bytes to write, in order, at most `most` of them. Overwrites `buffers`.
    void gather(std::vector<asio::const_buffer>& buffers, std::size_t most) const {
        buffers.clear();
        std::size_t at = at_;
        std::size_t large = next_large_;
        std::size_t large_at = large_at_;
        while (most != 0 && buffers.size() < most_buffers) {
            const std::size_t until = large < large_.size() ? large_[large].at : end_;
            const std::byte* from = bytes_.get() + at;
            std::size_t count = until - at;
            if (count == 0) {
                if (large == large_.size()) break;
                const auto& body = large_[large].body.bytes;
                from = body.data() + large_at;
                count = std::min(most, body.size() - large_at);
                ++large;
                large_at = 0;
            } else {
                count = std::min(most, count);
                at += count;
            }
            buffers.emplace_back(from, count);
            most -= count;
        }
    }

    /// Removes the first `count` bytes, which were written.
    void consume(std::size_t count) {
        size_ -= count;
        while (count != 0) {
            const std::size_t until = next_large_ < large_.size() ? large_[next_large_].at : end_;
            if (const std::size_t small = std::min(count, until - at_); small != 0) {
                at_ += small;
                count -= small;
            } else {
                auto& body = large_[next_large_].body;
                const std::size_t part = std::min(count, body.bytes.size() - large_at_);
                large_at_ += part;
                count -= part;
                if (large_at_ == body.bytes.size()) {
                    body.owner.reset();
                    ++next_large_;
                    large_at_ = 0;
                }
            }
        }
        if (size_ == 0) reset();
    }

private:
    static constexpr std::size_t most_buffers = 16;
    static constexpr std::size_t least_capacity = 256;  // most connections are idle most of the time
    static constexpr std::size_t kept_capacity = 1024;

    struct Large {
        std::size_t at;  // the body follows the small bytes before this offset
        SharedBody body;
    };

    /// Writes the header and the prefix of a frame whose body has `rest` more bytes, and makes room for `room` of
    /// these. Returns the address of that room.
    std::byte* begin(FrameHeader header, std::span<const std::byte> prefix, std::size_t rest, std::size_t room) {
        header.length = static_cast<std::uint32_t>(prefix.size() + rest);
        std::byte* const to = extend(frame_header_bytes + prefix.size() + room);
        write_header(to, header);
        if (!prefix.empty()) std::memcpy(to + frame_header_bytes, prefix.data(), prefix.size());
        return to + frame_header_bytes + prefix.size();
    }

    std::byte* extend(std::size_t count) {
        if (capacity_ - end_ < count) grow(count);
        std::byte* to = bytes_.get() + end_;
        end_ += count;
        size_ += count;
        return to;
    }

    void grow(std::size_t count) {
        const std::size_t capacity = std::max({least_capacity, capacity_ * 2, end_ + count});
        auto bytes = std::make_unique_for_overwrite<std::byte[]>(capacity);
        if (end_ != 0) std::memcpy(bytes.get(), bytes_.get(), end_);
        bytes_ = std::move(bytes);
        capacity_ = capacity;
    }

    /// Called when everything was sent. Frees a large buffer that the last 16 bursts did not need.
    void reset() {
        if (capacity_ > kept_capacity && end_ < capacity_ / 8) {
            if (++calm_ == 16) bytes_.reset(), capacity_ = 0, calm_ = 0;
        } else {
            calm_ = 0;
        }
        at_ = end_ = 0;
        large_.clear();
        next_large_ = 0;
    }

    std::unique_ptr<std::byte[]> bytes_;
    std::size_t capacity_ = 0;
    std::size_t end_ = 0;  // end of the small bytes
    std::size_t at_ = 0;   // the next small byte to send
    std::size_t size_ = 0;
    std::vector<Large> large_;
    std::size_t next_large_ = 0;
    std::size_t large_at_ = 0;  // bytes of the next large body that were sent
    int calm_ = 0;
};

}  // namespace distwork::detail
