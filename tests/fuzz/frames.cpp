// Any bytes as a stream of frames: wherever the reads end, the same frames come out, and their bodies are understood or
// refused.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include "distwork/archive/codec.hpp"
#include "distwork/types/peer_types.hpp"
#include "distwork/wire/chunk.hpp"
#include "distwork/wire/frame_reader.hpp"
#include "distwork/wire/handshake.hpp"
#include "distwork/wire/progress_body.hpp"
#include "distwork/wire/reply.hpp"
#include "distwork/wire/slave_state_body.hpp"
#include "fuzz/input.hpp"

namespace {

using namespace distwork;
using namespace distwork::detail;
using Bytes = std::vector<std::byte>;

constexpr std::size_t max_body = 2 * 1024 * 1024;

void require(bool holds) {
    if (!holds) std::abort();
}

struct Came {
    FrameHeader header;
    Bytes body;
};
struct Stream {
    std::vector<Came> frames;
    std::error_code error;
};

/// `sizes`: of the reads, in turn.
Stream read(std::span<const std::byte> bytes, const std::vector<std::size_t>& sizes) {
    Stream stream;
    FrameReader reader{max_body};
    for (std::size_t i = 0; !bytes.empty() && !stream.error; ++i) {
        const auto space = reader.prepare();
        require(!space.empty());
        const std::size_t count =
            std::min({bytes.size(), space.size(), std::max<std::size_t>(sizes[i % sizes.size()], 1)});
        std::copy_n(bytes.begin(), count, space.begin());
        bytes = bytes.subspan(count);
        stream.error = reader.commit(count, [&](Frame&& frame) {
            stream.frames.push_back({frame.header, {frame.body.begin(), frame.body.end()}});
            return true;
        });
    }
    return stream;
}

/// What it is believed to be decodes to the same after it was encoded.
template <class Body>
void try_plain(const Bytes& body) {
    Body decoded;
    if (decode(std::span{body}, decoded)) return;
    Body again;
    const auto bytes = encode(decoded);
    require(!decode(std::span<const std::byte>{bytes}, again));
    const auto twice = encode(again);
    require(std::ranges::equal(bytes, twice));
}

void try_bodies(const Came& came) {
    try_plain<Greeting>(came.body);
    try_plain<Refusal>(came.body);
    try_plain<ProgressBody>(came.body);
    try_plain<SlaveState>(came.body);
    for (const FrameKind kind : {FrameKind::answer, FrameKind::error}) {
        for (const Role peer : {Role::slave, Role::master}) {
            Reply reply;
            if (decode(kind, came.body, reply, peer)) continue;
            require(kind != FrameKind::error || believable(reply.error, peer) == reply.error);
            static_cast<void>(answered_elements(reply.value));
        }
    }
    Introduction introduction;
    ArchiveLimits limits;
    limits.max_bytes = max_types_body_bytes;
    try {
        decode(std::span{came.body}, introduction, limits);
        static_cast<void>(why_invalid(introduction, 4096));
    } catch (const Error&) {
    }
    for (const Role role : {Role::master, Role::slave}) {
        Handshake handshake{role, "fuzz"};
        const auto step = handshake.take(came.header.kind, came.body,
                                         [](const Greeting&, std::string&) { return std::error_code{}; });
        require(handshake.accepted() != static_cast<bool>(step.error));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input{data, size};
    const std::vector<std::size_t> sizes{input.byte(), input.byte(), input.byte()};
    const Bytes bytes = input.take();
    const Stream whole = read(bytes, {bytes.size()});
    const Stream pieces = read(bytes, sizes);
    require(whole.error == pieces.error && whole.frames.size() == pieces.frames.size());
    for (std::size_t i = 0; i < whole.frames.size(); ++i) {
        require(whole.frames[i].body == pieces.frames[i].body);
        require(whole.frames[i].header.kind == pieces.frames[i].header.kind);
        try_bodies(whole.frames[i]);
    }
    return 0;
}
