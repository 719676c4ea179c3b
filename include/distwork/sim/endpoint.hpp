#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "../base/asio.hpp"
#include "../error.hpp"
#include "host.hpp"
#include "wire.hpp"

namespace distwork::sim {

/// One end of a connection, as the operating system of its machine keeps it. It holds the bytes that come in; the bytes
/// that go out are held by its peer.
///
/// *Lifetime*: that of the simulation. It may outlive the process that opened it.
class Endpoint {
public:
    using Transfer = std::unique_ptr<Operation<std::error_code, std::size_t>>;
    using Address = asio::ip::tcp::endpoint;

    Endpoint(Wire& wire, Host& host, const Address& local, const Address& remote)
        : local_address{local}, remote_address{remote}, wire_{wire}, host_{host} {
        slow_ = wire.random.chance(wire.options.slow_readers);
    }

    void connect(Endpoint& peer) noexcept {
        peer_ = &peer;
        is_proven_ = host_.credentials() == peer.host_.credentials();
    }

    const Address local_address;
    const Address remote_address;
    Host& host() noexcept { return host_; }
    Endpoint& peer() noexcept { return *peer_; }
    bool is_open() const noexcept { return open_; }
    /// Both ends had the same credentials when they were connected.
    bool is_proven() const noexcept { return is_proven_; }
    std::size_t available() const noexcept { return open_ ? arrived_ : 0; }

    // Called by its process

    std::uint64_t read(asio::mutable_buffer buffer, Transfer operation) {
        reading_ = std::move(operation);
        buffer_ = buffer;
        ++reads_;
        serve_reader();
        return reads_;
    }

    template <class Buffers>
    std::uint64_t write(const Buffers& buffers, Transfer operation) {
        writing_ = std::move(operation);
        leave(buffers);
        ++writes_;
        serve_writer();
        return writes_;
    }

    /// Writes as much as there is room for; returns how much. *Errors*: would_block if there is no room,
    /// connection_reset, bad_descriptor after `close`.
    template <class Buffers>
    std::size_t write_now(const Buffers& buffers, std::error_code& error) {
        error = write_error();
        if (error) return 0;
        leave(buffers);
        const auto count = transfer();
        if (!count) error = asio::error::would_block;
        return count.value_or(0);
    }

    void cancel_read(std::uint64_t number) {
        if (number == reads_) end_read(asio::error::operation_aborted, 0);
    }
    void cancel_write(std::uint64_t number) {
        if (number == writes_) end_write(asio::error::operation_aborted, 0);
    }

    void cancel() {
        cancel_read(reads_);
        cancel_write(writes_);
    }

    /// Closes this end. The peer reads what is on its way, and then the end of the stream. If this end had bytes that
    /// were not read, the peer gets a reset instead.
    void close() {
        if (!std::exchange(open_, false)) return;
        cancel();
        if (!error_) peer_->expect(arrived_ != 0 ? Piece::reset : Piece::end, 0);
        forget_bytes();
    }

    /// The machine loses power. The peer is not told, and what arrives is not answered until the machine is up again.
    void vanish() {
        if (!std::exchange(open_, false)) return;
        vanished_ = true;
        forget_bytes();
    }

    // Called by the network

    /// Resets the connection. Each end gets the reset after a delay of its own; some of what was on its way still
    /// arrives.
    void cut(std::uint64_t = 0) {
        lose();
        peer_->lose();
    }

    /// The direction to this end may be free again. What was held arrives after the usual latency.
    void resume() {
        if (pieces_.size() != next_) {
            const TimePoint at = wire_.arrival();
            for (std::size_t i = next_; i < pieces_.size(); ++i) pieces_[i].at = std::max(pieces_[i].at, at);
            last_arrival_ = std::max(last_arrival_, at);
            arm();
        }
        if (std::exchange(window_held_, false)) window_opened();
    }

