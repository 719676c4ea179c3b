// gRPC: one bidirectional stream for each slave, the synchronous interface. The master is the server.
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "../support/pair.hpp"
#include "bench.grpc.pb.h"

namespace {

using bench::Pair;
using bench::Setup;
constexpr int most_bytes = 64 << 20;

class Works final : public bench::Works::Service {
public:
    explicit Works(Pair& pair) : pair_{pair} {}

    grpc::Status Serve(grpc::ServerContext*, grpc::ServerReaderWriter<bench::Work, bench::Answer>* stream) override {
        await_others();
        double sent = 0;
        bench::Work work;
        const auto submit = [&](std::uint64_t id) {
            if (pair_.in_flight() == 1) sent = Pair::now();
            work.set_id(id);
            work.mutable_payload()->resize(pair_.payload_bytes());
            bench::fill_payload(id, {work.mutable_payload()->data(), work.payload().size()});
            stream->Write(work);
        };
        std::uint64_t next = 0;
        for (std::size_t i = 0; i < pair_.setup.window; ++i) submit(next++);
        bench::Answer answer;
        while (stream->Read(&answer)) {
            if (sent != 0) pair_.took(Pair::now() - sent);
            {
                const std::lock_guard lock{mutex_};
                if (pair_.done()) break;
                if (!pair_.answered(answer.value(), bench::expected_answer(answer.id(), pair_.payload_bytes()))) {
                    changed_.notify_all();
                    break;
                }
            }
            submit(next++);
        }
        return grpc::Status::OK;
    }

    void await_end() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return pair_.done(); });
    }

private:
    void await_others() {
        std::unique_lock lock{mutex_};
        if (++connected_ == pair_.setup.slaves) pair_.begin(), changed_.notify_all();
        changed_.wait(lock, [this] { return connected_ == pair_.setup.slaves; });
    }

    Pair& pair_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t connected_ = 0;
};

void run_master(Pair& pair) {
    Works works{pair};
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&works);
    builder.SetMaxReceiveMessageSize(most_bytes);
    const auto server = builder.BuildAndStart();
    pair.listening(static_cast<std::uint16_t>(port));
    works.await_end();
}

void run_slave(const Setup& setup) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(most_bytes);
    const auto channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(setup.port),
                                                   grpc::InsecureChannelCredentials(), arguments);
    const auto stub = bench::Works::NewStub(channel);
    grpc::ClientContext context;
    const auto stream = stub->Serve(&context);
    bench::Work work;
    bench::Answer answer;
    while (stream->Read(&work)) {
        answer.set_id(work.id());
        answer.set_value(bench::answer_to(work.id(), work.payload()));
        stream->Write(answer);
    }
}

}  // namespace

int main(int argc, char** argv) {
    return bench::main(argc, argv, run_master, run_slave);
}
