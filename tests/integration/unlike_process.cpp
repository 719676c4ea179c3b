// A slave that was built from other sources: one type has another shape, one is missing, one is only here.
// unlike_process PORT

#include <cstdlib>
#include <distwork.hpp>
#include <string>

class Sum : public distwork::RpcWork<int> {
public:
    int execute_work(distwork::Context&) override { return 0; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(a_, b_);
    }

private:
    int a_ = 0;
    long long b_ = 0;  // an int at the other end
};
DISTWORK_REGISTER_WORK(Sum)

class Echo : public distwork::RpcWork<std::string> {
public:
    std::string execute_work(distwork::Context&) override { return text_; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(text_);
    }

private:
    std::string text_;
};
DISTWORK_REGISTER_WORK(Echo)

class OnlyHere : public distwork::IWork {
public:
    void execute(distwork::Context&) override {}
    template <class Archive>
    void serialize(Archive&) {}
};
DISTWORK_REGISTER_WORK(OnlyHere)

int main(int, char** arguments) {
    asio::io_context io;
    distwork::SlaveOptions options;
    options.name = "slave";
    options.reconnect = distwork::Reconnect::never;
    options.log = distwork::ConsoleLog{};
    distwork::Slave slave{io.get_executor(), "127.0.0.1", static_cast<std::uint16_t>(std::atoi(arguments[1])), options};
    slave.start();
    io.run();
}
