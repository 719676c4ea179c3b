#pragma once

#include <asio/steady_timer.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <distwork.hpp>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

// Works that the tests send; what they do to the process that executes them is seen through `Seen`.
//
// To compile a registration takes half a second, and many files include this header: one file of each program defines
// SUPPORT_REGISTER_WORKS before.
#ifdef SUPPORT_REGISTER_WORKS
#define SUPPORT_REGISTER_WORK DISTWORK_REGISTER_WORK
#define SUPPORT_REGISTER_FUNCTION DISTWORK_REGISTER_FUNCTION
#define SUPPORT_REGISTER_FUNCTION_AS DISTWORK_REGISTER_FUNCTION_AS
#else
#define SUPPORT_REGISTER_WORK(...)
#define SUPPORT_REGISTER_FUNCTION(...)
#define SUPPORT_REGISTER_FUNCTION_AS(name, ...) inline constexpr auto name = __VA_ARGS__;
#endif

struct Seen {
    static Seen& here() {
        static Seen seen;
        return seen;
    }
    std::atomic<int> plain{0};
    std::atomic<int> returned{0};
    std::atomic<int> from_slaves{0};
    std::atomic<int> begun{0};
    std::atomic<int> stopped{0};
    std::atomic<int> noted{-1};
    std::mutex mutex;
    std::vector<int> order;  // guarded by mutex

    std::vector<int> order_now() {
        const std::lock_guard lock{mutex};
        return order;
    }
    void forget_order() {
        const std::lock_guard lock{mutex};
        order.clear();
    }
};

class Plain : public distwork::IWork {
public:
    void execute(distwork::Context&) override { ++Seen::here().plain; }
    template <class Archive>
    void serialize(Archive&) {}
};
SUPPORT_REGISTER_WORK(Plain)

class Sum : public distwork::RpcWork<int> {
public:
    Sum() = default;
    Sum(int a, int b) : a_{a}, b_{b} {}
    int execute_work(distwork::Context&) override { return a_ + b_; }
    void execute_return(int value, distwork::Context& peer) override {
        if (peer.remote_endpoint().port() != 0) Seen::here().returned += value;
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(a_, b_);
    }

private:
    int a_ = 0;
    int b_ = 0;
};
SUPPORT_REGISTER_WORK(Sum)

class Nothing : public distwork::RpcWork<void> {
public:
    void execute_work(distwork::Context&) override {}
    void execute_return(distwork::Context&) override { ++Seen::here().returned; }
    template <class Archive>
    void serialize(Archive&) {}
};
SUPPORT_REGISTER_WORK(Nothing)

class MoveOnly : public distwork::RpcWork<std::unique_ptr<int>> {
public:
    std::unique_ptr<int> execute_work(distwork::Context&) override { return std::make_unique<int>(42); }
    void execute_return(std::unique_ptr<int>& value, distwork::Context&) override { Seen::here().returned += *value; }
    template <class Archive>
    void serialize(Archive&) {}
};
SUPPORT_REGISTER_WORK(MoveOnly)

/// Gives back what it is given.
class Echo : public distwork::RpcWork<std::string> {
public:
    Echo() = default;
    explicit Echo(std::string text) : text_{std::move(text)} {}
    std::string execute_work(distwork::Context&) override { return text_; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(text_);
    }

private:
    std::string text_;
};
SUPPORT_REGISTER_WORK(Echo)

/// Gives back so many bytes.
class Grow : public distwork::RpcWork<std::string> {
public:
    Grow() = default;
    explicit Grow(std::uint64_t bytes) : bytes_{bytes} {}
    std::string execute_work(distwork::Context&) override { return std::string(bytes_, 'g'); }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(bytes_);
    }

private:
    std::uint64_t bytes_ = 0;
};
SUPPORT_REGISTER_WORK(Grow)

class Throwing : public distwork::RpcWork<int> {
public:
    Throwing() = default;
    explicit Throwing(int what) : what_{what} {}
    int execute_work(distwork::Context&) override {
        if (what_ == 0) throw std::out_of_range{"beyond the end"};
        if (what_ == 1) throw 7;
        throw distwork::Error{distwork::Errc::backlog_full, "of its own"};
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(what_);
    }

private:
    int what_ = 0;
};
SUPPORT_REGISTER_WORK(Throwing)

/// Writes its number down when it begins.
class Ordered : public distwork::IWork {
public:
    Ordered() = default;
    explicit Ordered(int number) : number_{number} {}
    void execute(distwork::Context&) override {
        const std::lock_guard lock{Seen::here().mutex};
        Seen::here().order.push_back(number_);
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number_);
    }

private:
    int number_ = 0;
};
SUPPORT_REGISTER_WORK(Ordered)

/// Runs until it is asked to stop.
class UntilStopped : public distwork::IWork {
public:
    void execute(distwork::Context& peer) override {
        const auto token = peer.stop_token();
        ++Seen::here().begun;
        while (!token.stop_requested()) std::this_thread::yield();
        ++Seen::here().stopped;
    }
    template <class Archive>
    void serialize(Archive&) {}
};
SUPPORT_REGISTER_WORK(UntilStopped)

/// The name of the slave that it is sent to is in it; see the selectors.
class Addressed : public distwork::RpcWork<std::string> {
public:
    Addressed() = default;
    explicit Addressed(std::string name) : slave{std::move(name)} {}
    std::string execute_work(distwork::Context&) override { return slave; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(slave);
    }
    std::string slave;
};
SUPPORT_REGISTER_WORK(Addressed)