    /// The simulation ends: destroys the waiting operations. Returns false if there were none.
    bool drop() {
        const auto read = std::move(reading_);
        const auto write = std::move(writing_);
        return read || write;
    }

private:
    struct Piece {
        enum Kind { data, end, reset };
        TimePoint at;
        std::size_t bytes;
        Kind kind;
    };

    std::size_t machine() const noexcept { return host_.machine(); }
    bool is_way_in_blocked() const noexcept { return wire_.is_blocked(peer_->machine(), machine()); }

    // Incoming bytes are first on their way, then arrived, then read.

    std::size_t room() const noexcept {
        const std::size_t held = on_its_way_ + arrived_;
        return held < wire_.options.window ? wire_.options.window - held : 0;
    }

    void expect(Piece::Kind kind, std::size_t bytes) {
        busy_until_ = std::max(busy_until_, wire_.now()) + wire_.transmission(bytes);
        const TimePoint arrival = wire_.arrival() + (busy_until_ - wire_.now());
        last_arrival_ = std::max(last_arrival_, arrival);
        on_its_way_ += bytes;
        pieces_.push_back({last_arrival_, bytes, kind});
        arm();
    }

    /// Schedules one event for the oldest piece that is on its way.
    void arm() {
        if (armed_ || next_ == pieces_.size()) return;
        armed_ = true;
        wire_.timeline.schedule<&Endpoint::arrive>(pieces_[next_].at, *this);
    }

    void arrive(std::uint64_t) {
        armed_ = false;
        if (is_way_in_blocked() || (vanished_ && !wire_.is_up(machine()))) return;  // until `resume`
        while (next_ < pieces_.size() && pieces_[next_].at <= wire_.now()) take(pieces_[next_++]);
        if (next_ == pieces_.size()) {
            pieces_.clear();
            next_ = 0;
        }
        arm();
        serve_reader();
    }

    void take(const Piece piece) {
        wire_.timeline.record(piece.kind == Piece::data  ? "arrived"
                              : piece.kind == Piece::end ? "end"
                                                         : "reset",
                              host_.number(), piece.bytes);
        on_its_way_ -= piece.bytes;
        if (!open_) {
            if (piece.kind == Piece::data && !error_) fail_peer();
            return;
        }
        if (piece.kind == Piece::data) arrived_ += piece.bytes;
        else if (piece.kind == Piece::end) ended_ = true;
        else end_write(error_ = asio::error::connection_reset, 0);
    }

    /// Sends a reset to the peer, which has sent bytes to this closed end.
    void fail_peer() {
        error_ = asio::error::connection_reset;
        peer_->expect(Piece::reset, 0);
    }

    void lose() {
        if (error_ || lost_) return;
        lost_ = true;
        const std::size_t left = pieces_.size() - next_;
        const auto kept = static_cast<std::size_t>(wire_.random.below(left + 1));
        for (std::size_t i = next_ + kept; i < pieces_.size(); ++i) on_its_way_ -= pieces_[i].bytes;
        pieces_.resize(next_ + kept);
        bytes_.resize(head_ + (open_ ? arrived_ + on_its_way_ : 0));
        expect(Piece::reset, 0);
    }

    // Readers

    void serve_reader(std::uint64_t = 0) {
        if (!reading_) return;
        if (arrived_ == 0 || buffer_.size() == 0) {
            if (buffer_.size() == 0) end_read({}, 0);
            else if (error_ || !open_) end_read(error_ ? error_ : asio::error::bad_descriptor, 0);
            else if (ended_) end_read(is_proven_ ? asio::error::eof : make_error_code(Errc::not_authenticated), 0);
            return;
        }
        if (slow_ && wire_.now() < next_read_)
            return wire_.timeline.schedule<&Endpoint::serve_reader>(next_read_, *this);
        if (slow_) next_read_ = wire_.now() + wire_.random.around(wire_.options.slow_pause);
        const std::size_t count = wire_.some_of(std::min(arrived_, buffer_.size()));
        std::copy_n(bytes_.data() + head_, count, static_cast<std::byte*>(buffer_.data()));
        wire_.timeline.mix({bytes_.data() + head_, count});
        head_ += count;
        arrived_ -= count;
        if (head_ == bytes_.size()) forget_bytes();
        end_read({}, count);
        if (peer_->writing_) wire_.timeline.schedule<&Endpoint::window_opened>(wire_.arrival(), *peer_);
    }

