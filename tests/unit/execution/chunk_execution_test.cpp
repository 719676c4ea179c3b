#include "distwork/execution/chunk_execution.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "distwork/archive/codec.hpp"
#include "distwork/context.hpp"
#include "distwork/error.hpp"
#include "distwork/register.hpp"
#include "distwork/wire/chunk.hpp"
#include "support/catch.hpp"
#include "support/fake_peer.hpp"

namespace chunk_execution_test {

std::string repeated(std::size_t length) {
    if (length == 13) throw std::invalid_argument{"thirteen"};
    return std::string(length, 'r');
}

}  // namespace chunk_execution_test

DISTWORK_REGISTER_FUNCTION(chunk_execution_test::repeated)

namespace chunk_execution_test {

using namespace distwork;
using namespace distwork::detail;
using namespace std::chrono_literals;
using Repeated = FunctionWork<&repeated>;

/// A peer that takes answers up to a limit.
class Peer : public support::FakePeer {
public:
    std::size_t most = 1'000'000;
    std::size_t max_answer_bytes() const noexcept override { return most; }
};

class Chunk {
public:
    explicit Chunk(const std::vector<std::size_t>& lengths) {
        for (const std::size_t length : lengths)
            append_element(body_, [&] { encode_value(Repeated{{length}}, body_, ArchiveLimits{}); });
    }

    /// Executes all that is to be executed, each of which takes `time`. Returns how many were.
    std::size_t run(std::chrono::nanoseconds time, std::size_t stop_after = 1'000'000) {
        WorkBatch::Item item{5, &work_type<Repeated>(), body_.view()};
        std::chrono::steady_clock::time_point now{1h};
        ChunkExecution execution{peer, item, now};
        const std::shared_ptr<detail::Peer> base = peer;
        Context context{base};
        std::size_t count = 0;
        do {
            execution.execute_next(context);
            now += time;
            ++count;
        } while (execution.goes_on(now, count >= stop_after));
        execution.finish();
        return count;
    }

    /// The values and errors of all answers, in order.
    std::vector<std::string> answers() const {
        std::vector<std::string> all;
        for (const auto& reply : peer->replies) {
            REQUIRE(reply.kind == FrameKind::answer);
            REQUIRE(reply.id == 5);
            const bool is_right =
                for_each_answer(reply.read().value, [&](bool is_error, std::span<const std::byte> bytes) {
                    if (is_error) {
                        Reply error;
                        REQUIRE_FALSE(decode(FrameKind::error, bytes, error));
                        all.push_back(make_error_code(error.error).message());
                    } else {
                        std::string value;
                        decode(bytes, value, ArchiveLimits{});
                        all.push_back(std::to_string(value.size()));
                    }
                    return true;
                });
            REQUIRE(is_right);
        }
        return all;
    }

    std::shared_ptr<Peer> peer = std::make_shared<Peer>();

private:
    ByteBuffer body_;
};

TEST_CASE("a chunk is answered once, with the values and the exceptions in order", "[unit]") {
    Chunk chunk{{1, 13, 3}};
    CHECK(chunk.run(10us) == 3);
    CHECK(chunk.answers() == std::vector<std::string>{"1", make_error_code(Errc::work_failed).message(), "3"});
    REQUIRE(chunk.peer->replies.size() == 1);
    CHECK(chunk.peer->replies[0].flags == 0);
    CHECK(chunk.peer->replies[0].read().execution_time == 30us);
}

TEST_CASE("what was executed is answered every two milliseconds", "[unit]") {
    Chunk chunk{std::vector<std::size_t>(10, 1)};
    CHECK(chunk.run(600us) == 10);
    CHECK(chunk.answers() == std::vector<std::string>(10, "1"));
    REQUIRE(chunk.peer->replies.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(chunk.peer->replies[i].flags == (i == 2 ? 0 : flag_goes_on));
        CHECK(chunk.peer->replies[i].read().execution_time == (i == 2 ? 1200us : 2400us));
    }
}

TEST_CASE("a chunk that takes long is ended after the work that runs, as one that is to stop", "[unit]") {
    Chunk chunk{std::vector<std::size_t>(10, 1)};
    CHECK(chunk.run(6ms) == 2);
    CHECK(chunk.answers().size() == 2);
    CHECK(chunk.peer->replies.back().flags == 0);
    Chunk stopped{std::vector<std::size_t>(10, 1)};
    CHECK(stopped.run(1us, 4) == 4);
    CHECK(stopped.answers().size() == 4);
}

TEST_CASE("answers leave before they are too large for a frame", "[unit]") {
    Chunk chunk{std::vector<std::size_t>(10, 30'000)};
    chunk.peer->most = 64 * 1024;
    CHECK(chunk.run(1us) == 10);
    CHECK(chunk.answers() == std::vector<std::string>(10, "30000"));
    for (const auto& reply : chunk.peer->replies) CHECK(reply.body.size() <= 64 * 1024);

    Chunk large{{10, 70'000, 20, 70'000}};
    large.peer->most = 64 * 1024;
    large.run(1us);
    const std::string too_large = make_error_code(Errc::too_large).message();
    CHECK(large.answers() == std::vector<std::string>{"10", too_large, "20", too_large});
}

TEST_CASE("a chunk that is broken is refused", "[unit]") {
    const std::vector<std::byte> body(7, std::byte{9});
    WorkBatch::Item item{5, &work_type<Repeated>(), body};
    const auto peer = std::make_shared<Peer>();
    ChunkExecution execution{peer, item, {}};
    const std::shared_ptr<detail::Peer> base = peer;
    Context context{base};
    CHECK_THROWS_AS(execution.execute_next(context), Error);
}

}  // namespace chunk_execution_test