/// Executed on the master.
class FromSlave : public distwork::RpcWork<int> {
public:
    FromSlave() = default;
    explicit FromSlave(int value) : value_{value} {}
    int execute_work(distwork::Context&) override {
        Seen::here().from_slaves += value_;
        return value_ * 2;
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(value_);
    }

private:
    int value_ = 0;
};
SUPPORT_REGISTER_WORK(FromSlave)

/// The same, but never accepted.
class Unwanted : public FromSlave {};
SUPPORT_REGISTER_WORK(Unwanted)

/// Sends a work back.
class SendsBack : public distwork::IWork {
public:
    SendsBack() = default;
    explicit SendsBack(int value) : value_{value} {}
    void execute(distwork::Context& peer) override { peer.send_work(FromSlave{value_}); }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(value_);
    }

private:
    int value_ = 0;
};
SUPPORT_REGISTER_WORK(SendsBack)

/// Sends its master so many works.
class SendsMany : public distwork::IWork {
public:
    SendsMany() = default;
    explicit SendsMany(int count) : count_{count} {}
    void execute(distwork::Context& peer) override {
        for (int i = 0; i < count_; ++i) peer.send_work(FromSlave{1});
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(count_);
    }

private:
    int count_ = 0;
};
SUPPORT_REGISTER_WORK(SendsMany)

/// Nobody registered it: asked for, it is refused before anything is suspended.
class Unregistered : public distwork::RpcWork<int> {
public:
    int execute_work(distwork::Context&) override { return 1; }
    template <class Archive>
    void serialize(Archive&) {}
};

/// Tries to ask its master for what nobody can ask.
class AsksInVain : public distwork::CoroutineWork<int> {
public:
    asio::awaitable<int> execute_work(distwork::Context& peer) override {
        int refused = 0;
        try {
            Unregistered unregistered;
            co_await peer.async_call(unregistered);
        } catch (const distwork::Error& error) {
            refused += error.code() == distwork::Errc::unregistered_type;
        }
        try {
            std::unique_ptr<distwork::IWork> nothing;
            co_await peer.async_call(std::move(nothing));
        } catch (const distwork::Error& error) {
            refused += error.code() == distwork::Errc::null_work;
        }
        co_return refused;
    }
    template <class Archive>
    void serialize(Archive&) {}
};
SUPPORT_REGISTER_WORK(AsksInVain)

/// Asks its master, and waits without a thread.
class Asks : public distwork::CoroutineWork<int> {
public:
    Asks() = default;
    Asks(int value, bool unwanted) : value_{value}, unwanted_{unwanted} {}
    asio::awaitable<int> execute_work(distwork::Context& peer) override {
        if (unwanted_) co_return co_await peer.async_call(Unwanted{});
        FromSlave question{value_};
        const int answer = co_await peer.async_call(std::move(question));
        co_return answer + 1;
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(value_, unwanted_);
    }

private:
    int value_ = 0;
    bool unwanted_ = false;
};
SUPPORT_REGISTER_WORK(Asks)

/// Asks its master, and notes how that ended: 0 for a value.
class Notes : public distwork::CoroutineWork<void> {
public:
    asio::awaitable<void> execute_work(distwork::Context& peer) override {
        int code = 0;
        ++Seen::here().plain;
        try {
            FromSlave question{1};
            co_await peer.async_call(std::move(question));
        } catch (const distwork::Error& error) {
            code = error.code().value();
        }
        Seen::here().noted = code;
    }
    template <class Archive>
    void serialize(Archive&) {}
};
SUPPORT_REGISTER_WORK(Notes)

/// Waits for a time without a thread.
class Sleeps : public distwork::CoroutineWork<void> {
public:
    Sleeps() = default;
    explicit Sleeps(int milliseconds) : milliseconds_{milliseconds} {}
    asio::awaitable<void> execute_work(distwork::Context&) override {
        asio::steady_timer timer{co_await asio::this_coro::executor};
        timer.expires_after(std::chrono::milliseconds{milliseconds_});
        co_await timer.async_wait(asio::use_awaitable);
    }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(milliseconds_);
    }

private:
    int milliseconds_ = 0;
};
SUPPORT_REGISTER_WORK(Sleeps)

/// Its bytes do not decode: what is saved is not what is loaded.
class Undecodable : public distwork::IWork {
public:
    void execute(distwork::Context&) override {}
    template <class Archive>
    void save(Archive& archive) const {
        archive(std::uint8_t{7});
    }
    template <class Archive>
    void load(Archive& archive) {
        std::string text;
        archive(text);
    }
};
SUPPORT_REGISTER_WORK(Undecodable)

inline double area(double width, double height) {
    return width * height;
}
SUPPORT_REGISTER_FUNCTION(area)

inline std::string join(const std::vector<std::string>& words, char separator) {
    std::string joined;
    for (const std::string& word : words) joined += (joined.empty() ? "" : std::string(1, separator)) + word;
    return joined;
}
SUPPORT_REGISTER_FUNCTION(join)

inline void no_answer() {
    ++Seen::here().plain;
}
SUPPORT_REGISTER_FUNCTION(no_answer)

inline int overloaded(int value) {
    return value + 1;
}
inline std::string overloaded(std::string text) {
    return text + '!';
}
SUPPORT_REGISTER_FUNCTION_AS(overloaded_int, static_cast<int (*)(int)>(&overloaded))
SUPPORT_REGISTER_FUNCTION_AS(overloaded_text, static_cast<std::string (*)(std::string)>(&overloaded))