    void end_read(std::error_code error, std::size_t count) {
        if (reading_) host_.complete(std::move(reading_), error, count);
    }

    void forget_bytes() {
        bytes_.clear();
        head_ = 0;
        arrived_ = 0;
    }

    // Writers

    void window_opened(std::uint64_t = 0) {
        if (!writing_) return;
        if (is_way_in_blocked()) window_held_ = true;  // the window update does not come through
        else serve_writer();
    }

    template <class Buffers>
    void leave(const Buffers& buffers) {
        leaving_.clear();
        for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers); ++at)
            if (const asio::const_buffer buffer{*at}; buffer.size() != 0) leaving_.push_back(buffer);
    }

    std::error_code write_error() const noexcept {
        return error_ || open_ ? error_ : std::error_code{asio::error::bad_descriptor};
    }

    /// Copies as many bytes as the peer has room for to the peer, where they are on their way. Returns their number, or
    /// std::nullopt if there is no room.
    std::optional<std::size_t> transfer() {
        std::size_t wanted = 0;
        for (const asio::const_buffer& buffer : leaving_) wanted += buffer.size();
        const std::size_t count = wire_.some_of(std::min(wanted, peer_->room()));
        if (count == 0 && wanted != 0) return std::nullopt;
        if (count != 0 && !peer_->lost_) peer_->copy(leaving_, count);
        return count;
    }

    void serve_writer() {
        if (!writing_) return;
        if (const std::error_code error = write_error()) return end_write(error, 0);
        if (const auto count = transfer()) end_write({}, *count);
    }

    void copy(const std::vector<asio::const_buffer>& from, std::size_t count) {
        if (open_) {
            if (head_ > 64 * 1024) {
                bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(head_));
                head_ = 0;
            }
            std::size_t left = count;
            for (const asio::const_buffer& buffer : from) {
                const auto* const bytes = static_cast<const std::byte*>(buffer.data());
                bytes_.insert(bytes_.end(), bytes, bytes + std::min(left, buffer.size()));
                left -= std::min(left, buffer.size());
            }
        }
        const std::size_t first = wire_.some_of(count);
        expect(Piece::data, first);
        if (first != count) expect(Piece::data, count - first);
    }

    void end_write(std::error_code error, std::size_t count) {
        if (writing_) host_.complete(std::move(writing_), error, count);
    }

    Wire& wire_;
    Host& host_;
    Endpoint* peer_ = nullptr;
    bool open_ = true;
    bool is_proven_ = true;
    bool vanished_ = false;
    bool ended_ = false;     // the end of the stream has arrived
    bool lost_ = false;      // the connection was cut: what is sent to this end does not arrive
    std::error_code error_;  // set by a reset

    // In: the pieces on their way begin at `next_`; the bytes begin at `head_`, and `arrived_` of them may be read
    std::vector<Piece> pieces_;
    std::size_t next_ = 0;
    bool armed_ = false;
    std::size_t on_its_way_ = 0;
    TimePoint busy_until_{};
    TimePoint last_arrival_{};
    std::vector<std::byte> bytes_;
    std::size_t head_ = 0;
    std::size_t arrived_ = 0;
    Transfer reading_;
    asio::mutable_buffer buffer_;
    std::uint64_t reads_ = 0;
    bool slow_ = false;
    TimePoint next_read_{};

    // Out
    Transfer writing_;
    std::vector<asio::const_buffer> leaving_;
    std::uint64_t writes_ = 0;
    bool window_held_ = false;
};

}  // namespace distwork::sim
