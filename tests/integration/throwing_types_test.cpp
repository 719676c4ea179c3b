// Works and values whose classes throw: when they are made, moved, saved or loaded.

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <atomic>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include "support/catch.hpp"
#include "support/run.hpp"

namespace {

/// Throws at the time that it was told.
class Fuse {
public:
    static void set(int left) { left_ = left; }
    static void burn(const char* what) {
        int left = left_;
        while (left != 0 && !left_.compare_exchange_weak(left, left - 1)) {
        }
        if (left == 1) throw std::logic_error{what};
    }

private:
    static inline std::atomic<int> left_{0};  // 0: never
};

struct Touchy {
    Touchy() { Fuse::burn("made"); }
    Touchy(Touchy&& other) : text{other.text} { Fuse::burn("moved"); }
    Touchy(const Touchy& other) : text{other.text} { Fuse::burn("copied"); }
    Touchy& operator=(Touchy&& other) {
        Fuse::burn("assigned");
        text = other.text;
        return *this;
    }
    std::string text = "touchy";
    template <class Archive>
    void serialize(Archive& archive) {
        archive(text);
    }
};

class MovesBadly : public distwork::RpcWork<int> {
public:
    MovesBadly() = default;
    MovesBadly(MovesBadly&& other) : number_{other.number_} { Fuse::burn("moved"); }
    MovesBadly(const MovesBadly& other) : number_{other.number_} { Fuse::burn("copied"); }
    int execute_work(distwork::Context&) override { return number_; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number_);
    }

private:
    int number_ = 7;
};

class GivesTouchy : public distwork::RpcWork<Touchy> {
public:
    Touchy execute_work(distwork::Context&) override { return {}; }
    template <class Archive>
    void serialize(Archive&) {}
};

class DoesNotSave : public distwork::RpcWork<int> {
public:
    enum How { own, cereals };
    explicit DoesNotSave(How how = own) : how_{how} {}
    int execute_work(distwork::Context&) override { return 1; }
    template <class Archive>
    void save(Archive&) const {
        if (how_ == own) throw std::domain_error{"I do not save"};
        throw cereal::Exception("cereal does not save");
    }
    template <class Archive>
    void load(Archive&) {}

private:
    How how_;
};

}  // namespace

DISTWORK_REGISTER_WORK(MovesBadly)
DISTWORK_REGISTER_WORK(GivesTouchy)
DISTWORK_REGISTER_WORK(DoesNotSave)

namespace {

/// How one call ended.
struct Outcome {
    int times = 0;
    std::string text;
};

template <class W>
asio::awaitable<void> await_it(distwork::Master<>& master, Outcome& outcome, int fuse) {
    W work;
    Fuse::set(fuse);
    try {
        const auto value = co_await master.async_call(std::move(work));
        static_cast<void>(value);
    } catch (const std::exception& error) {
        outcome.text = error.what();
    }
    Fuse::set(0);
    ++outcome.times;
}

/// The fuse burns once for each step that a call takes, until it takes none any more.
template <class Start>
void at_every_step(Start start) {
    distwork::SlaveOptions options;
    Cluster<> cluster{1, options};
    bool has_burnt = false;
    for (int fuse = 1; fuse < 40; ++fuse) {
        Outcome outcome;
        start(cluster, outcome, fuse);
        REQUIRE(run_until(cluster.io, [&] { return outcome.times != 0; }));
        Fuse::set(0);
        // Whatever was thrown: the next call is not concerned.
        run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
            const int seven = co_await master.async_call(MovesBadly{});
            REQUIRE(seven == 7);
        }(cluster.master));
        INFO("fuse " << fuse << ": " << outcome.text);
        CHECK(outcome.times == 1);
        has_burnt |= !outcome.text.empty();
        if (outcome.text.empty()) {
            CHECK(has_burnt);
            return;
        }
    }
    FAIL("the fuse burns for ever");
}

}  // namespace

TEST_CASE("a work whose move throws completes its awaited call with that", "[integration]") {
    at_every_step([](auto& cluster, Outcome& outcome, int fuse) {
        asio::co_spawn(cluster.io, await_it<MovesBadly>(cluster.master, outcome, fuse), asio::detached);
    });
}

TEST_CASE("a value whose constructor or move throws completes its awaited call with that", "[integration]") {
    at_every_step([](auto& cluster, Outcome& outcome, int fuse) {
        asio::co_spawn(cluster.io, await_it<GivesTouchy>(cluster.master, outcome, fuse), asio::detached);
    });
}

TEST_CASE("exceptions of a user's save are the caller's, and cereal's an Error", "[integration]") {
    Cluster<> cluster{1};
    run(cluster.io, [](distwork::Master<>& master) -> asio::awaitable<void> {
        const DoesNotSave own{DoesNotSave::own};
        try {
            co_await master.async_call(own);
            FAIL("it was encoded");
        } catch (const std::domain_error& error) {
            CHECK(std::string{error.what()} == "I do not save");
        }
        const DoesNotSave cereals{DoesNotSave::cereals};
        try {
            co_await master.async_call(cereals);
            FAIL("it was encoded");
        } catch (const distwork::Error& error) {
            CHECK(error.code() == distwork::Errc::malformed);
            CHECK(std::string{error.what()}.find("cereal does not save") != std::string::npos);
        }
    }(cluster.master));
    CHECK(cluster.master.statistics().refused == 2);
}
