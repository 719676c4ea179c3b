#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <system_error>

#include "../error.hpp"
#include "frame.hpp"
#include "large_blocks.hpp"

namespace distwork::detail {

/// One complete frame. If `own` is set, it owns the body: a large body, in a buffer of its own that the receiver may
/// keep. Else the body is valid until the reader's next `prepare`.
struct Frame {
    FrameHeader header;
    std::span<const std::byte> body;
    LargeBytes own;
};

/// Splits a stream of bytes into frames, wherever the reads end. No I/O: read into `prepare()`, then call `commit`.
///
/// The buffer follows the traffic, from 1 KiB to 256 KiB. A large body gets at most 1 MiB at once, which doubles as its
/// bytes arrive: a header alone never causes an allocation of the length that it announces.
class FrameReader {
public:
    explicit FrameReader(std::size_t max_body_bytes) : max_body_bytes_{max_body_bytes} {}

    /// A longer body ends the session with Errc::frame_too_large.
    void max_body_bytes(std::size_t bytes) noexcept { max_body_bytes_ = bytes; }

    /// The memory for the next read; never empty.
    std::span<std::byte> prepare() {
        if (large_) {
            if (large_filled_ == large_capacity_) grow_large();
            return {large_.get() + large_filled_, large_capacity_ - large_filled_};
        }
        make_room();
        return {buffer_.get() + end_, capacity_ - end_};
    }

    /// Processes the `count` bytes that were read: passes each complete frame to `on_frame(Frame&&)`. If that returns
    /// false, the bytes after the frame are not parsed. *Errors*: returns frame_too_large if the stream cannot
    /// continue.
    template <class OnFrame>
    std::error_code commit(std::size_t count, OnFrame&& on_frame) {
        if (large_) {
            large_filled_ += count;
            if (large_filled_ == large_header_.length) emit_large(on_frame);
            return {};
        }
        adapt(count);
        end_ += count;
        bool go_on = true;
        while (go_on && end_ - begin_ >= frame_header_bytes) {
            const std::byte* const at = buffer_.get() + begin_;
            const FrameHeader header = read_header(at);
            if (header.length > max_body_bytes_) return Errc::frame_too_large;
            if (header.length > max_small_body_bytes && header.length > detail::max_body_bytes(header.kind))
                return Errc::frame_too_large;
            const std::size_t rest = end_ - begin_ - frame_header_bytes;
            if (header.length >= large_body_bytes) {
                const std::size_t first = std::min<std::size_t>(rest, header.length);
                begin_large(header, {at + frame_header_bytes, first});
                begin_ += frame_header_bytes + first;
                if (first != header.length) break;
                go_on = emit_large(on_frame);
                continue;
            }
            if (rest < header.length) {
                wanted_ = frame_header_bytes + header.length;
                break;
            }
            begin_ += frame_header_bytes + header.length;
            go_on = on_frame(Frame{header, {at + frame_header_bytes, header.length}, nullptr});
        }
        return {};
    }

private:
    static constexpr std::size_t least_capacity = 1024;
    static constexpr std::size_t greatest_capacity = 256 * 1024;
    static constexpr std::size_t first_large_capacity = 1024 * 1024 + 4096;  // 1 MiB of payload and its counts
    static constexpr int calm_reads = 16;

    /// Moves the unparsed bytes to the front. This must wait for the next `prepare`, since frames refer to the buffer
    /// until then.
    void make_room() {
        const std::size_t left = end_ - begin_;
        std::size_t capacity = std::max(capacity_, least_capacity);
        if (next_capacity_ != 0 && left <= next_capacity_) capacity = next_capacity_;
        capacity = std::max(capacity, wanted_);
        next_capacity_ = wanted_ = 0;
        if (capacity != capacity_) {
            auto buffer = std::make_unique_for_overwrite<std::byte[]>(capacity);
            if (left != 0) std::memcpy(buffer.get(), buffer_.get() + begin_, left);
            buffer_ = std::move(buffer);
            capacity_ = capacity;
        } else if (begin_ != 0 && left != 0) {
            std::memmove(buffer_.get(), buffer_.get() + begin_, left);
        }
        begin_ = 0;
        end_ = left;
    }

    /// A read that fills the buffer causes a larger buffer; several small reads in a row cause the smallest one.
    void adapt(std::size_t count) {
        if (end_ + count == capacity_ && capacity_ < greatest_capacity) {
            next_capacity_ = std::min(capacity_ * 4, greatest_capacity);
            calm_ = 0;
        } else if (capacity_ > least_capacity && count < capacity_ / 16) {
            if (++calm_ == calm_reads) next_capacity_ = least_capacity, calm_ = 0;
        } else {
            calm_ = 0;
        }
    }

    void begin_large(const FrameHeader& header, std::span<const std::byte> first) {
        large_header_ = header;
        large_capacity_ = std::min<std::size_t>(header.length, std::max(first_large_capacity, first.size()));
        large_ = make_large_bytes(large_capacity_);
        std::memcpy(large_.get(), first.data(), first.size());
        large_filled_ = first.size();
    }

    void grow_large() {
        const std::size_t capacity = std::min<std::size_t>(large_header_.length, large_capacity_ * 2);
        auto larger = make_large_bytes(capacity);
        std::memcpy(larger.get(), large_.get(), large_filled_);
        large_ = std::move(larger);
        large_capacity_ = capacity;
    }

    template <class OnFrame>
    bool emit_large(OnFrame&& on_frame) {
        auto own = std::move(large_);
        const std::span<const std::byte> body{own.get(), large_filled_};
        return on_frame(Frame{large_header_, body, std::move(own)});
    }

    std::size_t max_body_bytes_;
    std::unique_ptr<std::byte[]> buffer_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;          // end of the parsed bytes, which frames may refer to
    std::size_t end_ = 0;            // end of the bytes that were read
    std::size_t wanted_ = 0;         // length of the frame that is partly there, with its header
    std::size_t next_capacity_ = 0;  // 0: unchanged
    int calm_ = 0;
    LargeBytes large_;
    FrameHeader large_header_;
    std::size_t large_capacity_ = 0;
    std::size_t large_filled_ = 0;
};

}  // namespace distwork::detail
