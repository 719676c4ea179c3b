#include <cereal/types/list.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/vector.hpp>
#include <distwork.hpp>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/run.hpp"

// What works and answers may cost is an option of the link, and an error names the work and the option.

namespace limits {

struct Nothing {};
struct Node {
    std::unique_ptr<Node> next;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(next);
    }
};

int depth(const std::unique_ptr<Node>& chain) {
    int all = 0;
    for (const Node* node = chain.get(); node; node = node->next.get()) ++all;
    return all;
}
std::unique_ptr<Node> chain(int length) {
    std::unique_ptr<Node> all;
    for (int i = 0; i < length; ++i) {
        auto node = std::make_unique<Node>();
        node->next = std::move(all);
        all = std::move(node);
    }
    return all;
}
std::size_t count(const std::list<char>& nodes) {
    return nodes.size();
}
std::size_t count_nothing(const std::vector<Nothing>& nothing) {
    return nothing.size();
}

}  // namespace limits

DISTWORK_REGISTER_FUNCTION(limits::depth)
DISTWORK_REGISTER_FUNCTION(limits::chain)
DISTWORK_REGISTER_FUNCTION(limits::count)
DISTWORK_REGISTER_FUNCTION(limits::count_nothing)

namespace {

struct Ends {
    distwork::SlaveOptions slave;
    distwork::MasterOptions master;
};

/// A cluster whose ends have these limits; the stack of its threads takes some thousand levels.
std::unique_ptr<Cluster<>> cluster(const distwork::ArchiveLimits& slave, const distwork::ArchiveLimits& master) {
    Ends ends;
    ends.slave.link.archive = slave;
    ends.master.link.archive = master;
    return std::make_unique<Cluster<>>(1, ends.slave, ends.master);
}

void check_says(const std::string& text, const std::vector<const char*>& parts) {
    INFO(text);
    for (const char* part : parts) CHECK(text.find(part) != std::string::npos);
}

/// What a call fails with.
template <auto F, class Argument>
std::string failure(Cluster<>& cluster, Argument argument) {
    std::exception_ptr failed;
    bool ended = false;
    try {
        cluster.master.async_call<F>(std::move(argument), [&](std::exception_ptr error, const auto&) {
            failed = std::move(error);
            ended = true;
        });
    } catch (...) {
        return "thrown by the call: " + text_of(std::current_exception());
    }
    CHECK(run_until(cluster.io, [&] { return ended; }));
    return text_of(failed);
}

}  // namespace

TEST_CASE("works nest, and have elements, as the limits of the link let them", "[integration]") {
    distwork::ArchiveLimits wide;
    wide.max_depth = 2000;
    wide.max_elements = 4'000'000;
    wide.budget_base = 256 * 1024 * 1024;
    const auto both = cluster(wide, wide);
    run(both->io, [](auto& master) -> asio::awaitable<void> {
        auto thousand = limits::chain(1000);
        const auto deep = co_await master.template async_call<limits::depth>(std::move(thousand));
        CHECK(deep == 1000);
        const auto back = co_await master.template async_call<limits::chain>(1500);
        CHECK(limits::depth(back) == 1500);
        const auto nothing =
            co_await master.template async_call<limits::count_nothing>(std::vector<limits::Nothing>(4'000'000));
        CHECK(nothing == 4'000'000);
        const std::list<char> list(4'000'000, 'n');
        const auto nodes = co_await master.template async_call<limits::count>(list);
        CHECK(nodes == 4'000'000);
    }(both->master));
}

TEST_CASE("an error names the work, and the option to change", "[integration]") {
    distwork::ArchiveLimits shallow;
    shallow.max_depth = 5;
    // The master does not send it.
    check_says(failure<limits::depth>(*cluster({}, shallow), limits::chain(10)),
               {"limits::depth", "LinkOptions::archive.max_depth is 5"});
    // The slave does not take it, or does not answer.
    check_says(failure<limits::depth>(*cluster(shallow, {}), limits::chain(10)),
               {"limits::depth", "slave 0", "LinkOptions::archive.max_depth is 5"});
    check_says(failure<limits::chain>(*cluster(shallow, {}), 10),
               {"limits::chain", "slave 0", "LinkOptions::archive.max_depth is 5"});
    // The master does not take the answer.
    check_says(failure<limits::chain>(*cluster({}, shallow), 10),
               {"limits::chain", "LinkOptions::archive.max_depth is 5"});
    check_says(failure<limits::count_nothing>(*cluster({}, {}), std::vector<limits::Nothing>(4'000'000)),
               {"limits::count_nothing", "4000000", "LinkOptions::archive.max_elements"});
    check_says(failure<limits::count>(*cluster({}, {}), std::list<char>(4'000'000)),
               {"limits::count", "LinkOptions::archive.budget_base"});
}

TEST_CASE("limits of works are none for the introduction of peers", "[integration]") {
    distwork::ArchiveLimits least;
    least.max_depth = 1;
    least.max_elements = least.budget_base = least.budget_per_byte = 0;
    const auto both = cluster(least, least);
    CHECK(both->master.connected_slave_count() == 1);
}

TEST_CASE("the length of a body follows from the length of a frame", "[integration]") {
    asio::io_context io;
    distwork::MasterOptions options;
    options.link.archive.max_bytes = 1000;
    CHECK_THROWS_AS(distwork::Master<>(io, options), distwork::Error);
    options.link.archive = {};
    options.link.archive.max_depth = 0;
    CHECK_THROWS_AS(distwork::Master<>(io, options), distwork::Error);
}
