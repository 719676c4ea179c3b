// Each mistake is compiled alone, with -DMISTAKE=n, and must be explained by one sentence of ours before anything else:
// see CMakeLists.txt. 0 is none: the program that they are mistakes in.
#include <chrono>

#if MISTAKE >= 40
#ifdef __clang__  // clang 19 refuses the RapidJSON behind the other
#include <cereal/archives/xml.hpp>
#else
#include <cereal/archives/json.hpp>
#endif
#endif
#include <distwork.hpp>
// Behind the others: it does not include what it needs.
#include <cereal/types/chrono.hpp>
#include <memory>
#include <string>
#include <vector>

using namespace std::chrono_literals;

struct Closed {  // not default-constructible
    explicit Closed(int) {}
    template <class Archive>
    void serialize(Archive&) {}
};
struct Mute {  // without serialize
    int number = 0;
};
struct Widget {
    int area() { return 1; }
};

double area(double width, double height) {
    return width * height;
}
std::size_t size(std::vector<int>&& values) {
    return values.size();
}
std::chrono::seconds wait(std::chrono::seconds time) {
    return time;
}
int value(std::unique_ptr<int> number) {
    return *number;
}
Closed closed() {
    return Closed{1};
}
int mute(int, Mute) {
    return 0;
}
int muted_elements(std::vector<Mute>) {
    return 0;
}
int written(int& number) {
    return number;
}
auto lambda = [](int number) { return number; };

DISTWORK_REGISTER_FUNCTION(area)

class Sum : public distwork::RpcWork<int> {
public:
    int execute_work(distwork::Context&) override { return 1; }
    template <class Archive>
    void serialize(Archive&) {}
};
DISTWORK_REGISTER_WORK(Sum)

class MuteWork : public distwork::RpcWork<int> {
public:
    int execute_work(distwork::Context&) override { return 1; }
};
class AbstractWork : public distwork::RpcWork<int> {
public:
    template <class Archive>
    void serialize(Archive&) {}
};
class ReturnsClosed : public distwork::RpcWork<Closed> {
public:
    Closed execute_work(distwork::Context&) override { return Closed{1}; }
    template <class Archive>
    void serialize(Archive&) {}
};
class Wide : public Sum {
public:
    std::wstring text;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(text);
    }
};
class Binary : public Sum {
public:
    char bytes[4] = {};
    template <class Archive>
    void serialize(Archive& archive) {
        archive(cereal::binary_data(bytes, sizeof bytes));
    }
};
class MuteMember : public Sum {
public:
    Mute member;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(member);
    }
};

#if MISTAKE == 1
DISTWORK_REGISTER_FUNCTION(Widget::area)
#elif MISTAKE == 2
DISTWORK_REGISTER_FUNCTION(lambda)
#elif MISTAKE == 3
namespace app {
DISTWORK_REGISTER_FUNCTION(area)
}
#elif MISTAKE == 4
namespace app {
DISTWORK_REGISTER_WORK(Sum)
}
#elif MISTAKE == 5
DISTWORK_REGISTER_FUNCTION(closed)
#elif MISTAKE == 6
DISTWORK_REGISTER_FUNCTION(mute)
#elif MISTAKE == 7
DISTWORK_REGISTER_WORK(MuteWork)
#elif MISTAKE == 8
DISTWORK_REGISTER_WORK(AbstractWork)
#elif MISTAKE == 9
DISTWORK_REGISTER_WORK(ReturnsClosed)
#elif MISTAKE == 10
DISTWORK_REGISTER_WORK(MuteMember)
#elif MISTAKE == 11
DISTWORK_REGISTER_FUNCTION(muted_elements)
#elif MISTAKE == 12
DISTWORK_REGISTER_FUNCTION(written)
#elif MISTAKE == 13
DISTWORK_REGISTER_WORK(Widget)
#elif MISTAKE == 40
DISTWORK_REGISTER_WORK(Wide)
#elif MISTAKE == 41
DISTWORK_REGISTER_WORK(Binary)
#elif MISTAKE == 42
std::size_t wide(std::wstring text) {
    return text.size();
}
DISTWORK_REGISTER_FUNCTION(wide)
#endif

asio::awaitable<void> call(distwork::Master<>& master, distwork::Context& peer) {
    const auto options = distwork::SubmitOptions{}.priority(1);
    const auto handler = [](const std::exception_ptr&, int) {};
    int number = 1;
#if MISTAKE == 0
    master.async_call(Sum{}, options, handler);
    peer.async_submit(Sum{}, handler);
    co_await peer.async_submit<area>(1, 2.0F);
    master.accept_submission<area>();
    master.accept_work<area>();
    co_await master.async_call<area>(1, 2.0F, options, asio::use_awaitable);
    std::vector<int> values{number};
    co_await master.async_call<size>(std::move(values));
    co_await master.async_call<wait>(5s);
    co_await master.async_call<value>(std::make_unique<int>(1));
#elif MISTAKE == 20
    co_await master.async_call<area>(1.0, "two");
#elif MISTAKE == 21
    co_await master.async_call<area>(1.0, 2.0, 3.0);
#elif MISTAKE == 22
    co_await master.async_call<area>(options, 1.0, 2.0);
#elif MISTAKE == 23
    co_await master.async_call<area>(1.0, 2.0, asio::use_awaitable, options);
#elif MISTAKE == 24
    co_await master.async_call<area>(1.0);
#elif MISTAKE == 25
    co_await master.async_call<size>(5);
#elif MISTAKE == 26
    co_await master.async_call<wait>(5);
#elif MISTAKE == 27
    co_await master.async_call<value>(&number);
#elif MISTAKE == 28
    co_await master.async_call<lambda>(number);
#elif MISTAKE == 29
    co_await master.async_call(Sum{}, asio::use_awaitable, options);
#elif MISTAKE == 30
    co_await master.async_call(Sum{}, 5);
#elif MISTAKE == 31
    co_await peer.async_call<area>(1.0, 2.0, options);
#elif MISTAKE == 32
    co_await master.async_call<area>(1.0, 2.0, std::string{"three"}, asio::use_awaitable);
#elif MISTAKE == 33
    master.async_call(Sum{}, [](const std::exception_ptr&, std::string) {});
#elif MISTAKE == 34
    co_await master.async_call<&Widget::area>();
#elif MISTAKE == 35
    co_await master.async_distribute_work(Sum{}, asio::use_awaitable, options);
#elif MISTAKE == 36
    co_await master.async_broadcast_work(Sum{}, asio::use_awaitable, options);
#elif MISTAKE == 37
    co_await peer.async_submit<area>(1.0, "two");
#elif MISTAKE == 38
    co_await peer.async_submit(Sum{}, options);
#endif
    static_cast<void>(options), static_cast<void>(handler), static_cast<void>(number), static_cast<void>(peer);
    co_return;
}
