// What peers compare of their types, and what of it the log says.

#include <asio/use_future.hpp>
#include <memory>
#include <stdexcept>
#include <string>

#define RADIUS float
#define EDGE int
#include "support/catch.hpp"
#include "support/figures.hpp"
#include "support/process.hpp"
#include "support/run.hpp"

using distwork::Errc;

namespace {

/// Only a loaded one can be saved.
struct Detail {
    int number = 1;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number);
    }
};

}  // namespace

namespace shapes {

class Lazy : public distwork::RpcWork<int> {
public:
    Lazy() = default;
    explicit Lazy(int number) : detail_{std::make_unique<Detail>(Detail{number})} {}
    int execute_work(distwork::Context&) override { return detail_->number; }
    template <class Archive>
    void save(Archive& archive) const {
        archive(*detail_);
    }
    template <class Archive>
    void load(Archive& archive) {
        detail_ = std::make_unique<Detail>();
        archive(*detail_);
    }

private:
    std::unique_ptr<Detail> detail_;
};

class Picky : public distwork::IWork {
public:
    void execute(distwork::Context&) override {}
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number_);
        if (number_ == 0) throw std::invalid_argument{"no number"};
    }

private:
    int number_ = 1;
};

}  // namespace shapes

DISTWORK_REGISTER_WORK(shapes::Lazy)
DISTWORK_REGISTER_WORK(shapes::Picky)

namespace {

std::size_t count_of(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
}

}  // namespace

TEST_CASE("peers meet though a class cannot be saved as it is constructed", "[integration]") {
    Cluster<> cluster{1};
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        shapes::Lazy lazy{12};
        const int number = co_await master.async_call(std::move(lazy));
        CHECK(number == 12);
    }(cluster.master));
}

TEST_CASE("what is not compared to its end is named once in the log, when peers meet", "[integration]") {
    std::string log;
    distwork::MasterOptions options;
    options.log = [&](distwork::LogLevel, std::string_view line) { log.append(line).append("\n"); };
    Cluster<> cluster{3, {}, options};
    INFO(log);
    CHECK(count_of(log, "Not all of shapes::Picky (it threw std::invalid_argument: no number) is compared") == 1);
}

TEST_CASE("builds that differ behind a pointer to a base, or in a load_and_construct, do not exchange it",
          "[integration]") {
    std::string log;
    distwork::MasterOptions options;
    options.log = [&](distwork::LogLevel, std::string_view line) { log.append(line).append("\n"); };
    Cluster<> cluster{0, {}, options};
    Process other{"figures_process", {std::to_string(cluster.master.local_endpoint().port())}};
    REQUIRE(run_until(cluster.io, [&] { return cluster.master.connected_slave_count() == 1; }));
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        auto circle = std::make_unique<Circle>();
        circle->radius = 12;
        Draw draw{std::move(circle)};
        const auto drawn = co_await master.async_broadcast_work(std::move(draw));
        REQUIRE(drawn.size() == 1);
        CHECK(text_of(drawn[0].error).find("another shape") != std::string::npos);
        Weigh weigh{std::make_unique<Cube>(12)};
        const auto weighed = co_await master.async_broadcast_work(std::move(weigh));
        REQUIRE(weighed.size() == 1);
        CHECK(text_of(weighed[0].error).find("another shape") != std::string::npos);
        co_await master.async_stop(std::chrono::milliseconds{0});
    }(cluster.master));
    INFO(log);
    CHECK(log.find("Type Draw may hold Circle, which has another shape at ") != std::string::npos);
    CHECK(log.find("Type Weigh has another shape at ") != std::string::npos);
    CHECK(log.find("Star") == std::string::npos);
    cluster.io.restart();
    cluster.io.run();
    CHECK(other.wait() == 0);
}
